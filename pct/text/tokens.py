"""Texts as one flat array of tokens, and the protocol of tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pct.text.words import Document

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]  # (rows, 2) of `row_keys`
# A token of type t (in a pair: the text that it is in) has its id in the vocabulary + t * TOKEN_TYPE. The same word in
# the second text is so another token, wherever tokens are compared. No vocabulary is as large.
TOKEN_TYPE = 2**24
REMOVE = ("both", "first", "second")  # of a pair of texts: whose words may be removed
AnyIds = TypeVar("AnyIds")  # an integer array of numpy or torch


def replaced_by(ids: AnyIds, token: int) -> AnyIds:
    """The ids of tokens that are replaced by a token; each keeps its type."""
    numbers: Any = ids
    return numbers - numbers % TOKEN_TYPE + token


@dataclass(frozen=True)
class Tokens:
    """The tokens of many texts in flat arrays. Batches are made without a loop over texts.

    The arrays of a large corpus are `FileArray`s: see `pct.text.token_files`.

    Attributes:
        ids: (total tokens,) token ids, special ones included, each with its type (see `TOKEN_TYPE`).
        word_ids: (total tokens,) the index of each token's word in its text, -1 for tokens of no word (special ones).
        starts: (texts + 1,) the offset of each text's first token, and the total.
        counts: (texts,) N, the number of words of which a token survives.
        padding: the id that fills short rows.
        unknown: the id of the unknown token, or -1.
        cut: (texts,) the number of words beyond max_length; None for none.
        kept: (sum of counts,) the index of each counted word among all words of its text; None if these are
            0..N - 1, the usual case.
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
        """(texts,) the number of tokens of each text, special ones included."""
        return np.diff(self.starts)

    @property
    def truncated(self) -> Ints:
        """(texts,) the number of words of each text beyond max_length. The model does not see them."""
        return np.zeros(len(self), np.int64) if self.cut is None else np.asarray(self.cut)

    def places(self, text: int) -> Ints:
        """(N,) the indices of the counted words of a text among all its words."""
        if self.kept is None:
            return np.arange(self.counts[text])
        return self.kept[self._word_starts[text] : self._word_starts[text + 1]]

    @cached_property
    def _word_starts(self) -> Ints:
        """(texts + 1,) the offset of each text's first counted word, and the total."""
        return starts_of(np.asarray(self.counts))

    def known(self, text: int) -> Bools:
        """(N,) whether the tokenizer knows each counted word of a text: none of its tokens is the unknown token."""
        known = np.ones(self.counts[text], bool)
        own = slice(self.starts[text], self.starts[text + 1])
        ids, words = self.ids[own], self.word_ids[own]
        known[words[(ids % TOKEN_TYPE == self.unknown) & (words >= 0)]] = False
        return known

    def rows(self, index: Ints) -> tuple[Ints, Ints]:
        """Texts as padded arrays: token ids and word ids, both (len(index), longest). Padding has word id -2."""
        starts = self.starts[index]
        lengths = self.starts[index + 1] - starts
        columns = np.arange(int(lengths.max(initial=1)))
        inside = columns < lengths[:, None]
        source = np.where(inside, starts[:, None] + columns, 0)
        return np.where(inside, self.ids[source], self.padding), np.where(inside, self.word_ids[source], -2)


def repeat_texts(tokens: Tokens, text: Ints) -> Tokens:
    """Some texts, any number of times. text: (rows,) the index of each row's text."""
    lengths = tokens.lengths[text]
    source = np.repeat(tokens.starts[text], lengths) + positions_of(lengths)
    counts, kept = tokens.counts[text], None
    if tokens.kept is not None:
        kept = tokens.kept[np.repeat(tokens._word_starts[text], counts) + positions_of(counts)]
    return replace(
        tokens, ids=tokens.ids[source], word_ids=tokens.word_ids[source], starts=starts_of(lengths),
        counts=counts, cut=None if tokens.cut is None else tokens.cut[text], kept=kept,
    )  # fmt: skip


def check_remove(remove: str) -> None:
    """Raises ValueError for a value that is not one of REMOVE."""
    if remove not in REMOVE:
        raise ValueError(f"remove must be one of {', '.join(REMOVE)}, got {remove!r}")


def only_side(tokens: Tokens, documents: Sequence[Document], remove: str) -> Tokens:
    """Pairs of texts in which only the words of one side are counted, ranked and removed.

    The tokens of the other side belong to no word, as special tokens do. N, ranks and metrics are those of the words
    left.

    Args:
        tokens: the texts.
        documents: the same texts as words.
        remove: first, second, or both, which changes nothing.

    Raises:
        ValueError: another value, or a text has no token of a word on that side.
    """
    check_remove(remove)
    if remove == "both":
        return tokens
    position = positions_of(np.asarray(tokens.counts)) if tokens.kept is None else np.asarray(tokens.kept)
    text = np.repeat(np.arange(len(tokens)), tokens.counts)
    first_words = np.array([document.first_words for document in documents], np.int64)
    counted = (position >= first_words[text]) == (remove == "second")
    counts = np.bincount(text[counted], minlength=len(tokens)).astype(np.int64)
    if not counts.all():
        text_alone = documents[int(np.argmin(counts))].text
        raise ValueError(f"remove {remove}: no word of {text_alone!r:.80} may be removed; give pairs, or remove both")
    # the new index of each word of all texts; -1 for those that do not count, and, at the end, for no word
    before = np.repeat(starts_of(counts)[:-1], tokens.counts)
    new_index = np.append(np.where(counted, np.cumsum(counted) - 1 - before, -1), -1)
    word = np.repeat(starts_of(tokens.counts)[:-1], tokens.lengths) + tokens.word_ids
    return replace(
        tokens, word_ids=new_index[np.where(tokens.word_ids < 0, -1, word)], counts=counts, kept=position[counted]
    )  # fmt: skip


class Tokenizer(Protocol):
    """Converts documents to tokens: a vocabulary of words, or a sub-word tokenizer."""

    kind: str

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """The tokens of documents (or lists of words), truncated to max_length tokens per text."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what `load` needs into the folder."""
        ...


def starts_of(lengths: Ints) -> Ints:
    """(n + 1,) the offsets of consecutive segments of these lengths, and the total length."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def positions_of(lengths: Ints) -> Ints:
    """(sum of lengths,) 0, 1, .. of each of consecutive segments of these lengths."""
    return np.arange(int(lengths.sum())) - np.repeat(starts_of(lengths)[:-1], lengths)
