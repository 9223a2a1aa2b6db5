"""The record: read back as it stood, whatever moment the driver was killed in."""

import json
from pathlib import Path

import pytest

from tests.tuning.conftest import ended, record
from tuning.ledger import FAILED, FINISHED, RUNNING, STOPPED, Ledger


def filled(folder: Path) -> Ledger:
    ledger = Ledger(folder)
    ledger.open_session()
    ended(ledger, 1, 0.8, 0.1)
    ledger.start(2, {"alpha": 0.5, "batch_size": 16})
    ledger.epoch(2, record(1))
    ledger.checkpoint(2, "session-1/trial-0002/checkpoint_000000")
    ledger.retry(2, "the worker died")
    ledger.start(3, {"alpha": 0.7, "batch_size": 16})
    ledger.end(3, FAILED, error="ValueError: no")
    return ledger


def test_a_ledger_is_read_back_as_it_stood(tmp_path):
    before = filled(tmp_path)
    after = Ledger(tmp_path)
    assert after.trials == before.trials
    assert after.sessions == 1
    assert [(t.number, t.state) for t in after] == [(1, FINISHED), (2, RUNNING), (3, FAILED)]
    assert after.trials[2].checkpoint.endswith("checkpoint_000000")
    assert (after.trials[2].epoch, after.trials[2].retries) == (1, 1)


def test_a_kill_at_any_byte_leaves_a_ledger_that_goes_on(tmp_path):
    filled(tmp_path / "whole")
    raw = (tmp_path / "whole" / "trials.jsonl").read_bytes()
    for length in range(0, len(raw), 7):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "trials.jsonl").write_bytes(raw[:length])
        known = Ledger(folder)
        assert len(known.path.read_bytes().splitlines()) == max(1, raw[:length].count(b"\n"))
        known.start(9, {"alpha": 1.0})
        assert 9 in Ledger(folder).trials


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    filled(tmp_path)
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    lines[2] = lines[2][:10]
    (tmp_path / "trials.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"trials\.jsonl, line 3, is damaged"):
        Ledger(tmp_path)


def test_an_epoch_or_an_end_that_comes_again_is_not_counted_twice(ledger):
    ledger.start(1, {})
    for epoch in (1, 2, 1, 2, 3):
        ledger.epoch(1, record(epoch))
    ledger.end(1, FINISHED, {"acc": 0.7})
    ledger.end(1, STOPPED)
    assert [r["epoch"] for r in ledger.trials[1].records] == [1, 2, 3]
    assert ledger.trials[1].state == FINISHED
    assert sum(json.loads(line)["event"] == "end" for line in ledger.path.read_text().splitlines()) == 1


def test_a_record_that_cannot_be_written_says_how_to_go_on(ledger):
    ledger.path.unlink()
    ledger.path.mkdir()
    with pytest.raises(OSError, match=r"could not be written .*; free disk space and continue with pct sweep --resume"):
        ledger.start(1, {})
    assert 1 not in ledger.trials
