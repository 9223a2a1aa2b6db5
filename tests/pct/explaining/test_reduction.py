"""Rankings and reduced texts, in numpy and in torch, against loops over lists of words."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pct.explaining.reduction import reduce_tokens, removal_ranks, steps_of, words_to_remove
from pct.methods.reduced_batch import reduce_batch
from pct.text.vocabulary import Vocabulary
from tests.pct import twins
from tests.pct.small import LEXICON, small_words

# few distinct values, so that ties are common
SALIENCIES = st.lists(st.sampled_from([0.0, 0.25, 1.0, -3.0]) | st.floats(-5, 5, width=32), min_size=1, max_size=12)
BATCHES = st.lists(SALIENCIES, min_size=1, max_size=5)


def reduce_rows(ids, words, ranks, text, step, padding):
    """Row r is text `text[r]` without its words of rank `step[r]` or less, padded.

    ids, words: (texts, length). ranks: (texts, words). text, step: (rows,). Returns ids and word maps, both
    (rows, longest); -2 marks padding.
    """
    gone, counts = ranks[text] <= step[:, None], words.max(1) + 1
    return reduce_tokens(ids[text], words[text], gone, counts[text], padding).rows(np.arange(len(text)))


def padded(rows, fill=99.0):
    """Saliencies as a rectangle; what stands beyond a text's words must not matter."""
    out = np.full((len(rows), max(map(len, rows))), fill, np.float32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out, np.array([len(row) for row in rows])


def texts_of(rows):
    """A text of different words for each saliency, some of several sub-words."""
    return [[LEXICON[(3 * i + w) % len(LEXICON)] for w in range(len(row))] for i, row in enumerate(rows)]


@pytest.mark.parametrize("share", ["0.01", "0.05", "0.07", "0.1", "0.14", "0.2", "0.28", "0.5", "0.57", "0.9", "1"])
def test_m_is_the_ceiling_of_the_share_and_leaves_one_word(share):
    """Also where the product is a whole number and floating point puts it a little above: 0.28 of 25."""
    counts = range(1, 257)
    expected = [twins.how_many(n, share) for n in counts]
    assert words_to_remove(np.array(counts), float(share)).tolist() == expected


def test_m_at_the_paper_s_share():
    counts = np.array([1, 2, 10, 11, 20, 21, 70])
    assert words_to_remove(counts, 0.1).tolist() == [0, 1, 1, 2, 2, 3, 7]
    assert words_to_remove(counts, 1.0).tolist() == [0, 1, 9, 10, 19, 20, 69]


@pytest.mark.parametrize("share", [0, -0.1, 1.0001, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(share):
    with pytest.raises(ValueError, match=r"share of words .* \(0, 1\]"):
        words_to_remove(np.array([5]), share)


@given(BATCHES, st.booleans())
def test_ranks_follow_saliency_and_break_ties_by_position(rows, important):
    saliency, counts = padded(rows, fill=-99.0 if important else 99.0)
    ranks = removal_ranks(saliency, counts, important)
    for i, row in enumerate(rows):
        order = twins.removal_order([float(np.float32(x)) for x in row], important)
        assert np.argsort(ranks[i, : len(row)]).tolist() == order
        assert sorted(ranks[i].tolist()) == list(range(1, saliency.shape[1] + 1))
        assert (ranks[i, len(row) :] > len(row)).all()


@pytest.mark.parametrize("fill", [-np.inf, np.inf, np.nan, 0.0])
def test_what_stands_beyond_the_words_of_a_text_is_never_ranked_among_them(fill):
    saliency, counts = padded([[1.0, 3.0], [0.0, 0.0, 2.0]], fill)
    for important, expected in ((True, [[2, 1, 3], [2, 3, 1]]), (False, [[1, 2, 3], [1, 2, 3]])):
        assert removal_ranks(saliency, counts, important).tolist() == expected


def test_steps_number_the_reduced_texts_of_each_text():
    text, step = steps_of(np.array([2, 0, 3]))
    assert text.tolist() == [0, 0, 2, 2, 2]
    assert step.tolist() == [1, 2, 1, 2, 3]
    assert [part.tolist() for part in steps_of(np.array([0, 0]))] == [[], []]


def expected_rows(words, texts, rows, important, steps):
    """Ids and word maps of the reduced texts: what the words' own `encode` gives for the reduced lists of words."""
    out = []
    for i, (text, row) in enumerate(zip(texts, rows, strict=True)):
        order = twins.removal_order([float(np.float32(x)) for x in row], important)
        out += [(i, rest) for rest in twins.reduced(text, order, steps[i])]
    tokens = words.encode([rest for _, rest in out], 64)
    cuts = [slice(a, b) for a, b in zip(tokens.starts[:-1], tokens.starts[1:], strict=True)]
    return [(i, tokens.ids[c].tolist(), tokens.word_ids[c].tolist()) for (i, _), c in zip(out, cuts, strict=True)]


@pytest.mark.parametrize("family", ["textcnn", "transformer"])
@given(BATCHES, st.booleans(), st.sampled_from([0.1, 0.3, 0.5, 1.0]))
def test_a_reduced_row_is_the_reduced_text_tokenized_again(family, rows, important, share):
    words, texts = small_words(family), texts_of(rows)
    saliency, counts = padded(rows)
    tokens = words.encode(texts, 64)
    ids, of_token = tokens.rows(np.arange(len(texts)))
    steps = words_to_remove(counts, share)
    text, step = steps_of(steps)
    out, out_words = reduce_rows(ids, of_token, removal_ranks(saliency, counts, important), text, step, tokens.padding)
    found = [
        (int(i), row[owner > -2].tolist(), owner[owner > -2].tolist())
        for i, row, owner in zip(text, out, out_words, strict=True)
    ]
    assert found == expected_rows(words, texts, rows, important, steps)
    assert (out[out_words == -2] == tokens.padding).all()
    inside = out_words > -2
    assert (inside[:, :-1] >= inside[:, 1:]).all()  # padding on the right alone


@pytest.mark.parametrize("family", ["textcnn", "transformer"])
@given(BATCHES, st.booleans(), st.sampled_from([0.1, 0.3, 0.5, 1.0]))
def test_the_training_batch_is_reduced_as_the_loop_does_it(family, rows, important, share):
    words, texts = small_words(family), texts_of(rows)
    saliency, counts = padded(rows)
    tokens = words.encode(texts, 64)
    ids, of_token = tokens.rows(np.arange(len(texts)))
    steps = words_to_remove(counts, share)
    tensors = [torch.from_numpy(x) for x in (of_token, saliency, counts)]
    source, mask, text = reduce_batch(*tensors, steps, important)
    out = ids.reshape(-1)[source.numpy()]
    found = [(int(i), row[inside].tolist()) for i, row, inside in zip(text, out, mask.numpy(), strict=True)]
    expected = [(i, row) for i, row, _ in expected_rows(words, texts, rows, important, steps)]
    assert sorted(found) == sorted(expected)


def test_no_text_is_changed_by_being_reduced():
    ids, words = np.array([[5, 6, 7]]), np.array([[0, 1, 2]])
    ranks = np.array([[2, 1, 3]])
    before = ids.copy(), words.copy(), ranks.copy()
    reduce_rows(ids, words, ranks, np.array([0, 0]), np.array([1, 2]), 0)
    assert all((a == b).all() for a, b in zip((ids, words, ranks), before, strict=True))


# The paper's Tables 7, 8 and 9: the printed sequences, with the words in the order in which they go.
FILM = "leigh's film is full of memorable performances from top to bottom"
WORK = "a work of astonishing delicacy and force"
PRINTED = [
    (FILM, "memorable performances", ["leigh's film is full of performances from top to bottom",
                                      "leigh's film is full of from top to bottom"]),
    (FILM, "of from is to leigh's full film", [
        "leigh's film is full memorable performances from top to bottom",
        "leigh's film is full memorable performances top to bottom",
        "leigh's film full memorable performances top to bottom",
        "leigh's film full memorable performances top bottom",
        "film full memorable performances top bottom",
        "film memorable performances top bottom",
        "memorable performances top bottom"]),
    (WORK, "astonishing force delicacy work of", [
        "a work of delicacy and force", "a work of delicacy and", "a work of and", "a of and", "a and"]),
    (WORK, "of delicacy a and force work", [
        "a work astonishing delicacy and force", "a work astonishing and force", "work astonishing and force",
        "work astonishing force", "work astonishing", "astonishing"]),
    (WORK, "of delicacy a and work force", [
        "a work astonishing delicacy and force", "a work astonishing and force", "work astonishing and force",
        "work astonishing force", "astonishing force", "astonishing"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "order", "printed"), PRINTED)
def test_the_paper_s_printed_reductions_come_out(text, order, printed):
    words = text.split()
    vocabulary = Vocabulary(words)
    tokens = vocabulary.encode([words], 64)
    ids, of_token = tokens.rows(np.array([0]))
    gone = [words.index(w) for w in order.split()]
    saliency = np.array([[float(len(gone) - gone.index(w)) if w in gone else 0.0 for w in range(len(words))]])
    ranks = removal_ranks(saliency, tokens.counts, True)
    steps = np.arange(1, len(printed) + 1)
    out, owner = reduce_rows(ids, of_token, ranks, np.zeros_like(steps), steps, tokens.padding)
    texts = [" ".join(vocabulary.words[t - 2] for t in row[w > -2]) for row, w in zip(out, owner, strict=True)]
    assert texts == printed
