"""A finished run as bytes, to come back from a worker that does not share a disk with the driver."""

from __future__ import annotations

from pathlib import Path

from pct.layout import LOCK, SETTINGS
from pct.writing import atomic_folder


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of a run folder: path below it -> content."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != LOCK]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Makes a run folder of them; it appears whole or not at all. Raises FileExistsError as `atomic_folder`."""
    with atomic_folder(folder, SETTINGS) as unfinished:
        for name, content in files.items():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).write_bytes(content)
