"""One entry a word: what TextCNN and LSTM read."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Self

import numpy as np

from pct.text.tokens import Tokens, starts_of

PADDING, UNKNOWN = 0, 1


class Vocabulary:
    """One entry a word, looked up NFC-normalised and lower-cased; 0 is padding, 1 unknown (TextCNN and LSTM).

    first_rare: from this entry on, a word was seen once when the vocabulary was made; in training such words stand
    for unknown ones too. The number of entries where none was, or where it is not known.
    """

    kind = "vocabulary"

    def __init__(self, words: Sequence[str], rare: int = 0) -> None:
        self.words = list(words)
        self.first_rare = len(self.words) + 2 - rare
        self.index = {w: i + 2 for i, w in enumerate(self.words)}

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], size: int) -> Self:
        """The `size` most frequent words of the texts; equal counts are ordered by the word."""
        counts = Counter(chain.from_iterable(map(looked_up, texts)))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = ranked[:size]
        return cls([w for w, _ in kept], sum(count == 1 for _, count in kept))

    def __len__(self) -> int:
        return len(self.words) + 2

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """See `Tokenizer.encode`. A word is one token, so N = min(words, max_length)."""
        kept = [text[:max_length] for text in texts]
        counts = np.fromiter(map(len, kept), np.int64, len(kept))
        words = looked_up(list(chain.from_iterable(kept)))
        ids = np.fromiter(map(self.index.get, words, repeat(UNKNOWN)), np.int64, int(counts.sum()))
        starts = starts_of(counts)
        places = np.arange(len(ids)) - np.repeat(starts[:-1], counts)
        cut = np.fromiter(map(len, texts), np.int64, len(kept)) - counts
        return Tokens(ids, places, starts, counts, PADDING, UNKNOWN, cut)

    def save(self, folder: Path) -> None:
        """Writes vocabulary.json."""
        (folder / "vocabulary.json").write_text(json.dumps(self.words, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads vocabulary.json."""
        words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        if not isinstance(words, list):
            raise ValueError(f"{folder / 'vocabulary.json'} must hold a list of words, got {type(words).__name__}")
        return cls(words)


def looked_up(words: Sequence[str]) -> list[str]:
    """Words as they are looked up: NFC-normalised and lower-cased."""
    # one string for all: a call a word would take ten times as long
    whole = "\n".join(words)
    if not whole.isascii():
        whole = unicodedata.normalize("NFC", whole)
    found = whole.lower().split("\n")
    if len(found) == len(words):
        return found
    return [unicodedata.normalize("NFC", w).lower() for w in words]  # none at all, or one that holds a line's end
