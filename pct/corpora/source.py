"""An open file of rows: its bytes, its decoded text, and its error messages."""

from __future__ import annotations

import codecs
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
        name: its name in error messages.
        kind: its format, a file suffix without the dot.
        stream: its bytes.
        encoding: the encoding of its text, by any of Python's names. If empty, that of its byte order mark, or UTF-8.
            UTF-8 may have a byte order mark.
    """

    def __init__(self, name: str, kind: str, stream: IO[bytes], encoding: str = "") -> None:
        codec = codecs.lookup(encoding).name if encoding else ""
        self.name, self.kind, self.stream = name, kind, stream
        self.encoding = "utf-8-sig" if codec == "utf-8" else codec

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turns errors of reading into a ValueError that names the file."""
        try:
            yield
        except UnicodeError as problem:
            raise self.decoding_error(problem) from None
        except (EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as problem:
            raise ValueError(
                f"data file {self.name} cannot be read ({problem}); save it again as UTF-8 .{self.kind}"
            ) from None

    def text(self) -> IO[str]:
        """The decoded text. Bytes that are not UTF-8 become lone surrogates, so that an error can name their row."""
        start = self.stream.peek(4) if hasattr(self.stream, "peek") else b""
        encoding = self.encoding or marked_encoding(start)
        errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
        return io.TextIOWrapper(self.stream, encoding, errors, newline="")

    def whole(self) -> bytes:
        """All bytes."""
        with self.translated_errors():
            return self.stream.read()

    def error(self, message: str) -> ValueError:
        """An error that names the file."""
        return ValueError(f"data file {self.name}: {message}")

    def decoding_error(self, problem: UnicodeError) -> ValueError:
        """The error for bytes that cannot be decoded, with the remedy."""
        content = problem.object if isinstance(problem, UnicodeDecodeError) else b""
        tried = getattr(problem, "encoding", "") or self.encoding
        return self.error(f"its bytes are not {tried}: {encoding_hint(content)}")


def undecoded(line: str) -> BadRow | None:
    """The fault of a line with bytes that are not UTF-8; None for any other line."""
    if line.isascii() or not UNDECODED.search(line):
        return None
    content = line.encode("utf-8", "surrogateescape")
    return BadRow("bytes that are not UTF-8", f"it has bytes that are not UTF-8: {encoding_hint(content)}")
