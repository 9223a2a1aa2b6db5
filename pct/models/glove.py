"""Word vectors in text format: GloVe, word2vec and fastText files of any width, also gzipped."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from pct.text.tokens import Bools, Floats
from pct.text.vocabulary import Vocabulary, normalized


def read_vectors(path: str | Path, vocabulary: Vocabulary) -> tuple[Floats, Bools]:
    """Reads the vectors of a vocabulary's words.

    A line is a word and its numbers. A first line of two integers (word2vec, fastText) is skipped. If several lines
    match a word, the exact spelling takes precedence, then the first line.

    Args:
        path: the file, .gz or not.
        vocabulary: the words.

    Returns:
        The vectors (entries, width), zero for words without a vector, and which entries have a vector (entries,).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not text, its vectors have different widths, or it has none of the words.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"glove file {file} does not exist; leave glove empty for random embeddings")
    try:
        with _open(file) as lines:
            return _read(file, lines, vocabulary)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(
            f"glove file {file} cannot be read as text ({problem}); give the text form of the vectors (.txt, .vec, .gz)"
        ) from None


def _open(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="\n")
    return file.open(encoding="utf-8", newline="\n")


def _read(file: Path, lines: Iterator[str] | IO[str], vocabulary: Vocabulary) -> tuple[Floats, Bools]:
    vectors: Any = None
    has_vector = np.zeros(len(vocabulary), bool)
    exact = np.zeros(len(vocabulary), bool)
    width = 0
    for number, line in enumerate(lines, 1):
        if number == 1 and re.fullmatch(r"\s*\d+\s+\d+\s*", line):  # the header of word2vec and fastText
            continue
        if not width:
            width = line.rstrip().count(" ")
            if width < 2:
                raise ValueError(
                    f"glove file {file}, line {number}: a word and numbers were expected, got {line!r:.60}"
                )
            vectors = np.zeros((len(vocabulary), width), np.float32)
        word = line.partition(" ")[0]
        (normal_form,) = normalized([word])
        row = vocabulary.index.get(normal_form)
        if row is None or exact[row] or (has_vector[row] and normal_form != word):
            continue
        vector = _numbers(file, number, line, width)
        if vector is not None:
            vectors[row] = vector
            has_vector[row], exact[row] = True, normal_form == word
    if not has_vector.any():
        raise ValueError(f"glove file {file} has none of the {len(vocabulary)} words of the vocabulary")
    return vectors, has_vector


def _numbers(file: Path, number: int, line: str, width: int) -> Floats | None:
    """The numbers of a line; None if its word has a space in it, which no word of the vocabulary has."""
    parts = line.split()
    if len(parts) > width + 1 and not _is_number(parts[1]):
        return None
    vector = np.array([float(x) if _is_number(x) else np.nan for x in parts[1:]], np.float32)
    if len(vector) != width or not np.isfinite(vector).all():
        raise ValueError(f"glove file {file}, line {number}: {width} finite numbers were expected, got {line!r:.60}")
    return vector


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
