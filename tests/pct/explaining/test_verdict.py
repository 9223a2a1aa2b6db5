"""The verdict on a text: three values, and words that say what the curves show."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pct.explaining.verdict import TOLERANCE, VERDICTS, judge, verdict_scores


def slow_verdict(comp, suff, important, unimportant, n):
    """The definition, word for word."""
    if n <= 2 or comp != comp or suff != suff:
        return 0
    ir, ur = important or n - 1, unimportant or n - 1
    flip_seen = bool(important or unimportant)
    if suff - comp > TOLERANCE or (ur < ir and flip_seen):
        return -1
    if comp - suff > TOLERANCE and ir < ur and flip_seen:
        return 1
    return 0


def test_many_verdicts_are_those_of_the_definition():
    values = (-0.2, -0.005, 0.0, 0.004, 0.011, 0.3, float("nan"))
    cases = [
        (comp, suff, important, unimportant, n)
        for n in (1, 2, 3, 6)
        for comp, suff in itertools.product(values, values)
        for important, unimportant in itertools.product(range(n), range(n))
    ]
    columns = [np.array(c) for c in zip(*cases, strict=True)]
    assert verdict_scores(*columns).tolist() == [slow_verdict(*c) for c in cases]
    for case in cases[::7]:
        assert VERDICTS.index(judge(*case).kind) - 1 == slow_verdict(*case)
        assert judge(*case).reasons


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ((0.11, 0.001, 3, None, 12), "healthy"),
        ((0.11, 0.001, None, None, 12), "undecided"),  # no flip was seen
        ((0.001, 0.004, None, None, 12), "undecided"),  # flat curves
        ((0.001, 0.02, None, None, 12), "pathological"),
        ((0.11, 0.001, 9, 2, 12), "pathological"),
        ((0.2, 0.0, 1, None, 2), "undecided"),  # two words
        ((0.2, 0.0, 5, None, 6), "undecided"),  # a flip at the last step is no sooner than none
    ],
)
def test_a_verdict(case, kind):
    assert judge(*case).kind == kind


def test_a_confidence_that_rises_is_said_to_rise():
    (first, second) = judge(0.2, -0.013, 2, None, 9).reasons
    assert "lowers the confidence by 0.200" in first
    assert "raises it by 0.013" in first
    assert "by -" not in first
    assert (
        second
        == "removing the most salient words changes the prediction after 2, removing the least salient never does"
    )


def test_no_reason_denies_a_flip_that_was_seen():
    # the least salient word's removal flips it, at the last step of both orders
    reasons = judge(0.0, 0.0, None, 2, 3).reasons
    assert reasons[1] == (
        "removing the most salient words never changes the prediction, removing the least salient does after 2: "
        "neither comes first"
    )
    assert judge(0.0, 0.0, None, None, 3).reasons[1] == "no removal, in either order, changes the prediction"


def test_the_reasons_of_a_pathology_are_those_that_make_it_one():
    assert len(judge(0.5, 0.1, 7, 2, 9).reasons) == 1
    assert "changes the prediction after 7, removing the least salient after 2" in judge(0.5, 0.1, 7, 2, 9).reasons[0]
    assert len(judge(0.1, 0.5, 7, 2, 9).reasons) == 2
    assert "differ by no more than 0.01" in judge(0.011, 0.012, 2, 5, 9).reasons[0]


def test_of_too_few_words_that_alone_is_said():
    assert judge(float("nan"), float("nan"), None, None, 1).reasons == ("of one word no order can be judged",)
    assert judge(0.4, 0.1, None, 1, 2).reasons == ("of two words no order can be judged",)
