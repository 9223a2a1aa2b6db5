"""Progress of long work on standard error: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 30.0  # seconds between the lines of a log


@contextmanager
def progress_of(total: int, title: str, unit: str, shown: bool) -> Iterator[Callable[[int], object]]:
    """Gives a function that is told how many more are done.

    Args:
        total: how many there are.
        title: what is done, as "auditing".
        unit: what is counted, as "texts".
        shown: whether anything is printed.
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
    """Prints how much is done and how long the rest will take, at most once in `EVERY` seconds."""

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
    """Seconds as a reader says them: 40 s, 3 min, 2 h 10 min."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
