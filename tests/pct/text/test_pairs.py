"""Pairs of texts as documents and as tokens: as transformers tokenises them, each word on its side."""

import pickle

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pct.text.saved_tokenizer import load_subwords
from pct.text.subwords import SubWords
from pct.text.tokens import TOKEN_TYPE, Tokens, only_side, repeat_texts
from pct.text.vocabulary import Vocabulary
from pct.text.words import Document, split, split_all
from tests.pct.models.families import FAMILIES, TEXTS, tokenizer
from tests.pct.text.test_words import ANY_TEXT

PAIRS = [(TEXTS[0], "fine"), ("fine", TEXTS[2]), (TEXTS[1], TEXTS[3]), ("a b", "It is  slow, isn't it? ")]


def of_text(tokens: Tokens, text: int) -> tuple[list[int], list[int]]:
    own = slice(tokens.starts[text], tokens.starts[text + 1])
    return tokens.ids[own].tolist(), tokens.word_ids[own].tolist()


def by_transformers(name: str, pair: tuple[str, str], **options: object) -> list[int]:
    given = tokenizer(name)(*pair, **options)
    types = given.get("token_type_ids", [0] * len(given["input_ids"]))
    return [i + TOKEN_TYPE * t for i, t in zip(given["input_ids"], types, strict=True)]


def test_a_tuple_of_two_strings_is_a_pair_and_any_other_sequence_the_words_of_one_text():
    pair = split(("Great film!", "A bad one"))
    assert list(pair) == ["Great", "film", "!", "A", "bad", "one"]
    assert (pair.text, pair.second.text, pair.first_words) == ("Great film!", "A bad one", 3)
    assert pair.spans == [(0, 5), (6, 10), (10, 11), (0, 1), (2, 5), (6, 9)]
    assert [list(part) for part in pair.parts] == [["Great", "film", "!"], ["A", "bad", "one"]]
    assert pair.given == ("Great film!", "A bad one")
    for words in (["Great", "film"], ("a", "b", "c"), ("a",)):
        single = split(words)
        assert (single.second, single.first_words, single.parts) == (None, len(words), [single])


def test_a_pair_can_be_sent_to_another_process():
    pair = split(("Great film!", "A bad one"))
    again = pickle.loads(pickle.dumps(pair))  # noqa: S301  what a process pool does
    assert (again, again.text, again.spans, again.second) == (pair, pair.text, pair.spans, pair.second)


@pytest.mark.parametrize("pair", [("", "a"), ("a", " ")])
def test_each_text_of_a_pair_needs_a_word(pair):
    with pytest.raises(ValueError, match="text 0: a text needs at least one word"):
        split_all([pair])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("max_length", [9, 14, 500])
def test_a_pair_is_tokenised_and_cut_as_transformers_does_it(name, max_length):
    tokens = SubWords(tokenizer(name)).encode(split_all(PAIRS), max_length)
    for text, pair in enumerate(PAIRS):
        assert of_text(tokens, text)[0] == by_transformers(name, pair, truncation=True, max_length=max_length)


@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["BERT", "RoBERTa", "XLNet"]))
@example(" a ", "\u200b b", "RoBERTa")
def test_a_token_belongs_to_the_word_of_its_own_text_with_its_first_character(first, second, name):
    assume(first.split() and second.split())
    document = split((first, second))
    parts = document.parts
    whole = tokenizer(name)(*document.given, return_offsets_mapping=True)
    owners = []
    for (start, _), side in zip(whole["offset_mapping"], whole.sequence_ids(), strict=True):
        owner = -1
        if side is not None:
            character = start
            while character < len(parts[side].text) and parts[side].text[character].isspace():
                character += 1
            inside = [i for i, (a, b) in enumerate(parts[side].spans) if a <= character < b]
            owner = inside[0] + side * len(parts[0]) if inside else -1
        owners.append(owner)
    assume(set(owners) != {-1})
    tokens = SubWords(tokenizer(name)).encode([document], 4000)
    kept = sorted(set(owners) - {-1})
    assert tokens.places(0).tolist() == kept
    assert of_text(tokens, 0)[1] == [-1 if w == -1 else kept.index(w) for w in owners]


def test_pairs_and_single_texts_of_a_batch_have_the_tokens_that_each_has_alone():
    texts = split_all([PAIRS[0], TEXTS[0], PAIRS[1], "fine", PAIRS[2]])
    for name in FAMILIES:
        words = SubWords(tokenizer(name))
        together = words.encode(texts, 16)
        for i, text in enumerate(texts):
            alone = words.encode([text], 16)
            assert of_text(together, i) == of_text(alone, 0)
            assert together.places(i).tolist() == alone.places(0).tolist()
            assert together.truncated[i] == alone.truncated[0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_words_that_are_cut_of_both_texts_are_counted(side):
    import copy

    cutting = copy.deepcopy(tokenizer("DistilBERT"))
    cutting.truncation_side = side
    pair = split(("fine film isn't bad " * 3, "a b " * 20))
    tokens = SubWords(cutting).encode([pair], 20)
    assert len(tokens.ids) == 20
    assert tokens.counts[0] + tokens.truncated[0] == len(pair)
    assert SubWords(cutting).encode([pair], 500).truncated[0] == 0


def test_a_saved_tokenizer_gives_pairs_the_same_tokens(tmp_path):
    for name in ("BERT", "XLNet", "RoBERTa"):
        SubWords(tokenizer(name)).save(tmp_path / name)
        before = SubWords(tokenizer(name)).encode(split_all(PAIRS), 20)
        for words in (load_subwords(tmp_path / name), SubWords.load(tmp_path / name)):
            after = words.encode(split_all(PAIRS), 20)
            np.testing.assert_array_equal(after.ids, before.ids)
            np.testing.assert_array_equal(after.word_ids, before.word_ids)


def test_the_same_unknown_word_is_unknown_on_both_sides():
    tokens = SubWords(tokenizer("BERT")).encode(split_all([("fine 漢", "漢 fine")]), 64)
    assert tokens.known(0).tolist() == [True, False, False, True]


def test_a_vocabulary_refuses_a_pair_with_the_remedy():
    with pytest.raises(ValueError, match="textcnn and lstm read one text, not a pair of texts: use an encoder, or"):
        Vocabulary(["a"]).encode(split_all(["a", ("a", "b")]), 9)


@pytest.mark.parametrize("remove", ["first", "second"])
def test_only_the_words_of_one_side_are_counted(remove):
    """Against a loop over tokens; the ids stay."""
    documents = split_all([*PAIRS, ("fine film", "a longer text of more words than can be kept")])
    tokens = SubWords(tokenizer("RoBERTa")).encode(documents, 24)
    chosen = only_side(tokens, documents, remove)
    np.testing.assert_array_equal(chosen.ids, tokens.ids)
    np.testing.assert_array_equal(chosen.truncated, tokens.truncated)
    for i, document in enumerate(documents):
        places = tokens.places(i)
        own = [p for p in places if (p >= document.first_words) == (remove == "second")]
        assert chosen.places(i).tolist() == own
        assert chosen.counts[i] == len(own)
        words = [places[w] if w >= 0 else -1 for w in of_text(tokens, i)[1]]
        assert of_text(chosen, i)[1] == [own.index(w) if w in own else -1 for w in words]
    twice = repeat_texts(chosen, np.array([2, 2]))
    assert of_text(twice, 1) == of_text(chosen, 2)


def test_both_sides_change_nothing_and_a_side_without_words_is_refused():
    documents = split_all(["fine", PAIRS[0]])
    tokens = SubWords(tokenizer("BERT")).encode(documents, 24)
    assert only_side(tokens, documents, "both") is tokens
    assert only_side(tokens, documents, "first").counts[0] == 1
    with pytest.raises(ValueError, match="remove second: no word of 'fine' may be removed; give pairs, or remove both"):
        only_side(tokens, documents, "second")
    with pytest.raises(ValueError, match="remove must be one of both, first, second, got 'left'"):
        only_side(tokens, documents, "left")


def test_a_document_is_no_pair_of_words():
    assert split(Document.of_words(["a", "b"])).second is None
