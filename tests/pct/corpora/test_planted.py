"""The planted corpus: its size and lengths, and that its marks say what they claim."""

import numpy as np
import pytest

from pct.corpora.planted import FLIPPED_SHARE, LEXICON, MAX_WORDS, MIN_WORDS, SHORTCUT_SHARE, SHORTCUTS, generate

SPLITS = ("train", "validation", "test")
POLARITY = {word: polarity for (polarity, _), words in LEXICON.items() for word in words}
STRENGTH = {word: strength for (_, strength), words in LEXICON.items() for word in words}
NEGATIONS = {"never", "not", "hardly", "no"}


@pytest.fixture(scope="module")
def rows():
    return generate()


def marked(row, name):
    return [word for word, mark in zip(row["text"].split(), row[name], strict=True) if mark]


def said(row):
    """The polarity of each rationale word, a negation before it turning it around."""
    found, turned = [], 1
    for word in marked(row, "rationale"):
        if word in NEGATIONS:
            turned = -1
        else:
            found.append(turned * POLARITY[word])
            turned = 1
    return found


def test_it_has_the_size_of_mr(rows):
    assert {name: len(rows[name]) for name in SPLITS} == {"train": 8530, "validation": 1066, "test": 1066}


def test_a_seed_gives_the_same_rows_and_another_seed_others():
    sizes = (60, 20, 20)
    assert generate(3, sizes) == generate(3, sizes)
    assert generate(3, sizes) != generate(4, sizes)


def test_splits_are_drawn_apart():
    rows = generate(0, (50, 50, 50))
    assert rows["train"] != rows["validation"] != rows["test"]


@pytest.mark.parametrize("split", SPLITS)
def test_texts_have_8_to_40_words_and_a_mark_for_each(rows, split):
    for row in rows[split]:
        words = row["text"].split()
        assert MIN_WORDS <= len(words) <= MAX_WORDS
        assert len(row["rationale"]) == len(row["shortcut"]) == len(words)
        assert set(row["rationale"]) | set(row["shortcut"]) <= {0, 1}
        assert " ".join(words) == row["text"]


@pytest.mark.parametrize("split", SPLITS)
def test_every_rationale_is_of_sentiment_words_and_negations_that_agree(rows, split):
    for row in rows[split]:
        words = marked(row, "rationale")
        assert words
        assert all(word in POLARITY or word in NEGATIONS for word in words)
        assert len(set(said(row))) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_the_rationale_says_the_label_but_for_the_flipped_share(rows, split):
    right = np.mean([(said(row)[0] > 0) == bool(row["label"]) for row in rows[split]])
    # five standard errors of a share of 3 % among a thousand texts are under 3 points
    assert right == pytest.approx(1 - FLIPPED_SHARE[split], abs=0.03)
    assert right < 1


@pytest.mark.parametrize("split", SPLITS)
def test_shortcut_marks_are_one_whole_phrase(rows, split):
    phrases = set(SHORTCUTS)
    for row in rows[split]:
        words = tuple(marked(row, "shortcut"))
        assert not words or words in phrases


@pytest.mark.parametrize("split", SPLITS)
def test_the_shortcut_goes_with_the_label_in_training_and_not_in_test(rows, split):
    for label in (0, 1):
        share = np.mean([any(row["shortcut"]) for row in rows[split] if row["label"] == label])
        assert share == pytest.approx(SHORTCUT_SHARE[split][label], abs=0.08)
    assert SHORTCUT_SHARE["test"][0] == SHORTCUT_SHARE["test"][1]
    assert SHORTCUT_SHARE["train"][1] - SHORTCUT_SHARE["train"][0] > 0.3


@pytest.mark.parametrize("split", SPLITS)
def test_the_classes_are_balanced(rows, split):
    assert np.mean([row["label"] for row in rows[split]]) == pytest.approx(0.5, abs=0.08)


def test_sentiment_comes_in_both_polarities_and_three_strengths_without_overlap():
    assert set(LEXICON) == {(p, s) for p in (1, -1) for s in (1, 2, 3)}
    assert len(POLARITY) == sum(len(words) for words in LEXICON.values())


def test_it_is_not_trivial(rows):
    """Texts hold contrast clauses and negations: the words' own polarity is a poor guide to the label."""
    texts = rows["train"]
    assert np.mean([any(w in NEGATIONS for w in marked(row, "rationale")) for row in texts]) > 0.2
    against = [any(POLARITY.get(w, 0) * (1 if row["label"] else -1) < 0 for w in row["text"].split()) for row in texts]
    assert np.mean(against) > 0.4
    counted = [
        sum(POLARITY.get(w, 0) * STRENGTH.get(w, 0) for w in row["text"].split()) * (1 if row["label"] else -1) > 0
        for row in texts
    ]
    assert np.mean(counted) < 0.85


@pytest.mark.parametrize(("seed", "sizes", "message"), [
    (0, (10, 10), "three numbers"), (0, (10, 0, 10), "three numbers >= 1"), (-1, (1, 1, 1), "seed must be >= 0"),
])  # fmt: skip
def test_sizes_and_seeds_that_make_no_sense_are_refused(seed, sizes, message):
    with pytest.raises(ValueError, match=message):
        generate(seed, sizes)
