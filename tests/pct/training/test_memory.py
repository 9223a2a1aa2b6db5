"""The peak of a process is its own, not that of the process that started it."""

import subprocess
import sys

import numpy as np
import pytest

from pct.training.memory import CLEAR, STATUS, peak_mb, reset_peak, resident_mb

on_linux = pytest.mark.skipif(not STATUS.exists(), reason="needs Linux' /proc")


def hold(megabytes: int) -> float:
    """Fills and frees so much memory; returns what is resident in between."""
    held = np.ones(megabytes * 2**17)
    return resident_mb() + held[0] - 1


def test_the_peak_remembers_what_was_freed() -> None:
    before = resident_mb()
    during = hold(200)
    assert peak_mb() >= during - 1
    if STATUS.exists():
        assert during > before + 190


@on_linux
@pytest.mark.skipif(not CLEAR.exists(), reason="the system keeps its peak")
def test_a_peak_can_be_forgotten() -> None:
    hold(400)
    high = peak_mb()
    reset_peak()
    assert peak_mb() < high - 350


@on_linux
def test_a_small_process_of_a_large_one_tells_its_own_peak() -> None:
    held = np.ones(400 * 2**17)
    command = [sys.executable, "-c", "from pct.training.memory import peak_mb; print(peak_mb())"]
    small = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert small < resident_mb() - 300
    assert len(held)
