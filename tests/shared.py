"""What is expensive to make: once for all processes of the tests."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

roots: list[Path] = []  # the one folder that all processes share; conftest.py puts it here


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """A folder of a name that the first process that asks makes, while others that ask wait.

    Args:
        name: of the folder; everyone who asks for it means the same.
        make: fills the folder, which is there and empty.
    """
    (root,) = roots
    folder, done = root / name, root / f"{name}.done"
    with open(root / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
