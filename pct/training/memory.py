"""How much memory a process holds, and has held. No torch here."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_mb() -> float:
    """Resident memory now, in MiB; the peak where the system does not tell (without /proc)."""
    return _status("VmRSS") if STATUS.exists() else _peak_of_usage()


def peak_mb() -> float:
    """The largest resident memory of this process so far, or since `forget_peak`, in MiB; NaN where none is counted.

    getrusage's count begins with what the parent held when it started this process; Linux' own begins anew.
    """
    return _status("VmHWM") if STATUS.exists() else _peak_of_usage()


def forget_peak() -> None:
    """The peak is the present again, on Linux; elsewhere it stays."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def _status(name: str) -> float:
    line = next((x for x in STATUS.read_text().splitlines() if x.startswith(name)), "")
    return int(line.split()[1]) / 2**10 if line else _peak_of_usage()


def _peak_of_usage() -> float:
    try:
        import resource
    except ImportError:  # Windows has no such count
        return float("nan")
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 2**10)
