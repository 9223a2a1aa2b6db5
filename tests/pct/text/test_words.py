"""Words and tokens: vocabularies, the sub-word tokenizer's word maps for any Unicode text, the cut."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pct.text.words import SubWords, Vocabulary, split, split_all
from tests.pct.small import LEXICON, small_texts, small_words, tokenizer

# any code point, lone surrogates and controls too, with spaces often enough to make words
ANY_TEXT = st.text(st.characters() | st.sampled_from(" \t\n\u3000aé'-"), min_size=1, max_size=40)


def unpacked(tokens, place=0):
    """Ids and word map of one text."""
    cut = slice(tokens.starts[place], tokens.starts[place + 1])
    return tokens.ids[cut].tolist(), tokens.words[cut].tolist()


def alone(word):
    """The tokens of a word by itself; the unknown token where there is none."""
    (ids,) = tokenizer()([[word]], is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return ids or [tokenizer().unk_token_id]


@given(ANY_TEXT)
@example("[SEP] a[PAD]b [CLS] [UNK]")
@example("\u200b \ufffd film \x01")
def test_the_word_map_round_trips_for_any_text(text):
    """Each word owns its own tokens, in a row and in order: those that it has by itself."""
    assume(text.split())
    words = split(text)
    ids, owner = unpacked(small_words("transformer").encode([words], 200))
    assert (owner[0], owner[-1]) == (-1, -1)
    assert owner[1:-1] == sorted(owner[1:-1])
    for place, word in enumerate(words):
        assert [t for t, w in zip(ids, owner, strict=True) if w == place] == alone(word)
    assert max(owner) == len(words) - 1


@given(ANY_TEXT, st.data())
def test_removing_a_word_from_the_map_is_tokenizing_the_text_without_it(text, data):
    assume(len(text.split()) > 1)
    words = split(text)
    gone = data.draw(st.sets(st.integers(0, len(words) - 1), max_size=len(words) - 1))
    ids, owner = unpacked(small_words("transformer").encode([words], 200))
    rest = [w for i, w in enumerate(words) if i not in gone]
    again, _ = unpacked(small_words("transformer").encode([rest], 200))
    assert [t for t, w in zip(ids, owner, strict=True) if w not in gone] == again


@given(ANY_TEXT)
def test_a_word_owns_the_tokens_whose_offsets_lie_in_it(text):
    """The tokenizer on the whole string, its own offsets: the same tokens for every word that it does not drop."""
    assume(text.split())
    words = split(text)
    ids, owner = unpacked(small_words("transformer").encode([words], 200))
    whole = tokenizer()(" ".join(words), return_offsets_mapping=True, add_special_tokens=False)
    ends = np.cumsum([len(w) + 1 for w in words])
    for place, word in enumerate(words):
        inside = [
            token
            for token, (start, _) in zip(whole["input_ids"], whole["offset_mapping"], strict=True)
            if int(np.searchsorted(ends, start, "right")) == place
        ]
        assert (inside or alone(word)) == [t for t, w in zip(ids, owner, strict=True) if w == place]


@given(
    st.lists(st.lists(st.sampled_from(LEXICON), min_size=1, max_size=12), min_size=1, max_size=4), st.integers(3, 20)
)
def test_n_counts_the_words_of_which_a_token_survives_the_cut(texts, max_length):
    tokens = small_words("transformer").encode(texts, max_length)
    for place, text in enumerate(texts):
        full = [t for w in text for t in alone(w)]
        of_word = [i for i, w in enumerate(text) for _ in alone(w)]
        ids, owner = unpacked(tokens, place)
        assert ids[1:-1] == full[: max_length - 2]
        assert owner[1:-1] == of_word[: max_length - 2]
        assert len(ids) <= max_length
        assert tokens.counts[place] == owner[-2] + 1


def test_a_vocabulary_has_one_token_a_lower_cased_word_and_knows_what_it_does_not_know():
    tokens = Vocabulary(["a", "b"]).encode([["A", "x", "b"], ["b"]], 64)
    assert unpacked(tokens, 0) == ([2, 1, 3], [0, 1, 2])
    assert unpacked(tokens, 1) == ([3], [0])
    assert tokens.counts.tolist() == [3, 1]


@given(st.lists(st.lists(st.sampled_from(LEXICON), min_size=1, max_size=9), min_size=1, max_size=4), st.integers(3, 9))
def test_a_vocabulary_cuts_words(texts, max_length):
    tokens = small_words("textcnn").encode(texts, max_length)
    for place, text in enumerate(texts):
        ids, owner = unpacked(tokens, place)
        assert [LEXICON[i - 2] for i in ids] == text[:max_length]
        assert owner == list(range(min(len(text), max_length)))
    assert tokens.counts.tolist() == [min(len(t), max_length) for t in texts]


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
    words, texts = small_words(family), [t.split() for t in [*small_texts(5), "Ünïcödé 🙂 שלום film"]]
    words.save(tmp_path)
    again = type(words).load(tmp_path)
    before, after = words.encode(texts, 20), again.encode(texts, 20)
    assert before.ids.tolist() == after.ids.tolist()
    assert before.words.tolist() == after.words.tolist()
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


def test_a_byte_level_tokenizer_gives_a_word_the_same_tokens_wherever_it_stands():
    """Such a tokenizer knows a word at the start of a text as another one than behind a space."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(["low lower lowest new newer newest wide"] * 20, trainer)
    words = SubWords(PreTrainedTokenizerFast(tokenizer_object=made, pad_token="!", unk_token="!"))
    text = ["low", "newest", "low", "é🙂", "lower"]
    ids, owner = unpacked(words.encode([text], 64))
    first, third = ([t for t, w in zip(ids, owner, strict=True) if w == place] for place in (0, 2))
    assert first == third
    assert ids == made.encode(" " + " ".join(text)).ids  # as in running text, which is what encoders are trained on
    rest, _ = unpacked(words.encode([text[1:]], 64))
    assert rest == [t for t, w in zip(ids, owner, strict=True) if w != 0]


@pytest.mark.parametrize(("text", "expected"), [
    (" a\tb\n c ", ["a", "b", "c"]), (["a b", " ", "c"], ["a b", "c"]), (("x",), ["x"]),
    ("🙂 שלום مرحبا", ["🙂", "שלום", "مرحبا"]), ("a\u3000b\u00a0c", ["a", "b", "c"]), ("a\x00b", ["a\x00b"]),
])  # fmt: skip
def test_a_word_is_what_stands_between_spaces(text, expected):
    assert split(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("\ud800 b", ["\ufffd", "b"]), (["x\udfff"], ["x\ufffd"]), ("\ud83d\ude42", ["\U0001f642"]),
])  # fmt: skip
def test_a_lone_surrogate_becomes_the_replacement_character(text, expected):
    assert split(text) == expected


@pytest.mark.parametrize("text", ["", "  \n", [], [" "]])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(ValueError, match="a text needs at least one word"):
        split(text)


@pytest.mark.parametrize("text", [None, 3, b"bytes", ["a", 3], {"a": 1}, [["a"]]])
def test_what_is_not_a_text_is_refused(text):
    with pytest.raises(TypeError, match="a text must be a string or a list of words"):
        split(text)


def test_the_place_of_a_bad_text_is_named():
    with pytest.raises(ValueError, match="text 2: "):
        split_all(["a", "b", ""])
    with pytest.raises(TypeError, match=r"write \[text\]"):
        split_all("a b")
