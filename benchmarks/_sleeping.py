"""Trials that do no work, for benchmarks of what is around them. No torch here: a worker starts in a second."""

from __future__ import annotations

import os
import time
from typing import Any


def sleep_through(config: dict[str, Any], epochs: int, seconds: float) -> None:
    """A trial of some epochs that each take some seconds, reported as a training reports them."""
    from ray import tune

    for epoch in range(1, epochs + 1):
        time.sleep(seconds)
        record = {"epoch": epoch, "validation_acc": 0.7, "validation_comp": 0.1, "validation_suff": 0.0}
        tune.report({"number": config["number"], "record": record, "resumed": 0})
    tune.report({"number": config["number"], "values": {"acc": 0.7, "comp_minus_suff": 0.1}})


def open_nothing(threads: int) -> Classes:
    """In the place of a model."""
    return Classes()


class Classes:
    """What a reader of rows asks of a model."""

    classes = ("a", "b")


def sleep_over(model: Classes, chunk: Any, seconds: float) -> list[dict[str, Any]]:
    """The rows of a chunk after some seconds a text, with their process and the times of its start and its end."""
    start = time.time()
    time.sleep(seconds * len(chunk.texts))
    call = {"process": os.getpid(), "start": start, "end": time.time()}
    return [{"row": number, **call} for number in chunk.numbers]
