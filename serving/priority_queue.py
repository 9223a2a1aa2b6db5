"""Cheap requests overtake expensive ones: three lanes, each with its own thread; the more expensive one gives way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from serving.batching import Batcher
from serving.limits import Limits

LANES = ("predict", "light", "heavy")
# Passes of the model up to which an explanation is light: about four texts of the usual length.
LIGHT = 500
# Seconds that expensive work waits for cheap work before each of its own calls of the model. The wait is bounded, since
# a stream of cheap requests must not stop it.
PATIENCE = 0.05


class Job(Hashable, Protocol):
    """What is done with texts; requests with equal jobs share a batch."""

    def lane(self, texts: Sequence[Any]) -> str:
        """One of LANES."""
        ...

    def run(self, texts: Sequence[Any], deadline: float, give_way: Callable[[], None]) -> list[Any]:
        """An answer for each text; give_way is called before each call of the model."""
        ...


class ActiveRequests:
    """Counts the requests of each lane, and lets a more expensive one wait for cheaper ones."""

    def __init__(self) -> None:
        self._counts = [0] * len(LANES)
        self._changed = threading.Condition()

    @contextmanager
    def active(self, level: int) -> Iterator[None]:
        """A request of a lane, from its arrival to its end."""
        self._add(level, 1)
        try:
            yield
        finally:
            self._add(level, -1)

    def give_way(self, level: int) -> None:
        """Returns when no cheaper request is active, or after `PATIENCE`."""
        if level and any(self._counts[:level]):
            with self._changed:
                self._changed.wait_for(lambda: not any(self._counts[:level]), PATIENCE)

    def _add(self, level: int, n: int) -> None:
        with self._changed:
            self._counts[level] += n
            self._changed.notify_all()


class PriorityQueue:
    """Where requests wait for the model."""

    def __init__(self, limits: Limits) -> None:
        self._requests = ActiveRequests()
        self._batchers = {
            name: Batcher(partial(self._run, level), limits.batch, limits.queue, name)
            for level, name in enumerate(LANES)
        }

    async def submit(self, job: Job, texts: Sequence[Any], seconds: float) -> list[Any]:
        """An answer for each text. Raises TimeoutError, BusyError, or what the job raises."""
        name = job.lane(texts)
        with self._requests.active(LANES.index(name)):
            return await self._batchers[name].submit(job, texts, seconds)

    def close(self) -> None:
        """Lets the running calls end and starts no others."""
        for batcher in self._batchers.values():
            batcher.close()

    def _run(self, level: int, job: Job, texts: Sequence[Any], deadline: float) -> list[Any]:
        return job.run(texts, deadline, partial(self._requests.give_way, level))
