"""The storage of a sweep's checkpoints: a folder or an s3:// or gs:// URI, by pyarrow's file systems.

A remote storage also has a copy of the sweep's record: the loss of the driver's disk costs seconds of the record and no
trial.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pct.writing import atomic_write
from pipelines.mlflow_runs import TRACKING
from tuning.ledger import LEDGER, Follower, Ledger
from tuning.plan import PLAN
from tuning.resources import Resources

RECORD = "record"  # the folder in the storage
FILES = (PLAN, TRACKING, LEDGER)  # the ledger last: where it exists, the others do


def storage_of(resources: Resources, folder: Path) -> str:
    """The storage of the checkpoints: a URI, or an absolute path."""
    if "://" in resources.storage:
        return f"{resources.storage.rstrip('/')}/{folder.name}"
    return str((Path(resources.storage) / folder.name if resources.storage else folder / "checkpoints").absolute())


def remove(storage: str, relative: str) -> None:
    """Removes a checkpoint from the storage, if it exists."""
    system, path = file_system(f"{storage}/{relative}")
    if system.get_file_info(path).type.name == "Directory":
        system.delete_dir(path)


def clear_sessions(storage: str, ledger: Ledger) -> None:
    """Removes what earlier drivers left in the storage, incomplete checkpoints too, except those still needed."""
    from pyarrow.fs import FileSelector

    needed = {t.checkpoint.split("/")[0] for t in ledger if t.checkpoint}
    system, path = file_system(storage)
    for folder in system.get_file_info(FileSelector(path, allow_not_found=True)):
        if folder.base_name.startswith("session-") and folder.base_name not in needed:
            with contextlib.suppress(OSError):
                system.delete_dir(folder.path)


def file_system(uri: str) -> tuple[Any, str]:
    """pyarrow's file system of a folder or URI, and the path in it."""
    from pyarrow.fs import FileSystem

    system, path = FileSystem.from_uri(uri if "://" in uri else Path(uri).absolute().as_uri())
    return system, path


class RecordCopy(Follower):
    """Copies the sweep's record to the storage."""

    seconds = seconds_down = 2.0

    def __init__(self, folder: Path, storage: str, say: Callable[[str], None] = print) -> None:
        super().__init__("record", say)
        self.folder, self.storage = folder, storage
        self._copied: dict[str, bytes] = {}

    def act(self) -> None:
        """Copies the files that changed. Raises OSError."""
        system, base = file_system(f"{self.storage}/{RECORD}")
        system.create_dir(base)
        for name in FILES:
            content = (self.folder / name).read_bytes() if (self.folder / name).is_file() else b""
            if content and content != self._copied.get(name):
                with system.open_output_stream(f"{base}/{name}.part") as out:
                    out.write(content)
                system.move(f"{base}/{name}.part", f"{base}/{name}")
                self._copied[name] = content

    def message(self, problem: Exception) -> str:
        """What is reported where the storage cannot be written."""
        return f"the record cannot be copied to {self.storage} ({problem}); the sweep goes on without a copy"


def bring_back(folder: Path, storage: str) -> bool:
    """Copies the record from the storage into a sweep's folder that has none. Returns whether it did.

    Raises OSError where the storage cannot be read.
    """
    if (folder / LEDGER).is_file():
        return False
    system, base = file_system(f"{storage}/{RECORD}")
    if not system.get_file_info(f"{base}/{LEDGER}").is_file:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with (
            contextlib.suppress(FileNotFoundError),
            system.open_input_stream(f"{base}/{name}") as copy,
            atomic_write(folder / name) as unfinished,
        ):
            unfinished.write_bytes(copy.read())
    return True
