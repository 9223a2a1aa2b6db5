"""The training methods: a batch -> a loss and its named parts. A new one is a class that registers its name."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pct.explaining.reduction import words_to_remove
from pct.explaining.saliency import class_score, saliency, word_saliency
from pct.methods.losses import contrastive_loss, mean_entropy
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


class Objective(Protocol):
    """A training method."""

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """The loss of a mini-batch and its parts."""
        ...


@methods.register("normal")
class Normal:
    """Cross-entropy."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Objective`."""
        loss = F.cross_entropy(model(batch.ids, batch.words > -2).logits, batch.labels)
        return Step(loss, {"cross_entropy": loss.detach()})


@methods.register("entropy")
class Entropy:
    """Cross-entropy - lambda * mean entropy of the predictions on texts without their unimportant words (Eq. 8)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Objective`."""
        shared = shared_pass(model, batch, self.settings)
        supervised = F.cross_entropy(shared.logits, batch.labels)
        source, mask, _ = reduce_batch(batch.words, shared.saliency, *_order(batch, self.settings, important=False))
        reduced = model.recombine(shared.projected, source, mask).pooled
        entropy = mean_entropy(model.dense(model.dropout(reduced))) if len(source) else supervised.new_zeros(())
        loss = supervised - self.settings.entropy_weight * entropy
        return Step(loss, {"cross_entropy": supervised.detach(), "entropy": entropy.detach()})


@methods.register("pct")
class PCT:
    """Cross-entropy + alpha * L_con (Eq. 6, 7): a text is pulled towards itself without its unimportant words, and
    pushed from itself without its important ones."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        assert settings.alpha is not None  # Settings fills both
        assert settings.temperature is not None
        self.alpha, self.temperature = settings.alpha, settings.temperature

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Objective`."""
        shared = shared_pass(model, batch, self.settings)
        supervised = F.cross_entropy(shared.logits, batch.labels)
        sides = (
            reduce_batch(batch.words, shared.saliency, *_order(batch, self.settings, important))
            for important in (False, True)
        )
        (near_source, near_mask, near), (far_source, far_mask, far) = sides
        if len(near) + len(far) == 0:  # texts of one word all: nothing to contrast
            return Step(supervised, {"cross_entropy": supervised.detach(), "contrastive": supervised.new_zeros(())})
        source, mask = torch.cat([near_source, far_source]), torch.cat([near_mask, far_mask])
        width = int(mask.sum(1).max())
        reduced = model.recombine(shared.projected, source[:, :width], mask[:, :width]).representation
        texts = torch.arange(len(batch.ids), device=batch.ids.device)
        # set i holds text i and its kin without unimportant words, set K + i its kin without important ones
        sets = torch.cat([texts, near, far + len(texts)])
        contrastive = contrastive_loss(torch.cat([shared.representation, reduced]), sets, self.temperature)
        loss = supervised + self.alpha * contrastive
        return Step(loss, {"cross_entropy": supervised.detach(), "contrastive": contrastive.detach()})


def make_objective(settings: Settings) -> Objective:
    """The objective that `settings.method` names."""
    return methods.get(settings.method)(settings)


class Shared(NamedTuple):
    """What one pass through the model's body gives to the supervised loss, the saliency and the reduced texts.

    logits: (batch, classes), with dropout. representation: (batch, width). projected: see `TextModel.project`.
    These three are in the graph; saliency: (batch, words), of the true label, is not.
    """

    logits: Tensor
    representation: Tensor
    projected: Tensor
    saliency: Tensor


def shared_pass(model: TextModel, batch: Batch, settings: Settings) -> Shared:
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
    return Shared(logits, representation, projected, scores)


def _order(batch: Batch, settings: Settings, important: bool) -> tuple[Tensor, Tensor, bool]:
    """N and m of each text of a batch, and the side. N is known on the CPU; its numpy definition is the only one.

    A share of 0 leaves the side out (the one-sided rows of the paper's Table 4): m is 0.
    """
    share = settings.p_important if important else settings.p_unimportant
    counts = batch.counts.cpu().numpy().astype(np.int64)
    removed = words_to_remove(counts, share) if share else np.zeros_like(counts)
    return batch.counts, torch.from_numpy(removed).to(batch.counts.device), important
