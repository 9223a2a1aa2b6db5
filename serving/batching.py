"""Adaptive batching: requests that arrive while the model is busy share its next call.

A request that finds the model idle runs at once; the busier the model, the larger its batches. BentoML's own batching
delays requests by an estimate of the time of a call, and batches methods of one argument only: an explanation has
several, and they determine which requests may share a batch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from serving.metrics import batch_texts, queue_requests, wait_seconds

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

    Attributes:
        calls: the calls so far.
        items: their items.
        active: the requests that run or wait.
    """

    def __init__(self, run: Run, size: int, queue: int, name: str = "") -> None:
        self._run, self._size, self._queue, self._name = run, size, queue, name
        self._waiting: deque[_Request] = deque()
        self._thread = ThreadPoolExecutor(1, "model")
        self._task: asyncio.Task[None] | None = None
        self.calls = self.items = self.active = 0

    async def submit(self, key: Hashable, items: Sequence[Any], seconds: float) -> list[Any]:
        """The results of the items. Raises TimeoutError when the seconds are over, BusyError, or what `run` raises."""
        if self.active >= self._queue:
            raise BusyError(f"the service is busy with {self.active} requests; try again in a second")
        result: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        now = time.monotonic()
        self._waiting.append(_Request(key, items, now + seconds, now, result))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        self._count(1)
        try:
            async with asyncio.timeout(seconds):
                return await result
        finally:
            self._count(-1)

    def close(self) -> None:
        """Lets the running call end and starts no other."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _count(self, n: int) -> None:
        self.active += n
        queue_requests.labels(self._name).inc(n)

    async def _work(self) -> None:
        while self._waiting:
            together = self._next()
            if not together:
                continue
            try:
                results = await self._call(together)
            except Exception as problem:
                if len(together) == 1:
                    _fail(together[0], problem)
                    continue
                # one bad request must not spoil the others: each runs alone
                for one in together:
                    try:
                        _settle(one, await self._call([one]))
                    except Exception as own:
                        _fail(one, own)
                continue
            start = 0
            for one in together:
                _settle(one, results[start : start + len(one.items)])
                start += len(one.items)

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
        self.calls, self.items = self.calls + 1, self.items + len(items)
        batch_texts.labels(self._name).observe(len(items))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._run, together[0].key, items, deadline)


def _settle(one: _Request, results: list[Any]) -> None:
    if not one.result.done():
        one.result.set_result(results)


def _fail(one: _Request, problem: Exception) -> None:
    if not one.result.done():
        one.result.set_exception(problem)
