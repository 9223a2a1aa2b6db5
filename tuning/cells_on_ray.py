"""The executor of grids by Ray: as many cells at a time as there are workers, on this machine or a cluster."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pct.corpora.splits import Corpus
from pct.settings import Settings
from pct.training.grid import Job
from pct.training.runs import run
from pipelines.job import first_line
from tuning.cluster import connected
from tuning.resources import Resources
from tuning.trial import error_line, read_files, write_files


def on_ray(jobs: Iterable[Job], resources: Resources) -> Iterator[tuple[Job, Exception | None]]:
    """An executor that trains cells as Ray's tasks. A cell whose worker dies starts again, from its last epoch where
    the worker sees the run folder."""
    import ray

    with connected(resources):
        task = ray.remote(
            num_cpus=resources.cpus, num_gpus=resources.gpus, resources=resources.custom, max_retries=resources.retries
        )(train_cell)
        shared: dict[int, Any] = {}  # a corpus -> it in Ray's object store, once for all cells
        running: dict[Any, tuple[Job, Path]] = {}
        try:
            for job in jobs:
                if resources.workers and len(running) >= resources.workers:
                    yield _next(running)
                if id(job.corpus) not in shared:
                    shared[id(job.corpus)] = ray.put(job.corpus)
                folder = job.folder.absolute()
                folder.parent.mkdir(parents=True, exist_ok=True)
                mark = folder.parent / f".{uuid.uuid4().hex}"  # a worker that sees it shares the disk
                mark.touch()
                reference = task.remote(job.settings.to_dict(), str(folder), str(mark), shared[id(job.corpus)])
                running[reference] = job, mark
            while running:
                yield _next(running)
        finally:
            for reference, (_, mark) in running.items():
                mark.unlink(missing_ok=True)
                ray.cancel(reference, force=True)


def _next(running: dict[Any, tuple[Job, Path]]) -> tuple[Job, Exception | None]:
    """Waits for a cell to end, and takes it out of those that run."""
    import ray
    from ray.exceptions import RayError

    (reference, *_), _ = ray.wait(list(running), num_returns=1)
    job, mark = running[reference]
    try:
        error, files = ray.get(reference)
        if files and not error:
            write_files(files, job.folder)
    except (RayError, OSError) as problem:  # the worker died too often; the run cannot be written here
        error = first_line(problem)
    finally:
        running.pop(reference)
        mark.unlink(missing_ok=True)
    return job, RuntimeError(error) if error else None


def train_cell(settings: dict[str, Any], folder: str, mark: str, corpus: Corpus) -> tuple[str, dict[str, bytes]]:
    """One cell on a worker: what went wrong, and the run's files where the worker does not see the driver's disk.

    An error is returned, not raised: Ray would start the cell again, and it would fail again.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="pct-cell-") as scratch:
            shares_disk = Path(mark).is_file()
            target = Path(folder) if shares_disk else Path(scratch) / "run"
            run(Settings.from_dict(settings), target, progress=False, corpus=corpus)
            return "", {} if shares_disk else read_files(target)
    except Exception as problem:
        return error_line(problem), {}
