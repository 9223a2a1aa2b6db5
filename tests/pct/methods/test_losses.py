"""The contrastive loss and the entropy term against loops in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pct.methods.losses import contrastive_loss, mean_entropy
from tests.pct import twins


def rows_of(n, width=4, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sets_of(positives, negatives):
    """The sets of a mini-batch as training lays them out: the originals, their positives, their negatives.

    positives, negatives: how many texts each original has without unimportant words, and without important ones.
    """
    k = range(len(positives))
    return [
        *k,
        *(i for i in k for _ in range(positives[i])),
        *(i + len(positives) for i in k for _ in range(negatives[i])),
    ]


# name, then m_u and m_i of each text
LAYOUTS = {
    "m = 2 on both sides": ([2, 2, 2], [2, 2, 2]), "different lengths": ([1, 3, 2], [2, 1, 4]),
    "m_i = 1, so that the important side is sets of one": ([1, 1, 1], [1, 1, 1]),
    "texts of one word among others: sets of one, and empty ones": ([0, 2, 0], [0, 2, 0]), "one text": ([3], [2]),
    "one text of two words": ([1], [1]), "all texts of one word but one of two": ([0, 0, 1], [0, 0, 1]),
}  # fmt: skip


@pytest.mark.parametrize("temperature", [0.07, 0.15, 0.7, 5.0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_contrastive_loss_is_the_loop_s(layout, temperature):
    sets = sets_of(*LAYOUTS[layout])
    rows = rows_of(len(sets))
    expected = twins.contrastive(rows.tolist(), sets, temperature)
    assert float(contrastive_loss(rows, torch.tensor(sets), temperature)) == pytest.approx(expected, rel=1e-10)
    single = contrastive_loss(rows.float(), torch.tensor(sets), temperature)
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=14), st.floats(0.05, 10), st.integers(0, 99))
def test_the_contrastive_loss_is_the_loop_s_for_any_sets(sets, temperature, seed):
    rows = rows_of(len(sets), seed=seed)
    expected = twins.contrastive(rows.tolist(), sets, temperature)
    found = float(contrastive_loss(rows, torch.tensor(sets), temperature))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.permutations(range(9)))
def test_the_order_of_rows_does_not_matter(order):
    rows, sets = rows_of(9), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 4])
    moved = contrastive_loss(rows[list(order)], sets[list(order)], 0.5)
    assert float(moved) == pytest.approx(float(contrastive_loss(rows, sets, 0.5)), rel=1e-12)


def test_a_set_of_one_is_no_anchor_but_stays_in_the_denominators_of_others():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    lone = contrastive_loss(rows, torch.tensor([0, 0, 1]), 0.5)
    two = contrastive_loss(torch.cat([rows, rows[:1]]), torch.tensor([0, 0, 1, 2]), 0.5)
    assert float(lone) == pytest.approx(0.0)  # each anchor: -log(e^2 / e^2), and the lone row adds no term
    assert float(two) == pytest.approx(math.log(2))  # a second lone row doubles each denominator


def test_rows_that_are_equal_are_ties_and_give_the_counts_alone():
    rows = torch.ones(6, 3, dtype=torch.float64)
    sets = torch.tensor([0, 0, 0, 1, 1, 1])
    assert float(contrastive_loss(rows, sets, 0.7)) == pytest.approx(math.log(3 / 2))  # 3 outsiders, 2 partners


def test_the_loss_can_be_negative_where_sets_are_apart():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]], dtype=torch.float64)
    sets = [0, 0, 1, 1]
    found = float(contrastive_loss(rows, torch.tensor(sets), 0.5))
    assert found < -1
    assert found == pytest.approx(twins.contrastive(rows.tolist(), sets, 0.5))


@pytest.mark.parametrize(("what", "sets"), [
    ("no row has a partner", [0, 1, 2]), ("no row has an outsider", [0, 0, 0]), ("there is one row", [0]),
])  # fmt: skip
def test_the_loss_is_zero_with_a_zero_gradient_where(what, sets):
    rows = rows_of(len(sets)).requires_grad_(True)
    loss = contrastive_loss(rows, torch.tensor(sets), 0.7)
    loss.backward()
    assert loss.item() == 0.0
    assert rows.grad.abs().max() == 0.0, what


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_is_that_of_the_loop(layout):
    sets = sets_of(*LAYOUTS[layout])
    rows = rows_of(len(sets)).requires_grad_(True)
    contrastive_loss(rows, torch.tensor(sets), 0.3).backward()
    expected = twins.finite_differences(
        lambda stack: [twins.contrastive(point.tolist(), sets, 0.3) for point in stack], rows.detach(), 1e-5
    )
    np.testing.assert_allclose(rows.grad, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_the_gradient_is_finite_for_ties_and_for_any_length_of_the_vectors(layout, scale):
    sets = sets_of(*LAYOUTS[layout])
    rows = (torch.ones(len(sets), 4) * scale).requires_grad_(True)
    loss = contrastive_loss(rows, torch.tensor(sets), 0.05)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(rows.grad).all()


def test_a_vector_of_zeros_does_not_spoil_the_loss():
    rows = torch.zeros(4, 3).requires_grad_(True)
    loss = contrastive_loss(rows, torch.tensor([0, 0, 1, 1]), 0.7)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(rows.grad).all()


def test_a_small_temperature_neither_overflows_nor_loses_the_loss():
    rows, sets = rows_of(8), [0, 0, 0, 1, 1, 1, 2, 3]
    expected = twins.contrastive(rows.tolist(), sets, 0.005)
    assert float(contrastive_loss(rows.float(), torch.tensor(sets), 0.005)) == pytest.approx(expected, rel=1e-3)


def test_under_bf16_the_loss_is_computed_in_float32():
    rows, sets = rows_of(12, 32).float(), torch.tensor(sets_of([2, 2], [3, 3]))
    coarse = rows.bfloat16()
    expected = float(contrastive_loss(coarse.float(), sets, 0.15))
    with torch.autocast("cpu", torch.bfloat16):
        found = contrastive_loss(coarse, sets, 0.15)
        also = contrastive_loss(coarse.float(), sets, 0.15)
    assert found.dtype == also.dtype == torch.float32
    assert float(found) == pytest.approx(expected, rel=1e-6)
    assert float(also) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -0.7, float("nan")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be > 0, got"):
        contrastive_loss(rows_of(2), torch.tensor([0, 0]), temperature)


@given(st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_mean_entropy_is_the_loop_s(logits):
    found = mean_entropy(torch.tensor(logits, dtype=torch.float64))
    assert float(found) == pytest.approx(twins.entropy(logits), rel=1e-9, abs=1e-12)


def test_entropy_is_log_of_the_classes_for_equal_logits_and_finite_for_certain_ones():
    assert float(mean_entropy(torch.zeros(2, 4))) == pytest.approx(math.log(4))
    logits = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    entropy = mean_entropy(logits)
    entropy.backward()
    assert entropy.item() == 0.0
    assert torch.isfinite(logits.grad).all()


def test_entropy_of_no_text_is_zero_and_can_be_differentiated():
    logits = torch.zeros(0, 3, requires_grad=True)
    entropy = mean_entropy(logits)
    entropy.backward()
    assert entropy.item() == 0.0


def test_entropy_under_bf16_is_in_float32():
    logits = torch.tensor([[0.5, -0.25]]).bfloat16()
    assert mean_entropy(logits).dtype == torch.float32
