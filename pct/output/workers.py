"""Where the chunks of a file are processed: in this process, or in several processes that open the same model."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

OpenModel = Callable[[int], Any]  # threads -> the model
START_SECONDS = 6.0  # of CPU time, to start a process that opens a model
_predictor: list[Any] = []  # that of a worker process


class Workers:
    """Applies a function to a model and each of many tasks.

    With more than one process, the first tasks run in this process, until one of them takes longer than a process
    needs to start. So a short job starts none.

    Args:
        predictor: the model.
        open_model: opens it in another process, given the number of threads; it is pickled.
        processes: how many; 1 for this process alone, 0 for one per core.
        patience: the seconds that a task may take before processes are started.

    Raises:
        ValueError: processes < 0.
    """

    def __init__(
        self, predictor: Any, open_model: OpenModel | None = None, processes: int = 1, patience: float = START_SECONDS
    ) -> None:
        if processes < 0:
            raise ValueError(f"processes must be >= 0, got {processes}")
        self.predictor, self.open_model, self.patience = predictor, open_model, patience
        self.processes = 1 if open_model is None else processes or available_cores()

    def map(self, function: Callable[..., Any], tasks: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
        """The results of function(model, *task), in the order of the tasks.

        Args:
            function: pickled by name.
            tasks: taken one by one, at most two per process ahead of the results.

        Raises:
            RuntimeError: a worker process has died.
        """
        if self.processes == 1 or self.patience > 0:
            for task in tasks:
                start = time.perf_counter()
                yield function(self.predictor, *task)
                if self.processes > 1 and time.perf_counter() - start > self.patience:
                    break
        if self.processes > 1:
            yield from self._in_processes(function, tasks)

    def _in_processes(self, function: Callable[..., Any], tasks: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
        first = next(tasks, None)
        if first is None:
            return
        threads = max(available_cores() // self.processes, 1)
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's threads
        start = partial(_start, self.open_model, threads)
        pool = ProcessPoolExecutor(self.processes, context, start)
        running: deque[Future[Any]] = deque([pool.submit(_run, function, first)])
        try:
            for task in tasks:
                running.append(pool.submit(_run, function, task))
                if len(running) >= 2 * self.processes:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool:
            raise RuntimeError(
                "a worker process has died (killed for lack of memory, or it could not open the model); finished parts "
                "are kept: run the same command again, or in fewer processes"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(open_model: OpenModel | None, threads: int) -> None:
    assert open_model is not None  # more than one process is started only with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the terminal is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _predictor.append(open_model(threads))


def _end_with_parent() -> None:
    """Ends this process when its parent has ended without a word, as by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(function: Callable[..., Any], task: tuple[Any, ...]) -> Any:
    return function(_predictor[0], *task)
