"""Cheap requests overtake dear ones: three queues, each with a thread of its own, of which the dearer gives way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from serving.batching import Batcher
from serving.limits import Limits

NAMES = ("predict", "light", "heavy")
# Passes of the model up to which an explanation is light: four texts of the usual length, or so.
LIGHT = 500
# Seconds that dear work waits for cheap work before each of its own calls of the model. Not for ever: a stream of cheap
# requests must not keep it from its end.
PATIENCE = 0.05


class Job(Hashable, Protocol):
    """What is done with texts; requests with equal jobs go together."""

    def lane(self, texts: Sequence[Any]) -> str:
        """One of NAMES."""
        ...

    def run(self, texts: Sequence[Any], deadline: float, give_way: Callable[[], None]) -> list[Any]:
        """An answer a text; give_way is called before each call of the model."""
        ...


class Precedence:
    """Counts the requests of each lane, and lets a dearer one wait for cheaper ones."""

    def __init__(self) -> None:
        self._at_work = [0] * len(NAMES)
        self._changed = threading.Condition()

    @contextmanager
    def at_work(self, level: int) -> Iterator[None]:
        """A request of a lane, from its arrival to its end."""
        self._add(level, 1)
        try:
            yield
        finally:
            self._add(level, -1)

    def give_way(self, level: int) -> None:
        """Returns when no cheaper request is at work, or patience is at its end."""
        if level and any(self._at_work[:level]):
            with self._changed:
                self._changed.wait_for(lambda: not any(self._at_work[:level]), PATIENCE)

    def _add(self, level: int, n: int) -> None:
        with self._changed:
            self._at_work[level] += n
            self._changed.notify_all()


class Lanes:
    """Where requests wait for the model."""

    def __init__(self, limits: Limits) -> None:
        self._precedence = Precedence()
        self._batchers = {
            name: Batcher(partial(self._run, level), limits.batch, limits.queue, name)
            for level, name in enumerate(NAMES)
        }

    async def submit(self, job: Job, texts: Sequence[Any], seconds: float) -> list[Any]:
        """An answer a text. Raises TimeoutError, BusyError, or what the job raises."""
        name = job.lane(texts)
        with self._precedence.at_work(NAMES.index(name)):
            return await self._batchers[name].submit(job, texts, seconds)

    def close(self) -> None:
        """Lets the calls at work end and takes no others."""
        for batcher in self._batchers.values():
            batcher.close()

    def _run(self, level: int, job: Job, texts: Sequence[Any], deadline: float) -> list[Any]:
        return job.run(texts, deadline, partial(self._precedence.give_way, level))
