"""What stops a command: an interrupt of the terminal, and the signals of an operating system that ends a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Turns a terminate signal, and the hang-up of a terminal, into an interrupt: temporary files are then removed, and
    runs of MLflow ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers}
    for n in numbers:
        if before[n] is not signal.SIG_IGN:  # nohup
            signal.signal(n, stop)
    try:
        yield
    finally:
        for n in numbers:
            signal.signal(n, before[n])
