"""Files and folders that appear whole or not at all, and places that are looked at before the work is done."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file that appears when the block ends, in the place of one that is there, and not at all where it fails.

    Yields:
        The path that the block writes.
    """
    target = Path(path)
    unfinished = target.with_name(f"{target.name}.part")
    try:
        yield unfinished
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """A text as a file, whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextmanager
def whole_folder(folder: str | Path, mark: str) -> Iterator[Path]:
    """A folder that appears when the block ends, and not at all where it fails.

    Args:
        folder: where it goes; see `check_folder`.
        mark: the file by which its kind is known.

    Yields:
        An empty folder beside it, for the block to fill.

    Raises:
        FileExistsError: as `check_folder`.
    """
    target = Path(folder)
    check_folder(target, mark)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield made
        made.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(made, target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def check_folder(folder: str | Path, mark: str) -> None:
    """Looks whether a folder may be written: a new one, an empty one, or one of its own kind, which is replaced.

    Raises:
        FileExistsError: it is a file, or the present folder, or holds something else, which would be lost.
    """
    target = Path(folder)
    if target.resolve() == Path.cwd():
        raise FileExistsError(f"{target} is the folder that the command runs in; give a folder of its own")
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target} is a file; give a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()) and not (target / mark).is_file():
        raise FileExistsError(f"{target} holds something else and no {mark}; give a folder of its own")


def check_file(path: str | Path) -> None:
    """Looks whether a file may be written, before work of hours ends there.

    Raises:
        FileNotFoundError: there is no such folder.
        IsADirectoryError: it is a folder.
        PermissionError: the folder may not be written.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target} cannot be written: there is no folder {target.parent}; make it first")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"{target} cannot be written: {target.parent} may not be changed; give another place")
