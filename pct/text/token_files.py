"""The tokens of many texts in files: int32 where that is enough, written in parts, read as `FileArray`s."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pct.text.file_array import FileArray
from pct.text.tokens import Tokens, positions_of

FIELDS = {"ids": "<i4", "word_ids": "<i4", "starts": "<i8", "counts": "<i4", "cut": "<i4", "kept": "<i4"}
ABOUT = "tokens.json"


def write_tokens(parts: Iterable[Tokens], folder: Path) -> None:
    """Writes the tokens of consecutive texts, at least one part, into a new folder: a file per field of `Tokens`."""
    folder.mkdir()
    about: dict[str, Any] = {"all_kept": True}
    total = 0
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in FIELDS}
        np.zeros(1, FIELDS["starts"]).tofile(files["starts"])
        for part in parts:
            columns = {
                "ids": part.ids, "word_ids": part.word_ids, "starts": part.starts[1:] + total, "counts": part.counts,
                "cut": part.truncated, "kept": positions_of(part.counts) if part.kept is None else part.kept,
            }  # fmt: skip
            for name, values in columns.items():
                values.astype(FIELDS[name]).tofile(files[name])
            total += len(part.ids)
            about["all_kept"] &= part.kept is None
            about |= {"padding": part.padding, "unknown": part.unknown}
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
        about["bytes"] = {name: file.tell() for name, file in files.items()}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def read_tokens(folder: Path) -> Tokens:
    """The tokens that `write_tokens` wrote. The folder may be deleted while they are in use, except on Windows.

    Raises OSError, KeyError or ValueError if a file is missing, damaged or of another length than was written.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    arrays: dict[str, Any] = {
        name: FileArray((folder / name).open("rb"), stored, np.int64) for name, stored in FIELDS.items()
    }
    for name, values in arrays.items():
        if values.nbytes != about["bytes"][name]:
            raise ValueError(f"{folder / name} has {values.nbytes} bytes, {about['bytes'][name]} were written")
    if about["all_kept"]:
        arrays["kept"] = None
    return Tokens(**arrays, padding=about["padding"], unknown=about["unknown"])
