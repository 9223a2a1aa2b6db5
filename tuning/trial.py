"""One trial on a worker: trained from its last checkpoint, measured, reported epoch by epoch; a run as bytes."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from pct.layout import CHECKPOINT, HISTORY, SETTINGS, Record
from pct.settings import Settings
from pct.training.prepared import Prepared
from pct.training.runs import read_history
from pct.training.trainer import train
from pct.writing import LOCK, atomic_folder
from pipelines.job import first_line
from tuning.objective import measure

KEPT = (CHECKPOINT, HISTORY, SETTINGS)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def run_trial(config: dict[str, Any], data: Any) -> None:
    """Trains and measures one trial inside Ray Tune, by a process for each bundle of its resources.

    config: number, settings, and the checkpoint of an earlier driver, if any. data: the prepared corpus, in Ray's
    object store. An error is reported, not raised: Ray would start the trial again, and it would fail again. Only a
    trial of which a process died is started again.
    """
    import ray
    from ray import tune
    from ray.exceptions import RayError

    from tuning.processes import train_together

    number = config["number"]
    try:
        with tempfile.TemporaryDirectory(prefix=f"pct-trial-{number}-") as scratch:
            folder = Path(scratch) / "run"
            resumed = restore_checkpoint(folder, config["checkpoint"])
            settings = Settings.from_dict(config["settings"])

            def report(record: Record) -> None:
                with tempfile.TemporaryDirectory(prefix="checkpoint-", dir=scratch) as copy:
                    for name in KEPT:
                        os.link(folder / name, Path(copy) / name)
                    values = {"number": number, "record": record, "resumed": resumed}
                    tune.report(values, checkpoint=tune.Checkpoint.from_directory(copy))

            group = ray.util.get_current_placement_group()
            if group is not None and group.bundle_count > 1:
                values = train_together(group, settings, data, folder, report)
            else:
                corpus: Prepared = ray.get(data)
                values = measure(train(settings, corpus, folder, report, progress=False), corpus.corpus, settings)
            tune.report({"number": number, "values": values})
    except RayError:  # a process died
        raise
    except Exception as problem:
        tune.report({"number": number, "error": error_line(problem), "no_space": no_space(problem)})


def restore_checkpoint(folder: Path, left: str) -> int:
    """Copies the trial's last checkpoint into its folder: Ray's own after a restart, else that of an earlier driver.

    Returns its epoch, 0 where there is none.
    """
    from ray import tune

    if checkpoint := tune.get_checkpoint() or (tune.Checkpoint(left) if left else None):
        copy_checkpoint(checkpoint, folder)
    return len(read_history(folder))


def copy_checkpoint(checkpoint: Any, folder: Path) -> None:
    """Copies Ray's checkpoint into a run's folder. One that the storage lacks is left out: the run is trained anew."""
    with suppress(FileNotFoundError), checkpoint.as_directory() as held:
        if all((Path(held) / name).is_file() for name in KEPT):
            folder.mkdir(parents=True, exist_ok=True)
            for name in KEPT:
                shutil.copy(Path(held) / name, folder / name)


def error_line(problem: BaseException) -> str:
    """An error in one line, with the name of the machine."""
    what = first_line(problem, 500)
    if no_space(problem):
        what = f"no space left for a checkpoint: {what}"
    return f"{type(problem).__name__}: {what} (on {platform.node()})"


def no_space(problem: BaseException | None) -> bool:
    """Whether a full disk caused an error. Libraries that are not Python say so in the message only."""
    while problem is not None:
        if getattr(problem, "errno", None) in NO_SPACE or "No space left on device" in str(problem):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of a run folder, path below it -> content: a worker may not share a disk with the driver."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != LOCK]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Makes a run folder of them; it appears whole or not at all. Raises FileExistsError as `atomic_folder`."""
    with atomic_folder(folder, SETTINGS) as unfinished:
        for name, content in files.items():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).write_bytes(content)
