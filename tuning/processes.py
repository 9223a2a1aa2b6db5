"""A trial on several devices: one process for each, and Ray Tune's own, which starts, watches and ends them.

Each process is a task of Ray in a bundle of its own of the trial's resources, all on one node. They divide the work as
`pct.training.devices` says. Ray ends a task when the process that started it ends, however that happens; so the
processes end with the trial, and with the driver.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import ray
import torch
import torch.distributed as dist
from ray.exceptions import RayError, RayTaskError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from pct.layout import Record
from pct.settings import Settings
from pct.training.prepared import Prepared
from pct.training.trainer import train
from pct.writing import write_text
from tuning.objective import measure

POLL_SECONDS = 0.1
PATIENCE = 10.0  # seconds in which the others fail, too, once one process has
WAIT = timedelta(hours=1)  # of a process for another one


def train_together(
    group: PlacementGroup, settings: Settings, data: Any, folder: Path, on_epoch: Callable[[Record], None]
) -> dict[str, float]:
    """Trains by a process for each bundle, and measures: the metrics of the trial, see `measure`.

    While `on_epoch` runs, the processes wait, and the files in the folder are those of its epoch.

    Args:
        group: the resources of the trial.
        settings: of the training.
        data: the prepared corpus, in Ray's object store.
        folder: of the training. The first process writes it, the others read its checkpoint.
        on_epoch: called with the record of each epoch.

    Raises:
        RayError: a process died.
        Exception: that of a process that failed.
    """
    meeting, record = folder.absolute().with_name("processes"), folder.absolute().with_name("record.json")
    common = (group.bundle_count, meeting.as_uri(), settings.to_dict(), data, str(folder), str(record))
    tasks = []
    for rank, bundle in enumerate(group.bundle_specs):
        part = ray.remote(
            max_calls=1, max_retries=0, num_cpus=bundle.get("CPU", 0), num_gpus=bundle.get("GPU", 0),
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank),
        )(train_part)  # fmt: skip
        tasks.append(part.remote(rank, *common))
    running = list(tasks)
    try:
        while running:
            ended, running = ray.wait(running, timeout=POLL_SECONDS)
            _raise_error(ended, tasks)
            if record.is_file():
                on_epoch(json.loads(record.read_text(encoding="utf-8")))
                record.unlink()
        values: dict[str, float] = ray.get(tasks[0])
        return values
    finally:
        for task in tasks:
            ray.cancel(task, force=True)


def train_part(
    rank: int, processes: int, meeting: str, settings: dict[str, Any], data: Prepared, folder: str, record: str
) -> dict[str, float]:
    """One of the processes; the first one measures.

    It leaves the others by `destroy_process_group` only if nothing failed: with NCCL that waits for all of them.
    """
    own, first = Settings.from_dict(settings), rank == 0
    backend = "nccl" if own.device != "cpu" and torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, meeting, WAIT, processes, rank)
    classifier = train(own, data, folder, partial(_hand_over, Path(record)) if first else None, progress=False)
    dist.destroy_process_group()
    return measure(classifier, data.corpus, own) if first else {}


def _hand_over(path: Path, record: Record) -> None:
    """Gives the record of an epoch to the process of Ray Tune, and waits until that has reported it."""
    write_text(path, json.dumps(record))
    while path.exists():
        time.sleep(POLL_SECONDS)


def _raise_error(ended: list[Any], tasks: list[Any]) -> None:
    """Raises the error of tasks that ended. If one process dies, the others lose the connection to it: its death is the
    error."""
    failed = [error for task in ended if (error := _error(task)) is not None]
    if failed:
        ended, _ = ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)
        raise next((error for task in ended if isinstance(error := _error(task), RayError)), failed[0])


def _error(task: Any) -> Exception | None:
    error: Exception | None = None
    try:
        ray.get(task)
    except RayTaskError as problem:
        error = problem.cause
    except RayError as problem:
        error = problem
    return error
