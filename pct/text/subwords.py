"""Sub-word tokens of a transformers tokenizer, each with the word that it belongs to."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np

from pct.text.tokens import TOKEN_TYPE, Bools, Ints, Tokens, positions_of, starts_of
from pct.text.words import Document, as_document, has_pairs

FRAMED = 64  # tokens of the text whose special tokens are counted, at most


class SubWords:
    """A transformers tokenizer. The whole text, or the pair of texts, is tokenised as in transformers.

    A token belongs to the word that has its first non-space character. Special tokens belong to no word.

    The tokenizer's `truncation_side` and `split_special_tokens` are honoured. Its state is never changed, and threads
    can share it: texts are tokenised by copies of its backend, one for each `max_length`.

    Args:
        tokenizer: a fast tokenizer of transformers, or a `pct.text.saved_tokenizer.SavedTokenizer`.

    Raises:
        ValueError: it has no backend of the `tokenizers` library, or its backend cannot be copied.
    """

    kind = "subwords"

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(
                f"{type(tokenizer).__name__} has no word map; use an encoder whose tokenizer has a fast version"
            )
        self.tokenizer = tokenizer
        self._cuts_start = tokenizer.truncation_side == "left"
        self._has_types = "token_type_ids" in tokenizer.model_input_names
        self._backends: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.tokenizer)

    def special_ids(self) -> list[int]:
        """The ids of the special tokens. The unknown token stands for a word: it is one only if it has another role."""
        own = self.tokenizer
        roles = own.special_tokens_map.items()
        others = {token for role, token in roles if role != "unk_token" and isinstance(token, str)}
        return sorted(i for i in own.all_special_ids if i != own.unk_token_id or own.unk_token in others)

    def encode(self, texts: Sequence[Sequence[str]], max_length: int) -> Tokens:
        """See `Tokenizer.encode`.

        A word has no token, and is not counted, if the tokenizer drops its characters or joins them to the previous
        word. A text without tokens becomes the unknown token.

        Raises:
            ValueError: a text has no token, and the tokenizer has no unknown token.
        """
        return self._encode([as_document(t) for t in texts], max_length, self._unknown_text())

    def _unknown_text(self) -> Document | None:
        token = self.tokenizer.unk_token or self.tokenizer.mask_token
        return Document.of_words([token]) if token else None

    def _encode(self, documents: list[Document], max_length: int, unknown: Document | None) -> Tokens:
        ids, starts, special, offsets, side = self._tokenize(documents, max_length)
        text = np.repeat(np.arange(len(documents)), np.diff(starts))
        # a pair has two parts, each a text of its own
        parts = [part for document in documents for part in document.parts]
        first_part = starts_of(np.fromiter((1 if d.second is None else 2 for d in documents), np.int64, len(documents)))
        part = first_part[text] + side
        spans, base, first = _concatenated(parts)
        offsets += base[part][:, None]
        owner = _owners(parts, part, offsets, spans, base, first)
        owner[special == 1] = -1
        # the words of all texts that own a token
        owning_words, new_index = np.unique(owner[owner >= 0], return_inverse=True)
        first_word = first[first_part]
        text_of = np.searchsorted(first_word, owning_words, side="right") - 1
        counts = np.bincount(text_of, minlength=len(documents)).astype(np.int64)
        if not counts.all():
            if unknown is None:
                empty = documents[int(np.argmin(counts))].text
                raise ValueError(f"the tokenizer has no token for the text {empty!r:.80}: remove such texts")
            nonempty = [
                d if n else Document(unknown.text, unknown.spans, d.second)
                for d, n in zip(documents, counts, strict=True)
            ]
            return self._encode(nonempty, max_length, None)
        words = np.full(len(ids), -1)
        words[owner >= 0] = new_index - starts_of(counts)[text[owner >= 0]]
        if self._cuts_start:
            seen = base[1:].copy()  # the text after this character is in its tokens
            np.minimum.at(seen, part[special == 0], offsets[special == 0, 0])
            beyond = np.searchsorted(spans[:, 1], seen, side="right") - first[:-1]
        else:
            seen = base[:-1].copy()  # the text before this character is in its tokens
            ends = np.where(owner >= 0, np.maximum(offsets[:, 1], spans[owner, 0] + 1), offsets[:, 1])
            np.maximum.at(seen, part, ends)
            beyond = first[1:] - np.searchsorted(spans[:, 0], seen)
        places = owning_words - first_word[text_of]
        all_words = positions_of(counts)
        unk = self.tokenizer.unk_token_id
        return Tokens(
            ids, words, starts, counts, int(self.tokenizer.pad_token_id or 0), -1 if unk is None else int(unk),
            cut=np.where(np.diff(starts) < max_length, 0, np.add.reduceat(beyond, first_part[:-1])),
            kept=None if np.array_equal(places, all_words) else places,
        )  # fmt: skip

    def _tokenize(self, documents: list[Document], max_length: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """ids, starts, special (1 at special tokens), offsets (tokens, 2) in each text, and side (1 at tokens of a
        second text)."""
        encodings = self._backend(max_length).encode_batch([document.given for document in documents])
        lengths = np.fromiter(map(len, encodings), np.int64, len(encodings))
        total = int(lengths.sum())

        def column(values: Iterable[Iterable[int]]) -> Ints:
            return np.fromiter(chain.from_iterable(values), np.int64, total)

        ids = column(e.ids for e in encodings)
        if self._has_types:
            ids += TOKEN_TYPE * column(e.type_ids for e in encodings)
        side = np.zeros(total, np.int64)
        if has_pairs(documents):
            side = column((number or 0 for number in e.sequence_ids) for e in encodings)
        special = column(e.special_tokens_mask for e in encodings)
        return ids, starts_of(lengths), special, _pairs((e.offsets for e in encodings), total), side

    def frame(self) -> tuple[int, int]:
        """The numbers of special tokens before and after the tokens of a text."""
        special = self._tokenize([Document.of_words(["a"])], FRAMED)[2]
        inner = np.flatnonzero(special == 0)
        return int(inner[0]), len(special) - 1 - int(inner[-1])

    def _backend(self, max_length: int) -> Any:
        """The backend, set up as transformers does for `truncation=True`. It is not changed while it is in use."""
        if max_length not in self._backends:
            try:
                backend = copy.deepcopy(self.tokenizer.backend_tokenizer)
            except Exception as problem:  # the library raises a bare Exception
                raise ValueError(
                    f"{type(self.tokenizer).__name__} has a component in Python that cannot be copied ({problem}): use "
                    "a tokenizer that its own library can save"
                ) from problem
            backend.no_padding()
            backend.enable_truncation(
                max_length, stride=0, strategy="longest_first", direction=self.tokenizer.truncation_side
            )
            backend.encode_special_tokens = self.tokenizer.split_special_tokens
            self._backends[max_length] = backend
        return self._backends[max_length]

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's own JSON files into tokenizer/."""
        self.save_files(folder / "tokenizer")

    def save_files(self, folder: Path, **options: Any) -> None:
        """Writes the tokenizer's own JSON files, with the options that the library does not save, and with others."""
        self.tokenizer.save_pretrained(str(folder))
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        names = ("truncation_side", "split_special_tokens", "model_input_names")
        own = {name: getattr(self.tokenizer, name) for name in names}
        path.write_text(json.dumps(config | own | options, indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads tokenizer/, without the network."""
        from transformers import AutoTokenizer

        path = str(folder / "tokenizer")
        try:
            return cls(AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False))
        except ValueError as problem:
            if "trust_remote_code" in str(problem):
                raise ValueError("its tokenizer has code of its own, which is not run") from problem
            raise


def _concatenated(documents: Sequence[Document]) -> tuple[Ints, Ints, Ints]:
    """The texts as one text, joined by one character: the spans (words, 2) of all words, and the offsets of the
    characters and of the words of each text, both (texts + 1,)."""
    counts = np.fromiter(map(len, documents), np.int64, len(documents))
    base = starts_of(np.fromiter((len(d.text) + 1 for d in documents), np.int64, len(documents)))
    spans = _pairs((d.spans for d in documents), int(counts.sum()))
    return spans + np.repeat(base[:-1], counts)[:, None], base, starts_of(counts)


def _owners(texts: Sequence[Document], text: Ints, offsets: Ints, spans: Ints, base: Ints, first: Ints) -> Ints:
    """(tokens,) the word of each token, counted over all texts, -1 for none.

    text: (tokens,) the text of each token. offsets: (tokens, 2), as the spans over all texts.
    """
    # the first word that ends after the token's start: leading spaces are skipped
    owner = np.searchsorted(spans[:, 1], offsets[:, 0], side="right")
    owner[owner >= first[text + 1]] = -1
    # a token that ends before its word is a space, or text that a user's word rule assigns to no word
    ends = np.maximum(offsets[:, 1], offsets[:, 0] + 1)
    for token in np.flatnonzero((owner >= 0) & (ends <= spans[owner, 0])):
        start, end = offsets[token] - base[text[token]]
        if not texts[text[token]].text[start:end].isspace():
            owner[token] = -1
    return owner


def _pairs(groups: Iterable[Iterable[tuple[int, int]]], total: int) -> Ints:
    """(total, 2) the pairs of all groups."""
    flat = chain.from_iterable(chain.from_iterable(groups))
    return np.fromiter(flat, np.int64, 2 * total).reshape(-1, 2)


def token_kinds(words: Any) -> tuple[Bools, Bools]:
    """Which tokens are words or parts of words, and which tokens begin a word, both (ids,) bool.

    Args:
        words: a sub-word tokenizer, or a vocabulary: all of its tokens but the first two are words.
    """
    tokenizer = getattr(words, "tokenizer", None)
    if tokenizer is None:
        usable = np.arange(len(words)) > 1
        return usable, usable
    vocabulary = tokenizer.get_vocab()
    # byte-level and unigram tokenizers mark the tokens that begin a word, WordPiece those that continue one
    marked = any(piece[:1] in ("Ġ", "▁") for piece in vocabulary)
    usable, starts = np.zeros((2, max(vocabulary.values()) + 1), bool)
    special = set(tokenizer.all_special_ids)
    for piece, number in vocabulary.items():
        usable[number] = number not in special and any(character.isalnum() for character in piece)
        starts[number] = piece[:1] in ("Ġ", "▁") if marked else not piece.startswith("##")
    return usable, starts
