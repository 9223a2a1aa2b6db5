"""Cheap requests overtake expensive ones, which are answered all the same."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from serving.batching import PATIENCE, BusyError, PriorityQueue
from serving.limits import Limits


@dataclass(frozen=True)
class Work:
    """So many calls of a model, each of which waits for `go`."""

    name: str
    calls: int
    done: list[str]
    go: threading.Event

    def __hash__(self) -> int:
        return hash(self.name)

    def lane(self, texts: Sequence[Any]) -> str:
        return self.name

    def run(self, texts: Sequence[Any], deadline: float, give_way: Callable[[], None]) -> list[Any]:
        for _ in range(self.calls):
            give_way()
            self.go.wait(10)
            self.done.append(self.name)
        return list(texts)


def test_a_cheap_request_is_answered_while_an_expensive_one_is_running():
    async def run():
        queue, done = PriorityQueue(Limits()), list[str]()
        stuck, free = threading.Event(), threading.Event()
        free.set()
        expensive = asyncio.create_task(queue.submit(Work("heavy", 3, done, stuck), ["h"], 10))
        await asyncio.sleep(0.02)
        for name in ("light", "predict"):
            assert await queue.submit(Work(name, 1, done, free), [name], 10) == [name]
        assert done == ["light", "predict"]
        stuck.set()
        assert await expensive == ["h"]
        await asyncio.to_thread(queue.close)

    asyncio.run(run())


def test_a_full_lane_leaves_room_in_the_others():
    async def run():
        queue, done = PriorityQueue(Limits(queue=2)), list[str]()
        stuck, free = threading.Event(), threading.Event()
        free.set()
        expensive = [asyncio.create_task(queue.submit(Work("heavy", 1, done, stuck), ["h"], 10)) for _ in range(2)]
        await asyncio.sleep(0.02)
        with pytest.raises(BusyError):
            await queue.submit(Work("heavy", 1, done, stuck), ["h"], 10)
        assert await queue.submit(Work("predict", 1, done, free), ["p"], 10) == ["p"]
        stuck.set()
        await asyncio.gather(*expensive)
        await asyncio.to_thread(queue.close)

    asyncio.run(run())


def test_expensive_work_gives_way_until_the_cheap_ends_but_not_for_ever():
    queue = PriorityQueue(Limits())
    predict, light, _ = queue.batchers

    def waited(level):
        begun = time.monotonic()
        queue.give_way(level)
        return time.monotonic() - begun

    light.count(1)
    assert waited(2) >= PATIENCE * 0.9
    assert waited(1) < PATIENCE  # nor for its own kind
    assert waited(0) < PATIENCE
    ended = list[str]()
    predict.count(1)
    thread = threading.Thread(target=lambda: (queue.give_way(1), ended.append("expensive")))
    thread.start()
    predict.count(-1)
    thread.join(10)
    assert ended == ["expensive"]
    light.count(-1)
    assert waited(2) < PATIENCE
