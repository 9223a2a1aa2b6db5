"""Atomic writes of files and folders, locks of folders, and checks of a path before the work begins."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pct.renamed import renamed

LOCK = ".lock"
_MASK = os.umask(0o022)  # it can only be read by setting it, which is safe before there are threads
os.umask(_MASK)
_locked: set[tuple[Path, int]] = set()


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Writes a file atomically: it appears, or replaces the existing one, when the block ends without an error.

    Yields:
        The path to which the block writes.
    """
    target = Path(path).resolve()  # of a link the file that it points to
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        _permit(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _permit(*paths: Path) -> None:
    """Gives new files and folders the permissions that they lack: some libraries write what only its owner can read."""
    for path in paths:
        usual = (0o777 if path.is_dir() else 0o666) & ~_MASK
        if usual & ~path.stat().st_mode:
            path.chmod(usual)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text to a file atomically."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(folder: str | Path, mark: str) -> Iterator[Path]:
    """Writes a folder atomically: it appears, or replaces the existing one, when the block ends without an error.

    Args:
        folder: its path; see `check_folder`.
        mark: the name of a file that identifies its kind.

    Yields:
        An empty temporary folder beside it, to which the block writes.

    Raises:
        FileExistsError: as `check_folder`.
    """
    target = Path(folder).resolve()
    check_folder(target, mark)
    target.parent.mkdir(parents=True, exist_ok=True)
    tmp_dir = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield tmp_dir
        _permit(tmp_dir, *tmp_dir.rglob("*"))
        if target.exists():
            shutil.rmtree(target)
        os.replace(tmp_dir, target)
    finally:
        shutil.rmtree(tmp_dir, ignore_errors=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Locks a folder, which is created, against other processes and threads.

    The lock ends with its process. The thread that holds it may enter again.

    Raises:
        ValueError: another process or thread uses the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = (folder.resolve(), threading.get_ident())
    if key in _locked:
        yield
        return
    try:
        import fcntl
    except ImportError:  # Windows: the user must not run two processes in one folder
        yield
        return
    with open(folder / LOCK, "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"{folder} is in use by another process; wait for it, or give another folder") from None
        _locked.add(key)
        try:
            yield
        finally:
            _locked.discard(key)


def check_folder(folder: str | Path, mark: str) -> None:
    """Checks that a folder may be written: a new one, an empty one, or one of the same kind, which is replaced.

    Raises:
        FileExistsError: it is a file, the current folder or a mount point, or has other contents, which would be lost.
    """
    target = Path(folder)
    if os.path.ismount(target):
        raise FileExistsError(f"{target} is a mount point, which cannot be replaced; give a folder inside it")
    if target.resolve() == Path.cwd():
        raise FileExistsError(f"{target} is the current folder; give another folder")
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target} is a file; give a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()) and not (target / mark).is_file():
        raise FileExistsError(f"{target} holds something else and no {mark}; give a new folder")


def check_file(path: str | Path) -> None:
    """Checks, before the work, that a file may be written.

    Raises:
        FileNotFoundError: there is no such folder.
        IsADirectoryError: it is a folder.
        PermissionError: the folder may not be written.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target} cannot be written: there is no folder {target.parent}; create it first")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"{target} cannot be written: {target.parent} is not writable; give another path")


__getattr__ = renamed(__name__)
