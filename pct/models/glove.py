"""Word vectors in text form: GloVe's, word2vec's and fastText's files of any width, gzipped too."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pct.text.vocabulary import Vocabulary, looked_up

Floats = npt.NDArray[np.float32]


def read_vectors(path: str | Path, vocabulary: Vocabulary) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The vectors of a vocabulary's words.

    A line is a word and its numbers; a first line of two whole numbers (word2vec's, fastText's) is passed over. A word
    that stands in the file more than once, in capitals say, has the first vector; exact spelling goes first.

    Args:
        path: the file, .gz or not.
        vocabulary: whose words are looked up.

    Returns:
        Vectors (entries, width), zeros where there is none, and which entries have one (entries,).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no text of vectors of one width, or has none of the words.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"glove file {file} does not exist; leave glove empty for random embeddings")
    try:
        with _opened(file) as lines:
            return _read(file, lines, vocabulary)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(
            f"glove file {file} cannot be read as text ({problem}); give the text form of the vectors (.txt, .vec, .gz)"
        ) from None


def _opened(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="\n")
    return file.open(encoding="utf-8", newline="\n")


def _read(file: Path, lines: Iterator[str] | IO[str], vocabulary: Vocabulary) -> tuple[Floats, npt.NDArray[np.bool_]]:
    vectors: Any = None
    known = np.zeros(len(vocabulary), bool)
    exact = np.zeros(len(vocabulary), bool)
    width = 0
    for number, line in enumerate(lines, 1):
        if number == 1 and _is_header(line):
            continue
        if not width:
            width = line.rstrip().count(" ")
            if width < 2:
                raise ValueError(
                    f"glove file {file}, line {number}: a word and numbers were expected, got {line!r:.60}"
                )
            vectors = np.zeros((len(vocabulary), width), np.float32)
        word = line.partition(" ")[0]
        (form,) = looked_up([word])
        row = vocabulary.index.get(form)
        if row is None or exact[row] or (known[row] and form != word):
            continue
        found = _numbers(file, number, line, width)
        if found is not None:
            vectors[row] = found
            known[row], exact[row] = True, form == word
    if not known.any():
        raise ValueError(f"glove file {file} has none of the {len(vocabulary)} words of the vocabulary")
    return vectors, known


def _numbers(file: Path, number: int, line: str, width: int) -> Floats | None:
    """The numbers of a line; None where its word has a space in it, which the vocabulary's words have not."""
    parts = line.split()
    if len(parts) > width + 1 and not _is_number(parts[1]):
        return None
    found = np.array([float(x) if _is_number(x) else np.nan for x in parts[1:]], np.float32)
    if len(found) != width or not np.isfinite(found).all():
        raise ValueError(f"glove file {file}, line {number}: {width} finite numbers were expected, got {line!r:.60}")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_header(line: str) -> bool:
    parts = line.split()
    return len(parts) == 2 and all(p.isdecimal() for p in parts)
