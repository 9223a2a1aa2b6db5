"""Progress on standard error: a bar on a terminal, a line at intervals in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 30.0  # seconds between the lines of a log


@contextmanager
def progress_of(total: int, title: str, unit: str, shown: bool) -> Iterator[Callable[[int], object]]:
    """Yields a function to call with the number of units just done.

    Args:
        total: the number of units.
        title: of the task, such as "auditing".
        unit: the unit, such as "texts".
        shown: whether to print the progress.
    """
    if not shown:
        yield lambda count: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=title, unit=f" {unit}", leave=False) as bar:
            yield bar.update
    else:
        yield _Lines(total, title, unit)


class _Lines:
    """Prints the progress and the remaining time, at most once every `EVERY` seconds."""

    def __init__(self, total: int, title: str, unit: str) -> None:
        self.total, self.title, self.unit, self.done = total, title, unit, 0
        self.start = self.printed = time.monotonic()

    def __call__(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.printed < EVERY or self.done >= self.total:
            return
        left = (now - self.start) / self.done * (self.total - self.done)
        print(
            f"{self.title}: {self.done:,} of {self.total:,} {self.unit}, about {duration(left)} left",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        self.printed = now


def duration(seconds: float) -> str:
    """A duration as text: 40 s, 3 min, 2 h 10 min."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
