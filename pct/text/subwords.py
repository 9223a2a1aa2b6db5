"""Sub-words: a transformers tokenizer's tokens of the whole text, each with the word that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pct.text.tokens import Ints, Tokens, starts_of
from pct.text.words import Document, as_document


class SubWords:
    """A transformers tokenizer. The text is tokenised as transformers does it; a token belongs to the word in which
    its first character that is no space lies, special tokens belong to none."""

    kind = "subwords"

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"{type(tokenizer).__name__} has no word map; use an encoder whose tokenizer has a fast version"
            )
        self.tokenizer = tokenizer
        tokenizer.truncation_side = "right"  # N counts words from the first one on, whatever the encoder was used to

    def __len__(self) -> int:
        return len(self.tokenizer)

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """See `Tokenizer.encode`. A word whose characters the tokenizer drops, or joins to the word before it, has no
        token and is not counted; a text that has none at all becomes the unknown token."""
        documents = [as_document(t) for t in texts]
        ids, starts, special, offsets = self._tokenize([d.text for d in documents], max_length)
        text = np.repeat(np.arange(len(documents)), np.diff(starts))
        spans, base, first = _laid_out(documents)
        offsets += base[text][:, None]
        owner = _owners(documents, text, offsets, spans, base, first)
        owner[special == 1] = -1
        # the words that own a token, of all texts one after another
        kept, fresh = np.unique(owner[owner >= 0], return_inverse=True)
        text_of = np.searchsorted(first, kept, side="right") - 1
        counts = np.bincount(text_of, minlength=len(documents)).astype(np.int64)
        if not counts.all():
            unknown = Document.of_words([self.tokenizer.unk_token or self.tokenizer.mask_token])
            return self.encode([d if n else unknown for d, n in zip(documents, counts, strict=True)], max_length)
        words = np.full(len(ids), -1)
        words[owner >= 0] = fresh - starts_of(counts)[text[owner >= 0]]
        seen = base[:-1].copy()  # up to here, the text is in its tokens
        np.maximum.at(seen, text, np.where(owner >= 0, np.maximum(offsets[:, 1], spans[owner, 0] + 1), offsets[:, 1]))
        beyond = first[1:] - np.searchsorted(spans[:, 0], seen)
        places, whole = kept - first[text_of], np.arange(len(kept)) - np.repeat(starts_of(counts)[:-1], counts)
        unk = self.tokenizer.unk_token_id
        return Tokens(
            ids, words, starts, counts, int(self.tokenizer.pad_token_id or 0), -1 if unk is None else int(unk),
            cut=np.where(np.diff(starts) < max_length, 0, beyond),
            kept=None if np.array_equal(places, whole) else places,
        )  # fmt: skip

    def _tokenize(self, texts: list[str], max_length: int) -> tuple[Ints, Ints, Ints, Ints]:
        """ids, starts, special (1 at special tokens) and offsets (tokens, 2) in each text."""
        found = []
        if texts:
            batch = self.tokenizer(texts, truncation=True, max_length=max_length, return_attention_mask=False)
            found = batch.encodings
        lengths = np.fromiter(map(len, found), np.int64, len(found))
        total = int(lengths.sum())
        ids = np.fromiter(chain.from_iterable(e.ids for e in found), np.int64, total)
        special = np.fromiter(chain.from_iterable(e.special_tokens_mask for e in found), np.int64, total)
        return ids, starts_of(lengths), special, _pairs((e.offsets for e in found), total)

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's own JSON files into tokenizer/."""
        self.tokenizer.save_pretrained(str(folder / "tokenizer"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads tokenizer/, from the disk alone."""
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True))


def _laid_out(documents: Sequence[Document]) -> tuple[Ints, Ints, Ints]:
    """All texts as one, a character apart: spans (words, 2) of all words, and where the characters and the words of
    each text begin, both (texts + 1,)."""
    counts = np.fromiter(map(len, documents), np.int64, len(documents))
    base = starts_of(np.fromiter((len(d.text) + 1 for d in documents), np.int64, len(documents)))
    spans = _pairs((d.spans for d in documents), int(counts.sum()))
    return spans + np.repeat(base[:-1], counts)[:, None], base, starts_of(counts)


def _owners(documents: Sequence[Document], text: Ints, offsets: Ints, spans: Ints, base: Ints, first: Ints) -> Ints:
    """(tokens,) the word of each token, counted over all texts, -1 for none.

    text: (tokens,) the text of each token. offsets: (tokens, 2), as the spans over all texts.
    """
    # the first word that ends behind the token's start: spaces before it are skipped
    owner = np.searchsorted(spans[:, 1], offsets[:, 0], side="right")
    owner[owner >= first[text + 1]] = -1
    # a token that ends before its word is a space that leads to it, or text that a user's own rule leaves to no word
    ends = np.maximum(offsets[:, 1], offsets[:, 0] + 1)
    for token in np.flatnonzero((owner >= 0) & (ends <= spans[owner, 0])):
        start, end = offsets[token] - base[text[token]]
        if not documents[text[token]].text[start:end].isspace():
            owner[token] = -1
    return owner


def _pairs(groups: Iterable[Iterable[tuple[int, int]]], total: int) -> Ints:
    """(total, 2) the pairs of all groups."""
    flat = chain.from_iterable(chain.from_iterable(groups))
    return np.fromiter(flat, np.int64, 2 * total).reshape(-1, 2)


def token_kinds(words: Any) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which tokens are words or parts of words, and which of them begin one, both (ids,) bool.

    Args:
        words: a sub-word tokenizer, or a vocabulary, whose tokens are words but for the first two.
    """
    tokenizer = getattr(words, "tokenizer", None)
    if tokenizer is None:
        usable = np.arange(len(words)) > 1
        return usable, usable
    vocabulary = tokenizer.get_vocab()
    # byte-level and unigram tokenizers mark the tokens that begin a word, WordPiece those that go on with one
    marked = any(piece[:1] in ("Ġ", "▁") for piece in vocabulary)
    usable, starts = np.zeros((2, max(vocabulary.values()) + 1), bool)
    special = set(tokenizer.all_special_ids)
    for piece, number in vocabulary.items():
        usable[number] = number not in special and any(character.isalnum() for character in piece)
        starts[number] = piece[:1] in ("Ġ", "▁") if marked else not piece.startswith("##")
    return usable, starts
