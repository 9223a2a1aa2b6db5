"""Progress of long work in a log: lines with the time that is left, none for short work."""

import pytest

from pct.output import progress
from pct.output.progress import duration, progress_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59.4, "59 s"), (60, "1 min"), (3540, "59 min"), (3600, "1 h 0 min"), (8100, "2 h 15 min")],
)
def test_a_duration_has_one_unit_or_two(seconds, words):
    assert duration(seconds) == words


def test_a_log_gets_a_line_in_thirty_seconds_with_the_time_that_is_left(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress_of(400, "auditing", "texts", shown=True) as after:
        for now[0] in (10.0, 20.0, 40.0, 50.0, 80.0):
            after(50)
    assert capsys.readouterr().err.splitlines() == [
        "auditing: 150 of 400 texts, about 1 min left",
        "auditing: 250 of 400 texts, about 48 s left",
    ]


def test_short_or_silent_work_prints_nothing(capsys):
    for shown in (True, False):
        with progress_of(2, "auditing", "texts", shown) as after:
            after(1)
            after(1)
    assert capsys.readouterr() == ("", "")
