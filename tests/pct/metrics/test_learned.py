"""Whether a model learned more than always naming the largest class, against slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pct.metrics.base import share_of, wilson
from pct.metrics.learned import beside_largest_class, differ_by_more_than_chance


def test_a_model_learned_something_where_the_whole_interval_lies_above_the_largest_class():
    assert beside_largest_class(0.80, [50, 50]).learned
    assert not beside_largest_class(0.55, [50, 50]).learned
    assert beside_largest_class(0.55, [5000, 5000]).learned
    assert not beside_largest_class(0.80, [80, 20]).learned
    found = beside_largest_class(0.55, [30, 70])
    assert (found.share, str(found)) == (0.7, "no better than always the largest class (0.700)")
    assert str(beside_largest_class(0.72, [30, 70])) == "not surely better than always the largest class (0.700)"
    assert str(beside_largest_class(0.95, [30, 70])) == "better than always the largest class (0.700)"


@pytest.mark.parametrize(("share", "number"), [(0.5, 10), (64 / 71, 71), (0.0, 5), (1.0, 5)])
def test_wilson_s_interval_holds_the_shares_that_do_not_reject_what_was_seen(share, number):
    low, high = wilson(share, number)
    for truth in np.linspace(0.001, 0.999, 997):
        z = abs(share - truth) / math.sqrt(truth * (1 - truth) / number)
        if abs(z - 1.96) > 0.02:
            assert (low <= truth <= high) == (z < 1.96)
    hits = np.arange(number) < round(share * number)
    assert share_of(hits.astype(float)).interval == pytest.approx((low, high))


def test_two_splits_differ_by_more_than_chance_in_one_of_twenty_where_they_do_not_differ():
    rng = np.random.default_rng(0)
    pairs = rng.binomial(500, 0.8, (4000, 2)) / 500
    told = np.mean([differ_by_more_than_chance((p, 500), (q, 500)) for p, q in pairs])
    assert 0.035 < told < 0.065
    assert differ_by_more_than_chance((0.95, 200), (0.5, 200))
    assert not differ_by_more_than_chance((1.0, 20), (1.0, 20))
