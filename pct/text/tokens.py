"""Many texts as one flat run of tokens, and the protocol of what makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tokens:
    """Many texts as one flat run of tokens, ready to be cut into batches without a loop over texts.

    ids: (total tokens,) token ids, specials included. word_ids: (total tokens,) the word each token belongs to,
    counted from 0 within its text, -1 for what belongs to none (specials). starts: (texts + 1,) where each text's
    tokens begin. counts: (texts,) N, the words of each text of which a token survives. padding: the id that fills short
    rows. unknown: the id of what the tokenizer does not know, -1 where there is none. cut: (texts,) words of each text
    beyond max_length; None for none. kept: (sum of counts,) the place of each counted word among all words of its text;
    None where these are 0..N - 1, as nearly always.
    """

    ids: Ints
    word_ids: Ints
    starts: Ints
    counts: Ints
    padding: int
    unknown: int = -1
    cut: Ints | None = None
    kept: Ints | None = None

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def lengths(self) -> Ints:
        """(texts,) tokens of each text, specials included."""
        return np.diff(self.starts)

    @property
    def truncated(self) -> Ints:
        """(texts,) words of each text beyond max_length, which the model does not see."""
        return np.zeros(len(self), np.int64) if self.cut is None else self.cut

    def places(self, text: int) -> Ints:
        """(N,) where the counted words of a text stand among all its words."""
        if self.kept is None:
            return np.arange(self.counts[text])
        first = int(self.counts[:text].sum())
        return self.kept[first : first + int(self.counts[text])]

    def known(self, text: int) -> Bools:
        """(N,) whether the tokenizer knew each counted word of a text: none of its tokens is the unknown one."""
        found = np.ones(self.counts[text], bool)
        own = slice(self.starts[text], self.starts[text + 1])
        ids, words = self.ids[own], self.word_ids[own]
        found[words[(ids == self.unknown) & (words >= 0)]] = False
        return found

    def rows(self, index: Ints) -> tuple[Ints, Ints]:
        """Some texts as padded rectangles: token ids and word map, both (len(index), longest); -2 maps padding."""
        lengths = self.lengths[index]
        width = int(lengths.max(initial=1))
        columns = np.arange(width)
        inside = columns < lengths[:, None]
        place = np.where(inside, self.starts[index][:, None] + columns, 0)
        return np.where(inside, self.ids[place], self.padding), np.where(inside, self.word_ids[place], -2)


class Tokenizer(Protocol):
    """What turns documents into tokens: a vocabulary of words, or a sub-word tokenizer."""

    kind: str

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """Documents (or lists of words) as tokens, cut to max_length tokens a text."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what `load` needs into the folder."""
        ...


def starts_of(lengths: Ints) -> Ints:
    """(n + 1,) where runs of these lengths begin, one behind the other, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
