"""The verdict on a text: three values, and words that say what the curves show."""

import itertools

import numpy as np
import pytest

import pct
from pct.explaining.verdict import TOLERANCE, VERDICTS, judge, tolerances, verdict_scores
from tests.pct.toy import Scale


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
        "removing the most salient words never changes the prediction, removing the least salient does after 2, "
        "with one word left, which does not count as a difference"
    )
    assert judge(0.0, 0.0, None, None, 3).reasons[1] == "no removal, in either order, changes the prediction"


def test_the_reasons_of_a_pathology_are_those_that_make_it_one():
    assert len(judge(0.5, 0.1, 7, 2, 9).reasons) == 1
    assert "changes the prediction after 7, removing the least salient after 2" in judge(0.5, 0.1, 7, 2, 9).reasons[0]
    assert len(judge(0.1, 0.5, 7, 2, 9).reasons) == 2
    assert "differ by no more than 0.01" in judge(0.011, 0.012, 2, 5, 9).reasons[0]


def test_of_too_few_words_that_alone_is_said():
    assert judge(float("nan"), float("nan"), None, None, 1).reasons == ("no order of one word can be judged",)
    assert judge(0.4, 0.1, None, 1, 2).reasons == ("no order of two words can be judged",)


def slow_tolerance(confidence, classes):
    """The definition, word for word."""
    way = (confidence - 1 / classes) / (1 - 1 / classes)
    if way < 0.05:
        return float("inf")
    return 0.01 if way >= 0.5 else 0.01 / (2 * way)


def test_the_tolerance_is_that_of_the_definition_and_stays_where_a_text_is_confident():
    for classes in (2, 3, 77):
        values = np.linspace(1 / classes, 1, 50)
        assert tolerances(values, classes) == pytest.approx([slow_tolerance(f, classes) for f in values])
    assert tolerances(np.array([0.75, 0.9, 1.0]), 2).tolist() == [TOLERANCE] * 3
    assert tolerances(np.array([0.51, 0.6]), 77).tolist() == [TOLERANCE] * 2


def test_a_prediction_that_is_close_to_a_draw_has_no_verdict():
    """Of 77 classes with a confidence of .044, a difference of .012 and a flip are noise."""
    tolerance = float(tolerances(np.array([0.044]), 77)[0])
    found = judge(0.001, 0.013, None, 2, 20, tolerance)
    assert found.kind == "undecided"
    assert "close to a draw" in found.reasons[0]
    assert judge(0.001, 0.013, None, 2, 20).kind == "pathological"


def test_an_unsure_prediction_is_measured_more_coarsely():
    tolerance = float(tolerances(np.array([0.6]), 2)[0])
    assert tolerance == pytest.approx(0.025)
    assert judge(0.001, 0.02, None, None, 20, tolerance).kind == "undecided"
    (reason, _) = judge(0.001, 0.02, None, None, 20, tolerance).reasons
    assert "no more than 0.025, the tolerance for a prediction" in reason
    assert judge(0.001, 0.03, None, None, 20, tolerance).kind == "pathological"
    assert judge(0.05, 0.0, 2, 5, 20, tolerance).kind == "healthy"


def test_a_flip_says_to_which_class():
    (_, flips) = judge(0.2, 0.0, 2, 5, 9, new_classes=("bad", "so so")).reasons
    assert flips == (
        "removing the most salient words changes the prediction after 2 (to bad), removing the least salient after 5 "
        "(to so so)"
    )
    found = pct.explain(Scale(), ["superb good the bad"])[0]
    assert found.important.flips_at
    assert found.important.flips_to == "negative"
    assert "(to negative)" in " ".join(found.verdict.reasons)
    assert found.unimportant.flips_to is None


def test_a_text_s_verdict_goes_with_the_confidence_of_its_prediction():
    draw = Scale({"nearly": 0.05, "the": 0.0})
    found = pct.explain(draw, ["nearly the the the the"])[0]
    assert (found.tolerance, found.verdict.kind) == (float("inf"), "undecided")
    assert pct.explain(Scale(), ["superb the good"])[0].tolerance == TOLERANCE
    # a class that was asked for, and is not predicted, is judged by the prediction too
    assert pct.explain(Scale(), ["superb the good"], classes=[0])[0].tolerance == TOLERANCE
