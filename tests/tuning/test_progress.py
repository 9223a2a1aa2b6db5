"""The table and the lines: what stands in them, and that a log is not redrawn."""

import io

from tests.tuning.conftest import ended, record, tiny_plan
from tuning.ledger import BASELINE, FAILED, STOPPED
from tuning.progress import Progress, table


def test_the_table_has_a_row_a_trial_with_settings_epoch_metrics_and_state(ledger):
    plan = tiny_plan()
    ended(ledger, BASELINE, 0.75, 0.05, {"method": "normal"})
    ended(ledger, 1, 0.8, 0.1)
    ledger.start(2, {"alpha": 0.5, "batch_size": 16})
    ledger.epoch(2, record(1, 0.6, -0.02))
    ledger.retry(2, "the worker died")
    ledger.start(3, {"alpha": 0.7, "batch_size": 16})
    ledger.end(3, FAILED, error="ValueError: no")
    head, columns, *rows = table(plan, ledger)
    assert head == "2 of 4 trials; 1 running, 2 finished, 1 failed"
    assert columns.split() == ["trial", "alpha", "batch", "epoch", "acc", "gap", "state"]
    by_name = {r.split()[0]: r.split()[1:] for r in rows}
    assert by_name["trial-001"] == ["0.1", "32", "1/2", "0.8000", "0.1000", "finished"]
    assert by_name["trial-002"] == ["0.5", "16", "1/2", "0.6000", "-0.0200", "running", "(1", "restarts)"]
    assert by_name["trial-003"][2:] == ["0/2", "-", "-", "failed:", "ValueError:", "no"]
    assert rows[0].startswith("trial-002")  # what runs comes first
    assert len(table(plan, ledger, rows=5)) == 5


def test_a_log_gets_a_line_a_trial_and_no_control_characters(ledger):
    out = io.StringIO()
    told = Progress(tiny_plan(), ledger, out=out)
    ledger.start(1, {"alpha": 0.25, "batch_size": 16})
    for epoch in (1, 2):
        ledger.epoch(1, record(epoch))
        told(1)
    assert out.getvalue() == ""
    ledger.end(1, "finished", {"acc": 0.7, "comp_minus_suff": 0.1})
    told(1)
    told(1)
    ledger.start(2, {"alpha": 0.5, "batch_size": 16})
    ledger.epoch(2, record(1))
    ledger.retry(2, "the worker died")
    told(2)
    ledger.end(2, STOPPED)
    told(2)
    assert out.getvalue().splitlines() == [
        "trial-001 (1 of 4): acc  0.7000 gap  0.1000; alpha 0.25, batch 16",
        "trial-002: its worker died, it starts again from epoch 1",
        "trial-002 (2 of 4): acc  0.7000 gap  0.1000, stopped after epoch 1; alpha 0.5, batch 16",
    ]


def test_a_terminal_s_table_is_redrawn_in_its_place(ledger):
    out = io.StringIO()
    told = Progress(tiny_plan(), ledger, live=True, out=out)
    ended(ledger, 1, 0.8, 0.1)
    told(1)
    ended(ledger, 2, 0.9, 0.1)
    told(2)
    assert "\x1b[3A\x1b[J" in out.getvalue()  # three lines up: those of the first table
    assert out.getvalue().count("trial-002") == 1
