"""The vocabulary of TextCNN and LSTM: one entry for each word."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Self

import numpy as np

from pct.text.tokens import Tokens, starts_of
from pct.text.words import has_pairs

PADDING, UNKNOWN = 0, 1


class Vocabulary:
    """One entry for each word, NFC-normalised and lower-cased. Entry 0 is padding, 1 is the unknown word.

    first_rare: entries from here on are words with a count of 1 when the vocabulary was built. In training they also
    stand for unknown words. It is the number of entries if there are none, or if the counts are not available.
    """

    kind = "vocabulary"

    def __init__(self, words: Sequence[str], rare: int = 0) -> None:
        self.words = list(words)
        self.first_rare = len(self.words) + 2 - rare
        self.index = {w: i + 2 for i, w in enumerate(self.words)}

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], size: int) -> Self:
        """The `size` most frequent words of the texts. Words of equal count are sorted."""
        return cls.of_counts(Counter(chain.from_iterable(map(normalized, texts))), size)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], size: int) -> Self:
        """The `size` most frequent words. counts: how often each occurs, by its normalised form."""
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        entries = ranked[:size]
        return cls([w for w, _ in entries], sum(count == 1 for _, count in entries))

    def __len__(self) -> int:
        return len(self.words) + 2

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """See `Tokenizer.encode`. A word is one token, so N = min(words, max_length).

        Raises:
            ValueError: a pair of texts.
        """
        if has_pairs(texts):
            raise ValueError(
                "textcnn and lstm read one text, not a pair of texts: use an encoder, or join the two texts to one"
            )
        truncated = [text[:max_length] for text in texts]
        counts = np.fromiter(map(len, truncated), np.int64, len(truncated))
        words = normalized(list(chain.from_iterable(truncated)))
        ids = np.fromiter(map(self.index.get, words, repeat(UNKNOWN)), np.int64, int(counts.sum()))
        starts = starts_of(counts)
        word_ids = np.arange(len(ids)) - np.repeat(starts[:-1], counts)
        cut = np.fromiter(map(len, texts), np.int64, len(truncated)) - counts
        return Tokens(ids, word_ids, starts, counts, PADDING, UNKNOWN, cut)

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


def normalized(words: Sequence[str]) -> list[str]:
    """The words, NFC-normalised and lower-cased."""
    # one call for all words is ten times faster than one for each
    joined = "\n".join(words)
    if not joined.isascii():
        joined = unicodedata.normalize("NFC", joined)
    results = joined.lower().split("\n")
    if len(results) == len(words):
        return results
    return [unicodedata.normalize("NFC", w).lower() for w in words]  # no words, or a word with a line feed
