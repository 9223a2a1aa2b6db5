"""The rule by which one version is the champion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.champion import Candidate, check_margin, choose_champion, why_not_champion

NAN, INFINITE = float("nan"), float("inf")


def a(version: int, accuracy: float, gap: float, measure: str = "m", limited: bool = False) -> Candidate:
    return Candidate(version, accuracy, gap, frozenset({measure}), limited)


def chosen(*candidates: Candidate, margin: float = 0.01, champion: int | None = None) -> int | None:
    found = choose_champion(list(candidates), margin, champion)
    return found.version if found else None


def test_the_larger_gap_wins_within_a_point_of_accuracy():
    assert chosen(a(1, 0.90, 0.1), a(2, 0.893, 0.3)) == 2


def test_a_gap_does_not_pay_for_more_than_a_point():
    assert chosen(a(1, 0.90, 0.1), a(2, 0.88, 0.9)) == 1


def test_exactly_the_margin_is_within_it():
    assert chosen(a(1, 0.90, 0.1), a(2, 0.89, 0.3)) == 2
    assert chosen(a(1, 0.7, 0.1), a(2, 0.6, 0.3), margin=0.1) == 2


def test_the_margin_is_a_setting():
    assert chosen(a(1, 0.90, 0.1), a(2, 0.86, 0.3), margin=0.05) == 2
    assert chosen(a(1, 0.90, 0.1), a(2, 0.899, 0.3), margin=0.0) == 1


def test_equal_gaps_leave_the_champion_then_the_older():
    assert chosen(a(1, 0.9, 0.2), a(2, 0.9, 0.2), champion=2) == 2
    assert chosen(a(1, 0.9, 0.2), a(2, 0.9, 0.2)) == 1


def test_a_better_accuracy_may_unseat_a_champion_that_lacks_it():
    assert chosen(a(1, 0.85, 0.5), a(2, 0.90, 0.1), champion=1) == 2


def test_what_was_measured_otherwise_is_not_compared_with_the_champion():
    assert chosen(a(1, 0.9, 0.1), a(2, 0.9, 0.4, "other saliency"), champion=1) == 1


def test_a_quick_look_never_unseats_a_whole_run_and_a_whole_run_always_unseats_it():
    assert chosen(a(1, 0.9, 0.1), a(2, 1.0, 0.9, "part", limited=True), champion=1) == 1
    assert chosen(a(1, 1.0, 0.9, "part", limited=True), a(2, 0.8, 0.0), champion=1) == 2


def test_without_versions_there_is_no_champion():
    assert chosen() is None


candidates = st.lists(
    st.tuples(st.floats(0, 1), st.floats(-1, 1), st.sampled_from("ab"), st.booleans()), min_size=1, max_size=8
).map(lambda rows: [a(i + 1, *row) for i, row in enumerate(rows)])


@given(candidates, st.floats(0, 0.2))
def test_the_choice_is_stable_and_keeps_the_rule(rows, margin):
    first = choose_champion(rows, margin)
    assert first is not None
    assert choose_champion(rows, margin, first.version) == first
    assert choose_champion(rows[::-1], margin) == first
    rivals = [c for c in rows if (c.measured_on, c.limited) == (first.measured_on, first.limited)]
    best = max(c.accuracy for c in rivals)
    assert first.accuracy >= best - margin - 1e-8
    assert all(c.gap <= first.gap for c in rivals if c.accuracy >= best - margin)


@pytest.mark.parametrize(("accuracy", "gap"), [(NAN, 0.3), (0.9, NAN), (0.9, INFINITE), (INFINITE, 0.3)])
def test_numbers_that_are_not_finite_never_win_and_never_stay(accuracy, gap):
    broken = a(2, accuracy, gap)
    assert chosen(a(1, 0.6, 0.0), broken) == 1
    assert chosen(a(1, 0.6, 0.0), broken, champion=2) == 1
    assert chosen(broken, champion=2) is None
    assert "not finite" in why_not_champion([broken], broken, None, 0.01)


def test_no_better_than_always_the_largest_class_is_no_champion():
    lazy = Candidate(1, 0.95, 0.3, floor=0.95)
    assert choose_champion([lazy]) is None
    assert choose_champion([lazy, Candidate(2, 0.96, 0.1, floor=0.95)]) == Candidate(2, 0.96, 0.1, floor=0.95)
    reason = why_not_champion([lazy], lazy, None, 0.01)
    assert "0.9500 is not better than the share of the largest class, 0.9500" in reason


def test_versions_compare_that_share_one_key_of_what_they_were_measured_on():
    old = Candidate(1, 0.9, 0.1, frozenset({"old formula"}))
    both = Candidate(2, 0.9, 0.3, frozenset({"old formula", "new formula"}))
    new = Candidate(3, 0.9, 0.5, frozenset({"new formula"}))
    assert choose_champion([old, both], champion=1) == both
    assert choose_champion([old, new], champion=1) == old


@pytest.mark.parametrize("margin", [-0.01, 1.5, float("nan")])
def test_a_margin_outside_of_a_share_is_refused(margin):
    with pytest.raises(ValueError, match="champion_margin"):
        check_margin(margin)
