"""Cheap requests overtake dear ones, which come to their end all the same."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from serving.batching import BusyError
from serving.lanes import PATIENCE, Lanes, Precedence
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


def test_a_cheap_request_is_answered_while_a_dear_one_is_at_work() -> None:
    async def run() -> None:
        lanes, done = Lanes(Limits()), list[str]()
        stuck, free = threading.Event(), threading.Event()
        free.set()
        dear = asyncio.create_task(lanes.submit(Work("heavy", 3, done, stuck), ["h"], 10))
        await asyncio.sleep(0.02)
        for name in ("light", "predict"):
            assert await lanes.submit(Work(name, 1, done, free), [name], 10) == [name]
        assert done == ["light", "predict"]
        stuck.set()
        assert await dear == ["h"]
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())


def test_a_full_lane_leaves_room_in_the_others() -> None:
    async def run() -> None:
        lanes, done = Lanes(Limits(queue=2)), list[str]()
        stuck, free = threading.Event(), threading.Event()
        free.set()
        dear = [asyncio.create_task(lanes.submit(Work("heavy", 1, done, stuck), ["h"], 10)) for _ in range(2)]
        await asyncio.sleep(0.02)
        with pytest.raises(BusyError):
            await lanes.submit(Work("heavy", 1, done, stuck), ["h"], 10)
        assert await lanes.submit(Work("predict", 1, done, free), ["p"], 10) == ["p"]
        stuck.set()
        await asyncio.gather(*dear)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())


def test_dear_work_gives_way_until_the_cheap_ends_but_not_for_ever() -> None:
    precedence = Precedence()

    def waited(level: int) -> float:
        begun = time.monotonic()
        precedence.give_way(level)
        return time.monotonic() - begun

    with precedence.at_work(1):
        assert waited(2) >= PATIENCE * 0.9
        assert waited(1) < PATIENCE  # nor for its own kind
        assert waited(0) < PATIENCE
        ended = list[str]()
        with precedence.at_work(0):
            thread = threading.Thread(target=lambda: (precedence.give_way(2), ended.append("dear")))
            thread.start()
        thread.join(10)
        assert ended == ["dear"]
    assert waited(2) < PATIENCE
