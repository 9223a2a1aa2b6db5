"""Trials that do no work, for benchmarks of what is around them. No torch here: a worker starts in a second."""

from __future__ import annotations

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
