"""An open file of rows: its bytes, its text in the right encoding, and what errors say of it."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from pct.corpora.values import BadRow
from pct.text.encodings import UNDECODED, encoding_hint, marked_encoding

Rows = Iterator[tuple[int, dict[str, Any] | BadRow]]


class Source:
    """An open file.

    Args:
        name: what errors call it.
        kind: its format, as its name ends.
        stream: its bytes.
        encoding: of its text; found by a byte order mark, else UTF-8, where empty.
    """

    def __init__(self, name: str, kind: str, stream: IO[bytes], encoding: str = "") -> None:
        self.name, self.kind, self.stream, self.encoding = name, kind, stream, encoding

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What reading raises becomes a ValueError that names the file."""
        try:
            yield
        except UnicodeError as problem:
            raise self.wrong(self.said_of(problem)) from None
        except (EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as problem:
            raise ValueError(
                f"data file {self.name} cannot be read ({problem}); write it anew as UTF-8 .{self.kind}"
            ) from None

    def text(self) -> IO[str]:
        """The bytes as text; bytes that are not UTF-8 become lone surrogates, so that the row with them is named."""
        start = self.stream.peek(4) if hasattr(self.stream, "peek") else b""
        encoding = self.encoding or marked_encoding(start)
        errors = "surrogateescape" if encoding.lower().replace("_", "-").startswith("utf-8") else "strict"
        return io.TextIOWrapper(self.stream, encoding, errors, newline="")

    def whole(self) -> bytes:
        """All bytes."""
        with self.telling():
            return self.stream.read()

    def wrong(self, message: str) -> ValueError:
        """An error that names the file."""
        return ValueError(f"data file {self.name}: {message}")

    def said_of(self, problem: UnicodeError) -> str:
        """What is wrong with bytes that could not be decoded, and what to do."""
        content = problem.object if isinstance(problem, UnicodeDecodeError) else b""
        tried = getattr(problem, "encoding", "") or self.encoding
        return f"its bytes are not {tried}: {encoding_hint(content)}"


def undecoded(line: str) -> BadRow | None:
    """The fault of a line that has bytes which are not UTF-8; None for any other."""
    if line.isascii() or not UNDECODED.search(line):
        return None
    content = line.encode("utf-8", "surrogateescape")
    return BadRow("bytes that are not UTF-8", f"it has bytes that are not UTF-8: {encoding_hint(content)}")
