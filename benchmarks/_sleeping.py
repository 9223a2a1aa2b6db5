"""Trials and bulk jobs that only sleep, to measure the overhead. No torch is imported: a worker starts in a second."""

from __future__ import annotations

import os
import time
from typing import Any


def sleeping_trial(config: dict[str, Any], epochs: int, seconds: float) -> None:
    """A trial whose epochs take `seconds` each, reported as a training reports them."""
    from ray import tune

    for epoch in range(1, epochs + 1):
        time.sleep(seconds)
        record = {"epoch": epoch, "validation_acc": 0.7, "validation_comp": 0.1, "validation_suff": 0.0}
        tune.report({"number": config["number"], "record": record, "resumed": 0})
    tune.report({"number": config["number"], "values": {"acc": 0.7, "comp_minus_suff": 0.1}})


def open_stub(threads: int) -> StubModel:
    """Opens a stub instead of a model."""
    return StubModel()


class StubModel:
    """The part of a model that a reader of rows needs."""

    classes = ("a", "b")


def sleeping_rows(model: StubModel, chunk: Any, seconds: float) -> list[dict[str, Any]]:
    """The rows of a chunk after `seconds` per text, with the process and the start and end of the call."""
    start = time.time()
    time.sleep(seconds * len(chunk.texts))
    call = {"process": os.getpid(), "start": start, "end": time.time()}
    return [{"row": number, **call} for number in chunk.numbers]
