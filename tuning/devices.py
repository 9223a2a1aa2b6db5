"""One training on several devices by Ray Train: `pct train --devices N`, on this machine or a cluster."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from pct.corpora.loading import with_corpus
from pct.layout import Record
from pct.settings import Settings
from pct.text.plurals import plural
from pct.training.runs import Launch, epoch_line, read_history, train_and_measure
from pipelines.job import first_line
from tuning.cluster import ClusterError, connected, note_shared_cores
from tuning.resources import Resources

RESTARTS = 3  # of all processes, where one of them dies
POLL_SECONDS = 0.5
RAY = "ray"  # the folder of Ray's own files in that of the run, while it trains


def on_devices(devices: int, address: str) -> Launch:
    """How `pct.training.runs.run` trains in several processes, each with a device of its own.

    All of them need to see the run's folder. If one dies, all start again from the last epoch that was written.

    Args:
        devices: processes. Each has a GPU, if the settings say `device=cuda` or Ray has GPUs and they say `auto`; else
            a CPU and one thread.
        address: Ray's, see `Resources`; if empty, RAY_ADDRESS or this machine.

    Raises:
        ValueError: devices < 1.
    """
    if devices < 1:
        raise ValueError(f"devices must be >= 1, got {devices}")
    resources = Resources(address or os.environ.get("RAY_ADDRESS") or "local", workers=devices)

    def launch(settings: Settings, folder: Path, on_epoch: Callable[[Record], None] | None, progress: bool) -> None:
        # a CPU for Ray Train's own process
        started = replace(resources, workers=devices + 1, gpus=1 if settings.device == "cuda" else 0)
        try:
            with connected(started, unit="process", options="--device auto or cpu"):
                _fit(settings, folder.absolute(), resources, on_epoch, progress)
        finally:
            shutil.rmtree(folder / RAY, ignore_errors=True)

    return launch


def _fit(
    settings: Settings,
    folder: Path,
    resources: Resources,
    on_epoch: Callable[[Record], None] | None,
    progress: bool,
) -> None:
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = settings.device == "cuda" or (settings.device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
    if not gpu:
        note_shared_cores(resources, resources.workers)
    trainer = TorchTrainer(
        _process,
        train_loop_config={"settings": settings.to_dict(), "folder": str(folder)},
        scaling_config=ScalingConfig(num_workers=resources.workers, use_gpu=gpu),
        run_config=RunConfig(
            name=RAY, storage_path=str(folder), failure_config=FailureConfig(max_failures=RESTARTS)
        ),
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
    )  # fmt: skip
    shown = len(read_history(folder))
    if progress:
        after = f" after epoch {shown}" if shown else ""
        print(f"Ray starts {plural(resources.workers, 'process', 'processes')}{after}", file=sys.stderr, flush=True)
    fit: Future[Any] = Future()
    # after an interrupt, a call of a Ray that was shut down may never return, and Python waits for all but daemons
    threading.Thread(target=_call, args=(trainer.fit, fit), daemon=True).start()
    try:
        running = True
        while running:
            running = bool(wait([fit], POLL_SECONDS).not_done)
            records = read_history(folder)[shown:]
            for record in records:
                if progress:
                    print(epoch_line(record, settings.epochs), file=sys.stderr, flush=True)
                if on_epoch is not None:
                    on_epoch(record)
            shown += len(records)
        fit.result()
    except Exception as problem:  # those of the processes among them
        cause = problem.__cause__ or problem
        raise ClusterError(f"{first_line(cause, 300)}; finished epochs are kept: run the command again") from problem


def _call(function: Callable[[], Any], future: Future[Any]) -> None:
    """Calls a function. The future gets its result or its error."""
    try:
        future.set_result(function())
    except BaseException as problem:
        future.set_exception(problem)


def _process(config: dict[str, Any]) -> None:
    """One of the processes."""
    settings, corpus = with_corpus(Settings.from_dict(config["settings"]), None)
    train_and_measure(settings, Path(config["folder"]), None, progress=False, source=corpus)
