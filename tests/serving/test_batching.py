"""Requests that arrive while the model is busy go together; one that fails spoils no other."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from serving.batching import Batcher, BusyError


class Model:
    """Doubles numbers when it is let go; remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, list[int]]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, key: Any, items: list[int], deadline: float) -> list[int]:
        self.calls.append((key, list(items)))
        self.go.wait(10)
        if 13 in items:
            raise ZeroDivisionError("13")
        return [2 * x for x in items]


def play(scene: Callable[[Batcher, Model], Any], size: int = 8, queue: int = 64) -> Any:
    model = Model()

    async def run() -> Any:
        batcher = Batcher(model, size, queue)
        try:
            return await asyncio.wait_for(scene(batcher, model), 20)
        finally:
            model.go.set()
            await asyncio.to_thread(batcher.close)

    return asyncio.run(run())


async def while_busy(batcher: Batcher, model: Model, *asked: tuple[Any, list[int], float]) -> list[Any]:
    """What becomes of requests that arrive while the model works on another one."""
    model.go.clear()
    first = asyncio.create_task(batcher.submit("busy", [0], 10))
    while not model.calls:
        await asyncio.sleep(0.001)
    others = [asyncio.create_task(batcher.submit(*one)) for one in asked]
    await asyncio.sleep(0.05)
    model.go.set()
    assert await first == [0]
    return await asyncio.gather(*others, return_exceptions=True)


def test_a_request_that_finds_the_model_idle_runs_at_once_and_alone():
    async def scene(batcher, model):
        assert await batcher.submit("a", [1, 2], 5) == [2, 4]
        assert await batcher.submit("a", [3], 5) == [6]
        assert model.calls == [("a", [1, 2]), ("a", [3])]

    play(scene)


def test_those_that_wait_with_one_key_go_together_and_get_their_own_results():
    async def scene(batcher, model):
        found = await while_busy(batcher, model, ("a", [1], 5), ("b", [2], 5), ("a", [3, 4], 5), ("b", [5], 5))
        assert found == [[2], [4], [6, 8], [10]]
        assert model.calls[1:] == [("a", [1, 3, 4]), ("b", [2, 5])]

    play(scene)


def test_a_call_holds_no_more_than_its_size_but_for_a_request_that_is_larger_by_itself():
    async def scene(batcher, model):
        large = list(range(20, 32))
        await while_busy(batcher, model, ("a", [1] * 5, 5), ("a", [2] * 4, 5), ("a", [3] * 3, 5), ("a", large, 5))
        assert [items for _, items in model.calls[1:]] == [[1] * 5 + [3] * 3, [2] * 4, large]

    play(scene)


def test_a_request_that_fails_spoils_none_that_waited_with_it():
    async def scene(batcher, model):
        found = await while_busy(batcher, model, ("a", [1], 5), ("a", [13], 5), ("a", [2], 5))
        assert found[0] == [2]
        assert isinstance(found[1], ZeroDivisionError)
        assert found[2] == [4]
        assert await batcher.submit("a", [4], 5) == [8]

    play(scene)


def test_a_request_that_was_given_up_is_not_run_again_after_its_batch_has_failed():
    calls: list[list[int]] = []
    running, given_up = threading.Event(), threading.Event()

    def run(key: Any, items: list[int], deadline: float) -> list[int]:
        calls.append(items)
        if len(items) > 1:
            running.set()
            given_up.wait(10)
            raise ZeroDivisionError
        return items

    async def scene() -> list[Any]:
        batcher = Batcher(run, 8, 64)
        asked = [asyncio.create_task(batcher.submit("a", [x], 10)) for x in (1, 2, 3)]
        await asyncio.to_thread(running.wait, 10)
        asked[0].cancel()
        await asyncio.sleep(0)
        given_up.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        batcher.close()
        return answers

    assert asyncio.run(scene())[1:] == [[2], [3]]
    assert calls == [[1, 2, 3], [2], [3]]


def test_who_has_waited_too_long_gives_up_and_is_not_run():
    async def scene(batcher, model):
        model.go.clear()
        first = asyncio.create_task(batcher.submit("busy", [0], 10))
        while not model.calls:
            await asyncio.sleep(0.001)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await batcher.submit("a", [1], 0.1)
        assert time.monotonic() - begun < 5
        model.go.set()
        await first
        await batcher.submit("a", [2], 5)
        assert [items for _, items in model.calls] == [[0], [2]]

    play(scene)


def test_the_call_knows_the_latest_deadline_of_those_that_wait():
    seen: list[float] = []

    async def run():
        batcher = Batcher(lambda key, items, deadline: (seen.append(deadline), items)[1], 8, 64)
        await asyncio.gather(batcher.submit("a", [1], 5), batcher.submit("a", [2], 50))
        await asyncio.to_thread(batcher.close)

    now = time.monotonic()
    asyncio.run(run())
    assert len(seen) == 1
    assert 49 < seen[0] - now < 60


def test_requests_beyond_the_queue_are_refused_at_once_and_the_others_finish():
    async def scene(batcher, model):
        model.go.clear()
        tasks = [asyncio.create_task(batcher.submit("k", [n], 10)) for n in range(2)]
        while not model.calls:
            await asyncio.sleep(0.001)
        with pytest.raises(BusyError, match="busy with 2 requests; try again"):
            await batcher.submit("k", [9], 10)
        with pytest.raises(TimeoutError):  # who gives up leaves a place
            await asyncio.gather(*(asyncio.wait_for(t, 0.01) for t in tasks[1:]))
        third = asyncio.create_task(batcher.submit("k", [3], 10))
        await asyncio.sleep(0.01)
        model.go.set()
        assert await asyncio.gather(tasks[0], third) == [[0], [6]]
        assert batcher.active == 0

    play(scene, queue=2)
