"""Batches of texts over any predictor: every row once, the order kept, equal rows not run twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pct
from pct.explaining.predictor import TOKENS_A_BATCH, batches, check_classes, distinct_rows, forward_over, predict_ids
from pct.explaining.removal import TEXTS_A_BLOCK
from tests.pct.metrics.test_metrics import sigmoid
from tests.pct.small import FAMILIES, small_classifier, small_texts
from tests.pct.toy import WEIGHTS, Scale

WORDS = list(WEIGHTS)
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=1, max_size=30)


class Watched(Scale):
    """Keeps the shapes that it is asked for."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, ids, mask):
        assert ids.shape == mask.shape
        self.shapes.append(ids.shape)
        return super().forward(ids, mask)


@given(st.lists(st.integers(1, 500), max_size=200), st.sampled_from([64, 4096]))
def test_every_row_is_in_one_batch_and_batches_are_bounded(lengths, budget):
    found = batches(np.array(lengths, np.int64), budget)
    assert sorted(i for part in found for i in part) == list(range(len(lengths)))
    for part in found:
        assert len(part) == 1 or (len(part) - 1) * min(lengths[i] for i in part) < budget


@given(TEXTS)
def test_predictions_are_in_the_order_of_the_texts(texts):
    found = Scale().predict(texts)
    expected = [sigmoid(sum(WEIGHTS[w] for w in text)) for text in texts]
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-6)


@given(TEXTS)
def test_saliencies_are_in_the_order_of_the_texts(texts):
    assert [row.tolist() for row in Scale().saliency(texts)] == [[abs(WEIGHTS[w]) for w in text] for text in texts]


def test_memory_is_bounded_by_the_batch_and_not_by_the_number_of_texts():
    watched = Watched()
    texts = [[WORDS[i % 7]] * (1 + i % 40) for i in range(3000)]
    watched.predict(texts)
    pct.evaluate(watched, (texts[:600], [0] * 600))
    assert max(rows * width for rows, width in watched.shapes) <= 2 * TOKENS_A_BATCH


# ids from few, with the padding's own among them: rows that are each other's beginnings are common
ROWS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=40)


@given(ROWS)
def test_equal_rows_are_run_once_and_unequal_ones_are_not_confused(rows):
    watched = Watched()
    flat = np.array([token for row in rows for token in row], np.int64)
    found = predict_ids(watched.forward, flat, np.array([len(row) for row in rows]), padding=0)
    expected = [sigmoid(sum(watched.weights[token] for token in row)) for row in rows]
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-6)
    assert sum(count for count, _ in watched.shapes) == len({tuple(row) for row in rows})


def test_texts_that_share_a_reduced_form_run_it_once():
    once, often = Scale(), Scale()
    text = "good the bad superb fine slow"
    pct.evaluate(once, ([text], [1]))
    pct.evaluate(often, ([text] * 20, [1] * 20))
    assert often.rows_seen < 20 * once.rows_seen


@pytest.mark.parametrize(("classes", "message"), [
    ([0, 2], r"label 2 is outside the model's classes 0\.\.1"), ([0], "2 texts need 2 class indices"),
    ([[0], [1]], r"got an array of shape \(2, 1\)"),
])  # fmt: skip
def test_class_indices_are_checked(classes, message):
    with pytest.raises(ValueError, match=message):
        check_classes(classes, 2, 2)


def test_a_class_of_one_s_own_is_a_predictor_and_half_a_one_is_not():
    assert isinstance(Scale(), pct.Predictor)
    assert not isinstance(object(), pct.Predictor)


def test_rows_whose_hashes_meet_are_not_taken_for_one(monkeypatch):
    class SameFactors:
        def integers(self, low, high, size, kind):
            return np.ones(size, kind)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: SameFactors())
    first, inverse = distinct_rows(np.array([2, 5, 5, 2, 2, 5]), np.array([2, 2, 2]))
    assert inverse.tolist() == [0, 1, 2]
    assert first.tolist() == [0, 1, 2]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_computed_once_for_a_block_s_tokens_changes_no_probability(family):
    classifier = small_classifier(family)
    tokens = classifier.tokens([text.split() for text in small_texts(12, seed=3)])
    ids, words = tokens.rows(np.arange(len(tokens)))
    found = forward_over(classifier, tokens)(ids, words > -2)
    np.testing.assert_allclose(found, classifier.forward(ids, words > -2), atol=1e-6)


def test_a_predictor_that_shares_nothing_is_asked_as_ever():
    scale = Scale()
    assert forward_over(scale, scale.tokens([["good"]])) == scale.forward


def test_texts_are_studied_a_block_at_a_time():
    class Counting(Scale):
        most = 0

        def tokens(self, texts):
            self.most = max(self.most, len(texts))
            return super().tokens(texts)

    counting = Counting()
    pct.evaluate(counting, (["good the bad"] * (2 * TEXTS_A_BLOCK + 1), [1] * (2 * TEXTS_A_BLOCK + 1)))
    assert counting.most == TEXTS_A_BLOCK


def test_no_text_is_reduced_further_than_a_metric_needs():
    """40 words whose most important one decides: behind that flip, the important side runs the steps of the means."""
    scale = Scale()
    report = pct.evaluate(scale, (["superb good dreadful " + "the " * 37], [1]))
    assert (report.ir, report.ur) == (1.0, 38.0)
    original, first_steps, means, to_the_flip = 1, 2, len({2, 3, 4, 8, 20}), len(range(2, 40))
    assert scale.rows_seen == original + first_steps + means + to_the_flip
