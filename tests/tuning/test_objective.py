"""The single score, the front and the choice, against slow definitions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuning.conftest import ended, tiny_plan
from tuning.ledger import BASELINE, FAILED, NORMAL, SEARCH, STOPPED, Ledger, Trial
from tuning.objective import (
    accuracy_floor,
    choose_registered,
    choose_trial,
    finished,
    pareto_front,
    score,
    trial_objectives,
    worth_keeping,
)
from tuning.proposals import TpeProposer, next_arm

VALUE = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4])


def trial(number: int, accuracy: float, gap: float) -> Trial:
    return Trial(number, {}, 0.0, "finished", values={"acc": accuracy, "comp_minus_suff": gap})


def test_every_trial_that_keeps_the_floor_stands_above_every_one_that_does_not():
    assert score(0.80, -1.9, 0.79) > score(0.78, 1.9, 0.79)
    assert score(0.80, 0.2, 0.79) > score(0.90, 0.1, 0.79)
    assert score(0.78, 0.0, 0.79) > score(0.70, 0.5, 0.79)
    assert score(0.79, 0.1, 0.79) == 0.1
    assert score(0.1, 0.3, math.nan) == 0.3


@given(st.lists(st.tuples(VALUE, VALUE), max_size=12))
def test_the_front_is_what_no_other_trial_dominates(points):
    trials = [trial(n, *point) for n, point in enumerate(points, 1)]
    expected = {
        p for p in points if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points)
    }  # a slow twin: q is better in one and as good in the other
    front = pareto_front(trials)
    assert {trial_objectives(t) for t in front} == expected
    assert len(front) == len(expected)
    assert [t.number for t in front] == [
        min(t.number for t in trials if trial_objectives(t) == trial_objectives(f)) for f in front
    ]


def test_the_choice_is_the_champion_rule_s(ledger):
    ended(ledger, 1, 0.800, 0.10)
    ended(ledger, 2, 0.795, 0.15)
    ended(ledger, 3, 0.780, 0.90)
    chosen, why = choose_trial(tiny_plan(), ledger)
    assert chosen.number == 2
    assert "within 0.01 of the best" in why
    assert choose_trial(tiny_plan(margin=0.03), ledger)[0].number == 3


def test_in_mode_single_the_baseline_s_accuracy_is_what_must_be_kept(ledger):
    ended(ledger, BASELINE, 0.760, 0.05, {"method": "normal"})
    ended(ledger, 1, 0.800, 0.10)
    ended(ledger, 2, 0.755, 0.30)
    ended(ledger, 3, 0.700, 0.90)
    chosen, why = choose_trial(tiny_plan(mode="single"), ledger)
    assert chosen.number == 2
    assert "that reach 0.7500" in why
    assert accuracy_floor(ledger, 0.01) == pytest.approx(0.75)


def test_where_no_trial_keeps_the_baseline_s_accuracy_it_is_said(ledger):
    ended(ledger, BASELINE, 0.90, 0.05, {"method": "normal"})
    ended(ledger, 1, 0.80, 0.10)
    ended(ledger, 2, 0.70, 0.30)
    chosen, why = choose_trial(tiny_plan(mode="single"), ledger)
    assert chosen.number == 1
    assert "none reached the baseline's accuracy minus 0.01 (0.8900)" in why


def test_trials_that_failed_or_were_stopped_are_not_chosen(ledger):
    with pytest.raises(ValueError, match="no trial finished"):
        choose_trial(tiny_plan(), ledger)
    for number, state in ((1, FAILED), (2, STOPPED)):
        ledger.start(number, {"alpha": 0.1, "batch_size": 16})
        ledger.end(number, state)
    ended(ledger, 3, 0.5, 0.1)
    ended(ledger, 4, 0.9, math.nan)
    assert [t.number for t in finished(ledger)] == [3]
    assert choose_trial(tiny_plan(), ledger)[0].number == 3


@given(st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=10), st.sampled_from(["pareto", "single"]))
def test_no_checkpoint_is_removed_that_could_still_be_chosen(tmp_path_factory, points, mode):
    ledger, plan = Ledger(tmp_path_factory.mktemp("ledger")), tiny_plan(mode=mode)
    ended(ledger, BASELINE, 0.2, 0.1, {"method": "normal"})
    kept = set()
    for number, point in enumerate(points, 1):
        ended(ledger, number, *point)
        kept = (kept | {number}) & worth_keeping(plan, ledger)
    assert choose_trial(plan, ledger)[0].number in kept


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_trial_whose_numbers_are_not_finite_never_wins(ledger, number):
    ended(ledger, 1, 0.6, 0.01)
    ended(ledger, 2, 0.9, number)
    ended(ledger, 3, number, 0.9)
    assert choose_trial(tiny_plan(), ledger)[0].number == 1
    assert [t.number for t in pareto_front(finished(ledger))] == [1]
    assert score(0.9, number, 0.5) == score(number, 0.9, 0.5) == -4.0 < score(0.0, -1.0, 1.0)


def test_a_baseline_that_dominates_the_choice_is_registered_in_its_place_and_said(ledger):
    ended(ledger, 0, 0.80, 0.20)
    ended(ledger, 1, 0.79, 0.15)
    ended(ledger, 2, 0.80, 0.10)
    chosen, why = choose_registered(tiny_plan(), ledger)
    assert chosen.number == 0
    assert "acc 0.8000 and comp - suff 0.2000 against 0.7900 and 0.1500; --force registers trial-001" in why
    assert 0 in worth_keeping(tiny_plan(), ledger)
    chosen, why = choose_registered(tiny_plan(), ledger, force=True)
    assert chosen.number == 1
    assert "registered by --force, although baseline (normal) is as good" in why


@pytest.mark.parametrize("base", [(0.85, 0.10), (0.70, 0.30), (0.80, 0.20), (math.nan, 0.9), (0.9, math.nan)])
def test_a_baseline_that_is_worse_in_one_or_equal_or_not_finite_leaves_the_choice(ledger, base):
    ended(ledger, 0, *base)
    ended(ledger, 1, 0.80, 0.20)
    assert choose_registered(tiny_plan(), ledger)[0].number == 1


def test_of_baselines_that_were_swept_the_best_is_compared(ledger):
    ended(ledger, 0, 0.70, 0.05)
    ended(ledger, 1, 0.80, 0.20)
    ended(ledger, 2, 0.82, 0.25, {"method": "normal", "lr": 0.001}, NORMAL)
    assert choose_registered(tiny_plan(), ledger)[0].name == "baseline-002"
    assert [t.number for t in finished(ledger)] == [1]


def test_a_swept_baseline_takes_turns_with_the_search(ledger):
    plan = tiny_plan(trials=2, sweep_baseline=True)
    ended(ledger, 0, 0.7, 0.1)
    arms = []
    while (arm := next_arm(plan, ledger)) is not None:
        arms.append(arm)
        ended(ledger, len(arms), 0.7, 0.1, arm=arm)
    assert arms == [SEARCH, NORMAL, SEARCH, NORMAL]
    assert set(TpeProposer(plan, NORMAL).propose(9, ledger)) == {"batch_size"}
