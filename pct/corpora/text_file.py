"""The texts of a large corpus in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from pct.layout import temporary_file
from pct.text.file_array import FileArray
from pct.text.tokens import Ints

LARGE = 50_000  # rows; the texts, tokens and values of a larger split are in files
ROWS_PER_CHUNK = 1000


class TextFile(Sequence[Any]):
    """Texts in a file: strings, pairs as tuples of two, and lists of words.

    Args:
        content: the texts, each as JSON, one after the other.
        starts: (texts + 1,) the offset of each text, in bytes.
        rows: (rows,) the text of each row; None for all texts in their order.
    """

    def __init__(self, content: FileArray, starts: FileArray, rows: Ints | None = None) -> None:
        self.content, self.starts, self.rows = content, starts, rows

    def __len__(self) -> int:
        return len(self.starts) - 1 if self.rows is None else len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._read(np.arange(*index.indices(len(self))))
        return self._read(np.array([range(len(self))[index]]))[0]

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), ROWS_PER_CHUNK):
            yield from self._read(np.arange(start, min(start + ROWS_PER_CHUNK, len(self))))

    def take(self, rows: Ints) -> TextFile:
        """Some rows, in the same file."""
        return TextFile(self.content, self.starts, rows if self.rows is None else self.rows[rows])

    def _read(self, rows: Ints) -> list[Any]:
        texts = rows if self.rows is None else self.rows[rows]
        content, offsets = self.content.values(), (self.starts[texts].tolist(), self.starts[texts + 1].tolist())
        return [_decoded(content[start:end].tobytes()) for start, end in zip(*offsets, strict=True)]


class TextStore:
    """Collects texts: in a list, and beyond `LARGE` in a temporary file in the cache folder."""

    def __init__(self) -> None:
        self.texts: list[Any] = []
        self.files: tuple[BinaryIO, BinaryIO] | None = None
        self.end = 0

    def extend(self, texts: Sequence[Any]) -> None:
        """Adds texts."""
        self.texts += texts
        if self.files is None and len(self.texts) > LARGE:
            self.files = temporary_file(), temporary_file()
            self._write([b""])  # the offset of the first text
        if self.files is not None:
            self._write([_encoded(text) for text in self.texts])
            self.texts = []

    def finish(self) -> Sequence[Any]:
        """All texts."""
        if self.files is None:
            return self.texts
        for file in self.files:
            file.flush()
        return TextFile(FileArray(self.files[0], np.uint8), FileArray(self.files[1], np.int64))

    def _write(self, encoded: list[bytes]) -> None:
        assert self.files is not None
        ends = self.end + np.cumsum([len(one) for one in encoded], dtype=np.int64)
        self.end = int(ends[-1])
        self.files[0].write(b"".join(encoded))
        self.files[1].write(ends.tobytes())


def _encoded(text: Any) -> bytes:
    value = {"words": text} if isinstance(text, list) else text  # a list in JSON is a tuple
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _decoded(content: bytes) -> Any:
    value = json.loads(content.decode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return value["words"]
    return tuple(value) if isinstance(value, list) else value
