"""What a mini-batch carries beside its texts: the mask's id, the words that decide, the weights of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pct.settings import Settings
from pct.text.tokens import Ints, Tokenizer, Tokens
from pct.text.vocabulary import UNKNOWN, Vocabulary

Bools = npt.NDArray[np.bool_]
HIDDEN_SHARE = 0.5  # of the words that were seen once, in each pass over the texts


def mask_id(tokenizer: Tokenizer) -> int:
    """The token that stands for a masked word: the tokenizer's mask, else what is unknown, as in a vocabulary."""
    if isinstance(tokenizer, Vocabulary):
        return UNKNOWN
    inner: Any = tokenizer.tokenizer  # type: ignore[attr-defined]
    known = (inner.mask_token_id, inner.unk_token_id, inner.pad_token_id)
    return int(next(token for token in known if token is not None))


def with_unknown(ids: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Token ids in which words that were seen once are unknown half of the time, so that this entry is trained: it
    stands for words that a model never saw, and they are like words that it saw once."""
    rare = ids >= vocabulary.first_rare
    return torch.where(rare & (torch.rand(ids.shape, device=ids.device) < HIDDEN_SHARE), UNKNOWN, ids)


def with_masked_words(tokens: Tokens, mask: int, seed: int) -> Tokens:
    """The texts with a share ~ U(0, 1) of the words of each one masked, as training by `masked` draws it; drawn under
    the seed, so that it is the same after every epoch."""
    rng, ids = np.random.default_rng(seed), tokens.ids.copy()
    for start, count, length in zip(tokens.starts[:-1], tokens.counts, tokens.lengths, strict=True):
        own = slice(start, start + length)
        words = rng.permutation(count)[: round(rng.random() * count)]
        ids[own] = np.where(np.isin(tokens.word_ids[own], words), mask, ids[own])
    return replace(tokens, ids=ids)


def marked_words(rationale: Sequence[Sequence[float]], tokens: Tokens) -> Bools:
    """The words that decide, (texts, most words), of a corpus that knows them: 0/1 a counted word of each text."""
    marks = np.zeros((len(tokens), int(tokens.counts.max(initial=1))), bool)
    for row, count, known in zip(marks, tokens.counts, rationale, strict=True):
        row[:count] = known[:count]
    return marks


def class_weights(settings: Settings, labels: Ints, classes: int, device: torch.device) -> Tensor | None:
    """The weight of each class in the loss, (classes,): n / (classes n_c) by `balanced`, zero for a class without a
    training text; None where all weigh alike."""
    if settings.class_weights == "none":
        return None
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)) * (counts > 0)
    return torch.tensor(weights, dtype=torch.float32, device=device)
