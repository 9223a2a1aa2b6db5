"""The memory of this process, now and at its peak. This module needs no torch."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_mb() -> float:
    """The current resident memory in MiB; the peak on systems without /proc."""
    return _status("VmRSS") if STATUS.exists() else _peak_of_usage()


def peak_mb() -> float:
    """The peak resident memory of this process, since its start or `reset_peak`, in MiB; NaN on Windows.

    The peak of getrusage includes the memory of the parent at the start of this process; that of /proc does not.
    """
    return _status("VmHWM") if STATUS.exists() else _peak_of_usage()


def reset_peak() -> None:
    """Resets the peak to the current memory, on Linux only."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def _status(name: str) -> float:
    line = next((x for x in STATUS.read_text().splitlines() if x.startswith(name)), "")
    return int(line.split()[1]) / 2**10 if line else _peak_of_usage()


def _peak_of_usage() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 2**10)
