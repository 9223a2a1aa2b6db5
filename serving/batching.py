"""Where requests wait for the model: three lanes, of which the cheaper ones go first, each with adaptive batching.

Requests that arrive while the model is busy share its next call: a request that finds the model idle runs at once, and
the busier the model, the larger its batches. BentoML's own batching delays requests by an estimate of the time of a
call, and batches methods of one argument only: an explanation has several, and they determine which requests may share
a batch.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Protocol

from serving.limits import Limits
from serving.metrics import batch_texts, queue_requests, wait_seconds

LANES = ("predict", "light", "heavy")
# Passes of the model up to which an explanation is light: about four texts of the usual length.
LIGHT = 500
# Seconds that expensive work waits for cheap work before each of its own calls of the model. The wait is bounded, since
# a stream of cheap requests must not stop it.
PATIENCE = 0.05

Run = Callable[[Any, list[Any], float], list[Any]]


class BusyError(Exception):
    """The queue is full."""


@dataclass
class _Request:
    key: Hashable
    items: Sequence[Any]
    deadline: float
    arrived: float
    result: asyncio.Future[list[Any]]


class Batcher:
    """Calls a function in a thread, for the items of all waiting requests that have an equal key.

    A call has at most `size` items, except where one request has more: a request is never split. A batcher belongs to
    one event loop.

    Args:
        run: `run(key, items, deadline) -> results`, a result for each item; deadline is the latest one of its requests,
            by `time.monotonic()`.
        size: the most items per call.
        queue: the most requests that run or wait.
        name: that of the lane, in metrics.
        changed: notified when a request begins or ends.

    Attributes:
        active: the requests that run or wait.
    """

    def __init__(
        self, run: Run, size: int, queue: int, name: str = "", changed: threading.Condition | None = None
    ) -> None:
        self._run, self._size, self._queue, self._name = run, size, queue, name
        self._waiting: deque[_Request] = deque()
        self._changed = changed or threading.Condition()
        self._thread = ThreadPoolExecutor(1, "model")
        self._task: asyncio.Task[None] | None = None
        self.active = 0

    async def submit(self, key: Hashable, items: Sequence[Any], seconds: float) -> list[Any]:
        """The results of the items. Raises TimeoutError when the seconds are over, BusyError, or what `run` raises."""
        if self.active >= self._queue:
            raise BusyError(f"the service is busy with {self.active} requests; try again in a second")
        result: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        now = time.monotonic()
        self._waiting.append(_Request(key, items, now + seconds, now, result))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        self.count(1)
        try:
            async with asyncio.timeout(seconds):
                return await result
        finally:
            self.count(-1)

    def close(self) -> None:
        """Lets the running call end and starts no other."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def count(self, n: int) -> None:
        """Adds to the number of active requests."""
        with self._changed:
            self.active += n
            self._changed.notify_all()
        queue_requests.labels(self._name).inc(n)

    async def _work(self) -> None:
        while together := self._next():
            await self._answer(together)

    async def _answer(self, together: list[_Request]) -> None:
        """Gives each request its results, or its error."""
        try:
            results = iter(await self._call(together))
        except Exception as problem:
            if len(together) > 1:  # one bad request must not spoil the others: each runs alone
                for one in together:
                    if not one.result.done():  # it may have been given up
                        await self._answer([one])
            elif not together[0].result.done():
                together[0].result.set_exception(problem)
            return
        for one in together:
            own = list(islice(results, len(one.items)))
            if not one.result.done():
                one.result.set_result(own)

    def _next(self) -> list[_Request]:
        """The request that has waited longest, and others with its key, without those that were given up."""
        first: _Request | None = None
        together: list[_Request] = []
        rest: deque[_Request] = deque()
        free = self._size
        for one in self._waiting:
            if one.result.done():
                continue
            if first is None or (one.key == first.key and len(one.items) <= free):
                first = first or one
                together.append(one)
                free -= len(one.items)
            else:
                rest.append(one)
        self._waiting = rest
        for one in together:
            wait_seconds.labels(self._name).observe(time.monotonic() - one.arrived)
        return together

    async def _call(self, together: list[_Request]) -> list[Any]:
        items = [item for one in together for item in one.items]
        deadline = max(one.deadline for one in together)
        batch_texts.labels(self._name).observe(len(items))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._run, together[0].key, items, deadline)


class Job(Hashable, Protocol):
    """What is done with texts; requests with equal jobs share a batch."""

    def lane(self, texts: Sequence[Any]) -> str:
        """One of LANES."""
        ...

    def run(self, texts: Sequence[Any], deadline: float, give_way: Callable[[], None]) -> list[Any]:
        """An answer for each text; give_way is called before each call of the model."""
        ...


class PriorityQueue:
    """Where requests wait for the model. A more expensive one lets cheaper ones go first."""

    def __init__(self, limits: Limits) -> None:
        self._changed = threading.Condition()
        self.batchers = [
            Batcher(partial(self._run, level), limits.batch, limits.queue, name, self._changed)
            for level, name in enumerate(LANES)
        ]

    async def submit(self, job: Job, texts: Sequence[Any], seconds: float) -> list[Any]:
        """An answer for each text. Raises TimeoutError, BusyError, or what the job raises."""
        return await self.batchers[LANES.index(job.lane(texts))].submit(job, texts, seconds)

    def close(self) -> None:
        """Lets the running calls end and starts no others."""
        for batcher in self.batchers:
            batcher.close()

    def give_way(self, level: int) -> None:
        """Returns when no request of a cheaper lane is active, or after `PATIENCE`."""

        def is_free() -> bool:
            return not any(batcher.active for batcher in self.batchers[:level])

        if not is_free():
            with self._changed:
                self._changed.wait_for(is_free, PATIENCE)

    def _run(self, level: int, job: Job, texts: Sequence[Any], deadline: float) -> list[Any]:
        return job.run(texts, deadline, partial(self.give_way, level))
