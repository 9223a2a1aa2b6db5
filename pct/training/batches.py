"""Mini-batches: the texts of each, masked and unknown words, rationales, class weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pct.corpora.splits import Labels
from pct.methods.base import Batch
from pct.models.transfer import to_device
from pct.settings import Settings
from pct.text.tokens import TOKEN_TYPE, Ints, Tokens, replaced_by
from pct.text.vocabulary import UNKNOWN, Vocabulary

# Texts are shuffled, and sorted by length within buckets of this many batches, which reduces padding.
BATCHES_PER_BUCKET = 32
HIDDEN_SHARE = 0.5  # of the occurrences of rare words (with a count of 1), in each epoch


def batch_indices(lengths: Ints, size: int, seed: int, epoch: int) -> list[Ints]:
    """An epoch's batches of text indices, shuffled with (seed, epoch). Texts of a batch have similar lengths."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    bucket = size * BATCHES_PER_BUCKET
    for start in range(0, len(order), bucket):
        part = order[start : start + bucket]
        part[:] = part[np.argsort(lengths[part], kind="stable")]
    return [order[i * size : (i + 1) * size] for i in rng.permutation(-(-len(order) // size))]


def make_batch(tokens: Tokens, labels: Labels, rows: Ints, device: torch.device, mask_id: int | None = None) -> Batch:
    """The texts of some rows as a padded batch on a device."""
    ids, words = tokens.rows(rows)
    counts = tokens.counts[rows]
    own = (to_device(ids, device), to_device(words, device), to_device(labels[rows], device), to_device(counts, device))
    return Batch(*own, counts, tokens.padding, mask_id, int(ids.max()) // TOKEN_TYPE + 1)


def with_unknown(ids: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Replaces half of the rare words (with a count of 1) by the unknown token at random, so that its embedding is
    trained: unseen words resemble rare words."""
    rare = ids >= vocabulary.first_rare
    return torch.where(rare & (torch.rand(ids.shape, device=ids.device) < HIDDEN_SHARE), UNKNOWN, ids)


def with_masked_words(tokens: Tokens, mask: int, seed: int) -> Tokens:
    """The texts with a share ~ U(0, 1) of the words of each text masked, as in the training method `masked`. They are
    drawn with the seed, so that they are the same after every epoch."""
    rng, ids = np.random.default_rng(seed), np.array(tokens.ids)
    for start, count, length in zip(tokens.starts[:-1], np.asarray(tokens.counts), tokens.lengths, strict=True):
        own = slice(start, start + length)
        words = rng.permutation(count)[: round(rng.random() * count)]
        ids[own] = np.where(np.isin(tokens.word_ids[own], words), replaced_by(ids[own], mask), ids[own])
    return replace(tokens, ids=ids)


def class_weights(settings: Settings, labels: Labels, classes: int, device: torch.device) -> Tensor | None:
    """The weight of each class in the loss, (classes,). With `balanced`: n / (classes n_c), zero for a class without a
    training text; of several labels (n - n_c) / n_c, the weight of the texts that have the label, or 1 where all texts
    have it or none. None for equal weights."""
    if settings.class_weights == "none":
        return None
    if labels.ndim == 2:
        texts = labels.sum(0)
        without = len(labels) - texts
        weights = np.where((texts > 0) & (without > 0), without / np.maximum(texts, 1), 1.0)
        return torch.tensor(weights, dtype=torch.float32, device=device)
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)) * (counts > 0)
    return torch.tensor(weights, dtype=torch.float32, device=device)
