"""Whether a model learned more than always naming the largest class, against slow twins."""

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
    actual = beside_largest_class(0.55, [30, 70])
    assert (actual.share, str(actual)) == (0.7, "no better than always the largest class (0.700)")
    assert str(beside_largest_class(0.72, [30, 70])) == "not significantly better than always the largest class (0.700)"
    assert str(beside_largest_class(0.95, [30, 70])) == "better than always the largest class (0.700)"


def wilson_by_halving(share, number):
    """The shares for which the measured one lies 1.96 of their standard errors away."""

    def below(share):
        low, high = 0.0, share
        for _ in range(200):
            middle = (low + high) / 2
            too_far = share - middle > 1.959963984540054 * math.sqrt(middle * (1 - middle) / number)
            low, high = (middle, high) if too_far else (low, middle)
        return low

    return below(share), 1 - below(1 - share)


@pytest.mark.parametrize(("share", "number"), [(0.5, 2), (0.0, 5), (1.0, 12), (0.731, 1066)])
def test_wilson_s_interval_ends_where_the_share_lies_two_errors_away(share, number):
    expected = pytest.approx(wilson_by_halving(share, number), abs=1e-9)
    assert wilson(share, number) == expected
    assert share_of(np.array([share] * number + [math.nan])).interval == expected


def test_two_splits_differ_by_more_than_chance_in_one_of_twenty_where_they_do_not_differ():
    rng = np.random.default_rng(0)
    pairs = rng.binomial(500, 0.8, (4000, 2)) / 500
    told = np.mean([differ_by_more_than_chance((p, 500), (q, 500)) for p, q in pairs])
    assert 0.035 < told < 0.065
    assert differ_by_more_than_chance((0.95, 200), (0.5, 200))
    assert not differ_by_more_than_chance((1.0, 20), (1.0, 20))
