"""Waiting for what other processes do, and a port for them."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PATIENCE = 600  # seconds until what must come; a crowded machine needs them

Value = TypeVar("Value")


def until(condition: Callable[[], Value | None], log: Path | None = None, every: float = 0.05) -> Value:
    """Waits until a function returns what is true or not empty, and returns that.

    Args:
        condition: called again and again.
        log: a file whose text is in the error.
        every: the seconds between two calls.

    Raises:
        AssertionError: it did not come about.
    """
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            messages = log.read_text(errors="replace") if log else ""
            raise AssertionError(f"what was waited for did not come about\n{messages}")
        time.sleep(every)
    return value


def free_port() -> int:
    """A port of loopback where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
