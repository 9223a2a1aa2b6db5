"""Early stopping: rungs by the score, filled from the record of an earlier driver."""

from types import SimpleNamespace

import pytest

from tests.tuning.conftest import ended, record, tiny_plan
from tuning.ledger import BASELINE, Ledger
from tuning.tune_hooks import AshaScheduler, SweepState


@pytest.fixture
def scheduler(ledger: Ledger) -> AshaScheduler:
    """Of a sweep that goes on: five trials have passed the first rung, with gaps of .1 to .5."""
    plan = tiny_plan(mode="single", base=tiny_plan().base.replace(epochs=4))
    ended(ledger, BASELINE, 0.7, 0.9, {"method": "normal"})
    for number in range(1, 6):
        ended(ledger, number, 0.7, 0.1 * number)
    for number in range(6, 10):
        ledger.start(number, {"alpha": 0.1, "batch_size": 32})
    return AshaScheduler(plan, SweepState(ledger, ""))


def judge(scheduler: AshaScheduler, number: int, epoch: int, gap: float) -> str:
    """What becomes of a trial, as Ray Tune asks."""
    result = {"number": number, **{f"record/{k}": v for k, v in record(epoch, 0.7, gap).items()}}
    return scheduler.on_trial_result(None, SimpleNamespace(trial_id="of Ray"), result)


def test_a_trial_goes_on_where_its_score_is_in_the_best_third_of_its_rung(scheduler):
    """The cutoff is the percentile 66.7 of the gaps at the rung, the trial's own not among them; epoch 2 is no rung."""
    assert judge(scheduler, 6, 1, 0.36) == "STOP"  # of .1 .2 .3 .4 .5 it is .367
    assert judge(scheduler, 7, 1, 0.38) == "CONTINUE"
    assert judge(scheduler, 7, 2, -1.0) == "CONTINUE"


def test_an_epoch_that_is_repeated_counts_once_and_the_last_one_is_not_judged(scheduler):
    for _ in range(9):  # a trial that starts again from its checkpoint
        assert judge(scheduler, 6, 1, 0.9) == "CONTINUE"
    assert judge(scheduler, 7, 1, 0.45) == "CONTINUE"  # nine times .9 would have made the cutoff .9
    assert judge(scheduler, 8, 4, -1.0) == "CONTINUE"


def test_a_baseline_is_not_judged(scheduler):
    assert judge(scheduler, BASELINE, 1, -1.0) == "CONTINUE"
