"""What comes next depends on the seed, the number and the record alone."""

from pathlib import Path

import pytest

from tests.tuning.conftest import ended, record, tiny_plan
from tuning.ledger import BASELINE, FAILED, STOPPED, Ledger
from tuning.plan import Plan
from tuning.proposals import STARTUP, TpeProposer


def grown(folder: Path, plan: Plan, trials: int) -> Ledger:
    """A sweep whose gap is best at small alpha and whose accuracy is best at large."""
    ledger = Ledger(folder)
    ended(ledger, BASELINE, 0.7, 0.1, {"method": "normal"})
    for number in range(1, trials + 1):
        config = TpeProposer(plan).propose(number, ledger)
        ended(ledger, number, 0.6 + 0.2 * config["alpha"], 0.3 - 0.2 * config["alpha"], config)
    return ledger


@pytest.mark.parametrize("mode", ["pareto", "single"])
def test_a_sweep_that_goes_on_from_its_record_proposes_what_it_would_have(tmp_path, mode):
    plan = tiny_plan(mode=mode)
    whole = grown(tmp_path / "whole", plan, STARTUP + 5)
    grown(tmp_path / "cut", plan, STARTUP + 2)
    again = Ledger(tmp_path / "cut")
    for number in range(STARTUP + 3, STARTUP + 6):
        config = TpeProposer(plan).propose(number, again)
        assert config == whole.trials[number].config
        ended(again, number, 0.6 + 0.2 * config["alpha"], 0.3 - 0.2 * config["alpha"], config)


def test_another_seed_searches_elsewhere(tmp_path):
    first, other = (grown(tmp_path / str(s), tiny_plan(seed=s), 4) for s in (0, 1))
    assert first.trials[1].config == other.trials[1].config  # the base's own values
    assert all(first.trials[n].config != other.trials[n].config for n in (2, 3, 4))


def test_the_first_trial_has_the_base_s_own_values_where_the_ranges_hold_them(ledger):
    assert TpeProposer(tiny_plan()).propose(1, ledger) == {"alpha": 0.1, "batch_size": 64}
    outside = tiny_plan(ranges={"alpha": "uniform(0.5, 1.0)"})
    assert 0.5 <= TpeProposer(outside).propose(1, ledger)["alpha"] <= 1.0


def test_the_single_objective_learns_from_the_score(tmp_path):
    """The floor of 0.69 asks for alpha of at least 0.45; above it the gap wants alpha small."""
    plan = tiny_plan(mode="single", ranges={"alpha": "uniform(0.0, 1.0)"})
    ledger = grown(tmp_path, plan, 40)
    late = [ledger.trials[n].config["alpha"] for n in range(31, 41)]
    assert 0.4 < sum(late) / len(late) < 0.65


def test_failed_stopped_and_running_trials_are_known_to_the_sampler(ledger):
    plan = tiny_plan(mode="single")
    ended(ledger, BASELINE, 0.7, 0.1, {"method": "normal"})
    for number in range(1, STARTUP + 3):
        ended(ledger, number, 0.7, 0.1, {"alpha": 0.02 * number, "batch_size": 32})
    ledger.start(20, {"alpha": 0.9, "batch_size": 32})
    ledger.end(20, FAILED, error="no")
    ledger.start(21, {"alpha": 0.8, "batch_size": 32})
    ledger.epoch(21, record(1))
    ledger.end(21, STOPPED)
    ledger.start(22, {"alpha": 0.7, "batch_size": 16})
    assert set(TpeProposer(plan).propose(23, ledger)) == {"alpha", "batch_size"}
