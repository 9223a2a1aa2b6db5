"""What every training method is made of: a mini-batch in, a loss and its named parts out, and what they share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pct.explaining.reduction import words_to_remove
from pct.explaining.saliency import class_score, saliency, word_saliency
from pct.methods.reduced_batch import reduce_batch
from pct.models.base import TextModel, without_dropout
from pct.registry import methods
from pct.settings import Settings


class Batch(NamedTuple):
    """ids, words: (batch, length), the word map -1 at specials and -2 at padding. labels, counts: (batch,)."""

    ids: Tensor
    words: Tensor
    labels: Tensor
    counts: Tensor
    padding: int


class Step(NamedTuple):
    """The scalar to descend, and its parts by name, detached, for the progress bar and the log."""

    loss: Tensor
    parts: dict[str, Tensor]


class Method(Protocol):
    """A training method: one class in a file of its own, made from the settings of a run."""

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """The loss of a mini-batch and its parts."""
        ...


def make_method(settings: Settings) -> Method:
    """The training method that `settings.method` names."""
    return methods.get(settings.method)(settings)


class Originals(NamedTuple):
    """What one pass over a batch's texts gives to the supervised loss, the saliency and the reduced texts.

    logits: (batch, classes), with dropout. representation: (batch, width). projected: see `TextModel.project`.
    These three are in the graph; saliency: (batch, words), of the true label, is not.
    """

    logits: Tensor
    representation: Tensor
    projected: Tensor
    saliency: Tensor


def pass_originals(model: TextModel, batch: Batch, settings: Settings) -> Originals:
    """One forward pass through the model's body for everything that needs the original texts.

    The body runs without dropout, as saliency wants it; the last layer runs twice, with dropout for the loss and
    without for the saliency.
    """
    mask = batch.words > -2
    embeddings = model.embed(batch.ids)
    projected = model.project(embeddings)
    with without_dropout(model):
        places = torch.arange(mask.numel(), device=mask.device).view_as(mask)
        pooled, representation = model.recombine(projected, places, mask)
        plain = model.dense(pooled)
    logits = model.dense(model.dropout(pooled))
    if settings.saliency == "integrated_gradients":
        kind, of, steps = settings.saliency, settings.saliency_of, settings.integrated_steps
        _, scores = saliency(model, batch.ids, batch.words, batch.labels, kind, of, steps)
    else:
        score = class_score(plain.float(), batch.labels, settings.saliency_of).sum()
        (gradient,) = torch.autograd.grad(score, embeddings, retain_graph=True)
        scores = word_saliency(gradient.float(), embeddings.detach().float(), batch.words, settings.saliency)
    return Originals(logits, representation, projected, scores)


class Reduced(NamedTuple):
    """The reduced texts of one side of a batch.

    source, mask: (rows, length), as `TextModel.recombine` takes them. text: (rows,), the text that each row was.
    """

    source: Tensor
    mask: Tensor
    text: Tensor


def reduced_texts(batch: Batch, saliency: Tensor, settings: Settings, important: bool) -> Reduced:
    """A batch's texts without 1..m of their important, or unimportant, words.

    A share of 0 leaves the side out (the one-sided rows of the paper's Table 4): m is 0.
    """
    share = settings.p_important if important else settings.p_unimportant
    counts = batch.counts.cpu().numpy().astype(np.int64)  # m's numpy definition is the only one
    removed = words_to_remove(counts, share) if share else np.zeros_like(counts)
    steps = torch.from_numpy(removed).to(batch.counts.device)
    return Reduced(*reduce_batch(batch.words, saliency, batch.counts, steps, important))
