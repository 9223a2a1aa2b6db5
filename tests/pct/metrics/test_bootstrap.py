"""The paired bootstrap against loops, and against what theory says of its width."""

import numpy as np
import pytest

from pct.metrics.base import mean_of, share_of, wilson
from pct.metrics.bootstrap import interval_of, intervals_of, paired_bootstrap


def by_loops(before, after, draws, seed):
    """Draws whole samples, one text after another."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(draws):
        kept = []
        for _ in range(len(before)):
            i = rng.integers(len(before))
            if not np.isnan(before[i]) and not np.isnan(after[i]):
                kept.append(after[i] - before[i])
        means.append(np.mean(kept))
    return np.quantile(means, [0.025, 0.975])


def test_it_agrees_with_loops_up_to_the_chance_of_drawing():
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=60), rng.normal(0.3, 1, size=60)
    before[3], after[7] = np.nan, np.nan
    actual = paired_bootstrap(before, after)
    both = np.isfinite(before) & np.isfinite(after)
    assert actual.value == pytest.approx((after - before)[both].mean())
    np.testing.assert_allclose(actual[1:], by_loops(before, after, 4000, 5), atol=0.02)


def test_its_width_is_that_of_the_standard_error():
    rng = np.random.default_rng(2)
    difference = rng.normal(size=2000)
    actual = paired_bootstrap(np.zeros(2000), difference)
    assert (actual.high - actual.low) / 2 == pytest.approx(1.96 * difference.std() / np.sqrt(2000), rel=0.03)


def test_what_is_hard_for_both_falls_out():
    rng = np.random.default_rng(3)
    hard = 100 * rng.normal(size=500)
    actual = paired_bootstrap(hard, hard + 0.1)
    assert actual == pytest.approx((0.1, 0.1, 0.1))
    assert actual.excludes_zero


def test_no_difference_has_an_interval_around_zero():
    same = np.random.default_rng(4).normal(size=50)
    actual = paired_bootstrap(same, same)
    assert actual == (0, 0, 0)
    assert not actual.excludes_zero


def test_equal_seeds_draw_equal_texts_and_pieces_change_an_interval_by_chance_alone(monkeypatch):
    values = np.random.default_rng(5).normal(size=(2, 40))
    whole = paired_bootstrap(*values, draws=300)
    assert paired_bootstrap(*values, draws=300) == whole
    assert paired_bootstrap(*values, draws=300, seed=1) != whole
    monkeypatch.setattr("pct.metrics.bootstrap._CELLS", 400)
    assert paired_bootstrap(*values, draws=300) == pytest.approx(whole, abs=0.1)


@pytest.mark.parametrize("with_groups", [False, True])
def test_the_interval_of_many_texts_is_the_normal_one(monkeypatch, with_groups):
    rng = np.random.default_rng(7)
    values = rng.exponential(size=(3000, 2)) * [1, 100]
    values[:7, 1] = np.nan
    groups = rng.integers(0, 1500, 3000) if with_groups else None
    drawn = intervals_of(values, groups=groups)
    monkeypatch.setattr("pct.metrics.bootstrap.MOST_DRAWN", 100)
    for normal, one in zip(intervals_of(values, groups=groups), drawn, strict=True):
        assert normal.value == one.value
        assert normal[1:] == pytest.approx(one[1:], abs=0.1 * (one.high - one.value))


def grouped(seed=6):
    """Values of the rows of 40 texts, which have one to four rows each, and the text of each row."""
    rng = np.random.default_rng(seed)
    text = np.repeat(np.arange(40), rng.integers(1, 5, 40))
    values = rng.normal(size=40)[text] + 0.1 * rng.normal(size=len(text))
    values[5] = np.nan
    return values, text


def test_the_rows_of_a_text_are_drawn_together():
    values, text = grouped()
    rows, rng = [values[text == i] for i in range(40)], np.random.default_rng(1)
    means = [np.nanmean(np.concatenate([rows[i] for i in rng.integers(40, size=40)])) for _ in range(10_000)]
    actual = interval_of(values, text)
    assert actual.value == pytest.approx(np.nanmean(values))
    np.testing.assert_allclose(actual[1:], np.quantile(means, [0.025, 0.975]), atol=0.02)
    alone = interval_of(values)
    assert actual.high - actual.low > 1.3 * (alone.high - alone.low)
    assert interval_of(values, np.arange(len(values))) == alone


def test_the_standard_error_counts_the_texts_not_their_rows():
    values, text = grouped()
    actual, (_, low, high) = mean_of(values, text), interval_of(values, text)
    assert actual.value == pytest.approx(np.nanmean(values))
    assert actual.error == pytest.approx((high - low) / 2 / 1.96, rel=0.1)
    alone = mean_of(values)
    assert mean_of(values, np.arange(len(values))) == pytest.approx(alone)
    assert mean_of(np.repeat(values, 3), np.repeat(np.arange(len(values)), 3)) == pytest.approx(alone)
    assert np.isnan(mean_of(values[:1], text[:1]).error)
    shares = (values > 0).astype(float)[np.isfinite(values)]
    assert share_of(np.repeat(shares, 3), np.repeat(np.arange(len(shares)), 3)).interval == pytest.approx(
        wilson(shares.mean(), len(shares) - 1)
    )
    assert share_of(np.ones(6), np.arange(6) // 3).interval == wilson(1.0, 6)


def test_nothing_to_measure_is_nan():
    nothing = np.full(4, np.nan)
    assert np.isnan(paired_bootstrap(nothing, np.ones(4))).all()
    assert not paired_bootstrap(nothing, np.ones(4)).excludes_zero


@pytest.mark.parametrize(("shapes", "level", "message"), [
    (((3,), (4,)), 0.95, r"\(3,\) and \(4,\)"), (((3, 1), (3, 1)), 0.95, "texts"), (((3,), (3,)), 1.0, "level .* 1.0"),
])  # fmt: skip
def test_what_makes_no_pairs_is_refused(shapes, level, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(*(np.zeros(s) for s in shapes), level=level)
