"""The storage of a sweep's checkpoints: a folder or an s3:// or gs:// URI, by pyarrow's file systems."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tuning.ledger import Ledger
from tuning.plan import Resources


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
    for found in system.get_file_info(FileSelector(path, allow_not_found=True)):
        if found.base_name.startswith("session-") and found.base_name not in needed:
            with contextlib.suppress(OSError):
                system.delete_dir(found.path)


def file_system(place: str) -> tuple[Any, str]:
    """pyarrow's file system of a folder or URI, and the path in it."""
    from pyarrow.fs import FileSystem

    system, path = FileSystem.from_uri(place if "://" in place else Path(place).absolute().as_uri())
    return system, path
