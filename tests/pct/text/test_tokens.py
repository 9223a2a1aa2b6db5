"""Tokens: vocabularies, the sub-word tokenizers' word maps for any Unicode text, the cut, what is unknown."""

import json

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pct.text.subwords import SubWords
from pct.text.vocabulary import UNKNOWN, Vocabulary, normalized
from pct.text.words import split, split_all
from tests.pct.small import LEXICON, small_texts, small_words, tokenizer
from tests.pct.text.test_words import ANY_TEXT

RULES = st.sampled_from(["natural", "spaces"])


def unpacked(tokens, place=0):
    """Ids and word map of one text."""
    cut = slice(tokens.starts[place], tokens.starts[place + 1])
    return tokens.ids[cut].tolist(), tokens.word_ids[cut].tolist()


def byte_level():
    """A small tokenizer of GPT-2's kind: bytes, merged; a word begins with a space."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(["low lower lowest new newer newest wide!)"] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<pad>")


def unigram():
    """A small tokenizer of XLM-R's kind: pieces, a space made a mark before the word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "<pad>", "▁", *(f"▁{w}" for w in LEXICON), *"abcdefghijklmnopqrstuvwxyz'.!,"]
    made = Tokenizer(models.Unigram([(p, -2.0 - i / 100) for i, p in enumerate(pieces)], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>")


KINDS = {"wordpiece": tokenizer, "byte-level": byte_level, "unigram": unigram}


@given(ANY_TEXT, RULES)
@example("[SEP] a[PAD]b [CLS] [UNK]", "natural")
@example("\u200b \ufffd film \x01", "spaces")
@example("new  new\u3000newest !) 🙂", "natural")
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_belongs_to_the_word_in_which_its_first_character_that_is_no_space_lies(kind, text, rule):
    """The whole text as transformers tokenises it, and a loop over its own offsets."""
    assume(text.split())
    made = KINDS[kind]()
    document = split(text, rule)
    whole = made(document.text, return_offsets_mapping=True, return_special_tokens_mask=True)
    owners = []
    for (start, _), special in zip(whole["offset_mapping"], whole["special_tokens_mask"], strict=True):
        place = start
        while place < len(document.text) and document.text[place].isspace():
            place += 1
        inside = [i for i, (a, b) in enumerate(document.spans) if a <= place < b]
        owners.append(inside[0] if inside and not special else -1)  # spaces alone lead to the word behind them
    tokens = SubWords(made).encode([document], 500)
    if set(owners) == {-1}:
        assert tokens.counts.tolist() == [1]  # a text of which nothing is left is the unknown token
        return
    ids, words = unpacked(tokens)
    assert ids == whole["input_ids"]
    kept = sorted(set(owners) - {-1})
    assert tokens.places(0).tolist() == kept
    assert tokens.counts.tolist() == [len(kept)]
    assert words == [-1 if w == -1 else kept.index(w) for w in owners]
    assert tokens.truncated.tolist() == [0]


@given(st.text(st.sampled_from("abé '!.\n漢"), min_size=1, max_size=40), st.data())
def test_removing_a_word_of_wordpiece_is_tokenising_the_text_without_it(text, data):
    document = split(text) if text.split() else split("a b")
    gone = data.draw(st.sets(st.integers(0, len(document) - 1), max_size=len(document) - 1))
    ids, owner = unpacked(small_words("transformer").encode([document], 200))
    again, _ = unpacked(small_words("transformer").encode([[w for i, w in enumerate(document) if i not in gone]], 200))
    assert [t for t, w in zip(ids, owner, strict=True) if w not in gone] == again


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_length", [3, 7, 20])
def test_a_text_is_cut_as_transformers_cuts_it_and_n_counts_the_words_left(kind, max_length):
    made = KINDS[kind]()
    documents = split_all([*small_texts(8, seed=4), "new!) newest... lower, isn't it?", "ridiculousness " * 9])
    tokens = SubWords(made).encode(documents, max_length)
    for place, document in enumerate(documents):
        ids, words = unpacked(tokens, place)
        assert ids == made(document.text, truncation=True, max_length=max_length)["input_ids"]
        assert tokens.counts[place] == len(set(words) - {-1})
        left = tokens.places(place)
        assert tokens.truncated[place] <= len(document) - 1 - left[-1]
        if tokens.lengths[place] < max_length:
            assert tokens.truncated[place] == 0
    assert tokens.truncated[-1] == 9 - tokens.counts[-1]


def test_a_word_that_a_token_joins_to_the_one_before_it_is_not_counted():
    """GPT-2's kind has tokens like "!)": two words, of which the second has no token of its own."""
    tokens = SubWords(byte_level()).encode([split("wide!) low")], 64)
    document = split("wide!) low")
    assert list(document) == ["wide", "!", ")", "low"]
    assert [document[i] for i in tokens.places(0)] == ["wide", "!", "low"]
    assert (tokens.counts.tolist(), tokens.truncated.tolist()) == ([3], [0])


def test_several_texts_have_the_tokens_that_each_has_alone():
    texts = split_all(["a \x00 film", "!) new", "\x00", "moments , joy", "x" * 90])
    for made in (small_words("transformer"), SubWords(byte_level()), SubWords(unigram())):
        together = made.encode(texts, 12)
        for place, text in enumerate(texts):
            alone = made.encode([text], 12)
            assert unpacked(together, place) == unpacked(alone)
            assert together.places(place).tolist() == alone.places(0).tolist()
            assert together.truncated[place] == alone.truncated[0]


def spans_of_letters(text):
    """A rule that leaves marks to no word."""
    return [(i, i + 1) for i, c in enumerate(text) if c.isalpha()]


def test_tokens_of_what_a_users_rule_leaves_to_no_word_belong_to_none():
    document = split("a ! b?", f"{__name__}:spans_of_letters")
    ids, words = unpacked(small_words("transformer").encode([document], 64))
    assert tokenizer().convert_ids_to_tokens(ids)[1:-1] == ["a", "!", "b", "?"]
    assert words == [-1, 0, -1, 1, -1, -1]


def test_a_word_is_unknown_where_one_of_its_tokens_is():
    tokens = small_words("transformer").encode([split("film 🙂 joy")], 64)
    assert tokens.known(0).tolist() == [True, False, True]
    tokens = Vocabulary(["film", "joy"]).encode([["film"], ["xyzzy", "Joy", "qwert"]], 2)
    assert tokens.known(0).tolist() == [True]
    assert tokens.known(1).tolist() == [False, True]


def test_a_vocabulary_has_one_token_a_word_and_knows_what_it_does_not_know():
    tokens = Vocabulary(["a", "b"]).encode([["A", "x", "b"], ["b"]], 64)
    assert unpacked(tokens, 0) == ([2, UNKNOWN, 3], [0, 1, 2])
    assert unpacked(tokens, 1) == ([3], [0])
    assert tokens.counts.tolist() == [3, 1]


def test_a_vocabulary_looks_words_up_composed_and_lower_cased():
    vocabulary = Vocabulary.build([["Café", "CAFE\u0301", "İstanbul"]], 9)
    assert vocabulary.words[0] == "café"
    assert unpacked(vocabulary.encode([["cafe\u0301", "café", "İSTANBUL"]], 9))[0] == [2, 2, 3]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), max_size=6))
@example(["a\nb", "c"])
@example([])
def test_words_are_looked_up_together_as_alone(words):
    assert normalized(words) == [normalized([w])[0] for w in words]


@given(st.lists(st.lists(st.sampled_from(LEXICON), min_size=1, max_size=9), min_size=1, max_size=4), st.integers(3, 9))
def test_a_vocabulary_cuts_words(texts, max_length):
    tokens = small_words("textcnn").encode(texts, max_length)
    for place, text in enumerate(texts):
        ids, owner = unpacked(tokens, place)
        assert [LEXICON[i - 2] for i in ids] == text[:max_length]
        assert owner == list(range(min(len(text), max_length)))
    assert tokens.counts.tolist() == [min(len(t), max_length) for t in texts]
    assert tokens.truncated.tolist() == [max(len(t) - max_length, 0) for t in texts]


def test_a_vocabulary_takes_the_most_frequent_words_and_the_alphabet_decides_ties():
    texts = [["b", "a", "C"], ["c", "a", "d"], ["c"]]
    assert Vocabulary.build(texts, 3).words == ["c", "a", "b"]
    assert len(Vocabulary.build(texts, 99)) == 4 + 2


@pytest.mark.parametrize("family", ["textcnn", "transformer"])
def test_rows_are_padded_to_the_longest_and_the_map_tells_padding_apart(family):
    words = small_words(family)
    tokens = words.encode([t.split() for t in small_texts(5, seed=1)], 64)
    ids, owner = tokens.rows(np.array([3, 0, 3]))
    lengths = tokens.lengths[[3, 0, 3]]
    assert ids.shape == owner.shape == (3, lengths.max())
    assert (ids[0] == ids[2]).all()
    for row, place in enumerate((3, 0)):
        assert (ids[row, : lengths[row]].tolist(), owner[row, : lengths[row]].tolist()) == unpacked(tokens, place)
        assert (owner[row, lengths[row] :] == -2).all()
        assert (ids[row, lengths[row] :] == tokens.padding).all()


@pytest.mark.parametrize("family", ["textcnn", "transformer"])
def test_no_texts_give_no_tokens(family):
    tokens = small_words(family).encode([], 64)
    assert (len(tokens), len(tokens.ids), tokens.starts.tolist()) == (0, 0, [0])


@pytest.mark.parametrize("family", ["textcnn", "transformer"])
def test_words_that_are_saved_tokenize_as_before(family, tmp_path):
    words, texts = small_words(family), split_all([*small_texts(5), "Ünïcödé 🙂 שלום film"])
    words.save(tmp_path)
    again = type(words).load(tmp_path)
    before, after = words.encode(texts, 20), again.encode(texts, 20)
    assert before.ids.tolist() == after.ids.tolist()
    assert before.word_ids.tolist() == after.word_ids.tolist()
    assert len(again) == len(words)


def test_a_vocabulary_file_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "vocabulary.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(ValueError, match="must hold a list of words, got dict"):
        Vocabulary.load(tmp_path)


def test_a_tokenizer_without_a_word_map_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ValueError, match="Slow has no word map"):
        SubWords(Slow())


def test_a_vocabulary_knows_which_of_its_words_were_seen_once():
    made = Vocabulary.build([["a", "b", "A", "c"], ["b", "d"]], 9)
    assert made.words[made.first_rare - 2 :] == ["c", "d"]
    assert Vocabulary.build([["a", "a"]], 9).first_rare == len(Vocabulary(["a"])) == 3
    assert Vocabulary(["a", "b"]).first_rare == 4
