"""Texts as words, words as tokens: one type for a vocabulary of words and for a sub-word tokenizer.

A word is a whitespace-separated token of the text. All that a user sees is per word; the models see tokens.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Tokens:
    """Many texts as one flat run of tokens, ready to be cut into batches without a loop over texts.

    ids: (total tokens,) token ids, specials included. words: (total tokens,) the word each token belongs to,
    counted from 0 within its text, -1 for specials. starts: (texts + 1,) where each text's tokens begin.
    counts: (texts,) N, the words of each text that survive the cut to max_length.
    padding: the id that fills short rows.
    """

    ids: Ints
    words: Ints
    starts: Ints
    counts: Ints
    padding: int

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def lengths(self) -> Ints:
        """(texts,) tokens of each text, specials included."""
        return np.diff(self.starts)

    def rows(self, index: Ints) -> tuple[Ints, Ints]:
        """Some texts as padded rectangles: token ids and word map, both (len(index), longest); -2 maps padding."""
        lengths = self.lengths[index]
        width = int(lengths.max(initial=1))
        columns = np.arange(width)
        inside = columns < lengths[:, None]
        place = np.where(inside, self.starts[index][:, None] + columns, 0)
        return np.where(inside, self.ids[place], self.padding), np.where(inside, self.words[place], -2)


class Words(Protocol):
    """What turns word lists into tokens: a vocabulary of words, or a sub-word tokenizer."""

    kind: str

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """Word lists as tokens, cut to max_length tokens a text."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what `load` needs into the folder."""
        ...


def sound(text: str) -> str:
    """The text, its lone surrogates made U+FFFD: JSON can bring them, tokenizers and UTF-8 files cannot take them."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def split(text: str | Sequence[str]) -> list[str]:
    """A text as its words; a word list is returned as a list. A lone surrogate becomes U+FFFD, see `sound`.

    Raises TypeError for anything else, ValueError for a text without words.
    """
    if isinstance(text, str):
        words = sound(text).split()
    elif isinstance(text, (list, tuple)) and all(isinstance(w, str) for w in text):
        words = [sound(w) for w in text if w.strip()]
    else:
        raise TypeError(f"a text must be a string or a list of words, got {type(text).__name__}: {text!r:.80}")
    if not words:
        raise ValueError(f"a text needs at least one word, got {text!r:.80}")
    return words


def split_each(texts: Iterable[str | Sequence[str]]) -> Iterator[list[str]]:
    """Texts as word lists, one at a time. Raises, naming the text's place, when one is empty or not a text."""
    if isinstance(texts, str):
        raise TypeError("texts must be a list of texts, got one string: write [text]")
    for place, text in enumerate(texts):
        try:
            words = split(text)
        except (ValueError, TypeError) as problem:
            raise type(problem)(f"text {place}: {problem}") from None
        yield words


def split_all(texts: Iterable[str | Sequence[str]]) -> list[list[str]]:
    """`split_each` as a list."""
    return list(split_each(texts))


class Vocabulary:
    """One entry a lower-cased word; 0 is padding, 1 unknown (TextCNN and LSTM)."""

    kind = "vocabulary"

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.index = {w: i + 2 for i, w in enumerate(self.words)}

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], size: int) -> Self:
        """The `size` most frequent lower-cased words of the texts; equal counts are ordered by the word."""
        counts = Counter(w.lower() for text in texts for w in text)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([w for w, _ in ranked[:size]])

    def __len__(self) -> int:
        return len(self.words) + 2

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """See `Words.encode`. A word is one token, so N = min(words, max_length)."""
        index = self.index
        kept = [text[:max_length] for text in texts]
        counts = np.fromiter((len(t) for t in kept), np.int64, len(kept))
        ids = np.fromiter((index.get(w.lower(), UNKNOWN) for t in kept for w in t), np.int64, int(counts.sum()))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        words = np.arange(len(ids)) - np.repeat(starts[:-1], counts)
        return Tokens(ids, words, starts, counts, PADDING)

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


class SubWords:
    """A transformers tokenizer: a word owns the sub-word tokens that it is cut into, specials belong to none."""

    kind = "subwords"

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"{type(tokenizer).__name__} has no word map; use an encoder whose tokenizer has a fast version"
            )
        self.tokenizer = tokenizer
        tokenizer.truncation_side = "right"  # N counts words from the first one on, whatever the encoder was used to
        # Byte-level tokenizers take words apart from a leading space only when told so.
        backend = tokenizer.backend_tokenizer.pre_tokenizer
        if backend is not None and hasattr(backend, "add_prefix_space"):
            backend.add_prefix_space = True

    def __len__(self) -> int:
        return len(self.tokenizer)

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """See `Words.encode`. A word that the tokenizer drops (control characters) becomes its unknown token.

        So every word before the cut owns at least one token, and N counts words, not the tokenizer's moods.
        """
        if not texts:
            empty = np.zeros(0, np.int64)
            return Tokens(empty, empty, np.zeros(1, np.int64), empty, self._padding)
        # A word has at least one token: words beyond max_length never survive the cut.
        kept = [list(t[:max_length]) for t in texts]
        batch = self.tokenizer(
            kept, is_split_into_words=True, truncation=True, max_length=max_length, return_attention_mask=False
        )
        encodings = batch.encodings
        lengths = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        ids = np.fromiter((i for e in encodings for i in e.ids), np.int64, int(lengths.sum()))
        words = np.fromiter((-1 if w is None else w for e in encodings for w in e.word_ids), np.int64, len(ids))
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        text = np.repeat(np.arange(len(kept)), lengths)
        owned = words >= 0
        counts = np.zeros(len(kept), np.int64)
        np.maximum.at(counts, text[owned], words[owned] + 1)
        distinct = np.zeros(len(kept), np.int64)
        first = owned & np.concatenate([[True], (words[1:] != words[:-1]) | (text[1:] != text[:-1])])
        np.add.at(distinct, text[first], 1)
        whole = np.fromiter((len(t) for t in kept), np.int64, len(kept))
        # Only a text that was not cut may end short: its last words were dropped, not truncated.
        short = (distinct < counts) | ((lengths < max_length) & (counts < whole))
        if short.any():
            repaired = [self._name_dropped(t) if s else t for t, s in zip(kept, short, strict=True)]
            return self.encode(repaired, max_length)
        return Tokens(ids, words, starts, counts, self._padding)

    @property
    def _padding(self) -> int:
        pad = self.tokenizer.pad_token_id
        return 0 if pad is None else int(pad)

    def _name_dropped(self, words: list[str]) -> list[str]:
        unknown = self.tokenizer.unk_token or self.tokenizer.mask_token
        alone = self.tokenizer([[w] for w in words], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        return [w if tokens else unknown for w, tokens in zip(words, alone, strict=True)]

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's own JSON files into tokenizer/."""
        self.tokenizer.save_pretrained(str(folder / "tokenizer"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads tokenizer/, from the disk alone."""
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True))
