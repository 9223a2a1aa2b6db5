"""The training methods: a batch -> a loss and its named parts. A new one is a class here and a line in OBJECTIVES."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pct.losses import contrastive_loss, mean_entropy
from pct.models.base import TextModel, without_dropout
from pct.reduced_batch import reduce_batch
from pct.reduction import words_to_remove
from pct.saliency import class_score, saliency, word_saliency
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


class Normal:
    """Cross-entropy."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Objective`."""
        loss = F.cross_entropy(model(batch.ids, batch.words > -2).logits, batch.labels)
        return Step(loss, {"cross_entropy": loss.detach()})


class Entropy:
    """Cross-entropy - lambda * mean entropy of the predictions on texts without their unimportant words (Eq. 8)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Objective`."""
        logits, _, scores = shared_pass(model, batch, self.settings)
        supervised = F.cross_entropy(logits, batch.labels)
        removed = _removed(batch.counts, self.settings.p_unimportant)
        ids, mask, _ = reduce_batch(batch.ids, batch.words, scores, batch.counts, removed, False, batch.padding)
        entropy = mean_entropy(model(ids, mask).logits) if len(ids) else supervised.new_zeros(())
        loss = supervised - self.settings.entropy_weight * entropy
        return Step(loss, {"cross_entropy": supervised.detach(), "entropy": entropy.detach()})


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
        logits, original, scores = shared_pass(model, batch, self.settings)
        supervised = F.cross_entropy(logits, batch.labels)
        near_ids, near_mask, near = reduce_batch(
            batch.ids, batch.words, scores, batch.counts,
            _removed(batch.counts, self.settings.p_unimportant), False, batch.padding,
        )  # fmt: skip
        far_ids, far_mask, far = reduce_batch(
            batch.ids, batch.words, scores, batch.counts,
            _removed(batch.counts, self.settings.p_important), True, batch.padding,
        )  # fmt: skip
        if len(near_ids) == 0:  # texts of one word all: nothing to contrast
            return Step(supervised, {"cross_entropy": supervised.detach(), "contrastive": supervised.new_zeros(())})
        ids, mask = torch.cat([near_ids, far_ids]), torch.cat([near_mask, far_mask])
        width = int(mask.sum(1).max())
        reduced = model.features(model.embed(ids[:, :width]), mask[:, :width]).representation
        texts = torch.arange(len(batch.ids), device=batch.ids.device)
        # set i holds text i and its kin without unimportant words, set K + i its kin without important ones
        sets = torch.cat([texts, near, far + len(texts)])
        contrastive = contrastive_loss(torch.cat([original, reduced]), sets, self.temperature)
        loss = supervised + self.alpha * contrastive
        return Step(loss, {"cross_entropy": supervised.detach(), "contrastive": contrastive.detach()})


OBJECTIVES: dict[str, type[Normal] | type[Entropy] | type[PCT]] = {"normal": Normal, "entropy": Entropy, "pct": PCT}


def make_objective(settings: Settings) -> Objective:
    """The objective that `settings.method` names."""
    return OBJECTIVES[settings.method](settings)


def shared_pass(model: TextModel, batch: Batch, settings: Settings) -> tuple[Tensor, Tensor, Tensor]:
    """One forward pass through the model's body that serves the supervised loss and the saliency.

    The body runs without dropout, as saliency wants it; the last layer runs twice, with dropout for the loss and
    without for the saliency. Returns logits (batch, classes) and representations (batch, width), both in the graph,
    and the saliency of the true label (batch, words), outside it.
    """
    mask = batch.words > -2
    embeddings = model.embed(batch.ids)
    with without_dropout(model):
        features = model.features(embeddings, mask)
        plain = model.dense(features.pooled)
    logits = model.dense(model.dropout(features.pooled))
    if settings.saliency == "integrated_gradients":
        _, scores = saliency(
            model,
            batch.ids,
            batch.words,
            batch.labels,
            settings.saliency,
            settings.saliency_of,
            settings.integrated_steps,
        )
        return logits, features.representation, scores
    score = class_score(plain.float(), batch.labels, settings.saliency_of).sum()
    (gradient,) = torch.autograd.grad(score, embeddings, retain_graph=True)
    scores = word_saliency(gradient.float(), embeddings.detach().float(), batch.words, settings.saliency)
    return logits, features.representation, scores


def _removed(counts: Tensor, share: float) -> Tensor:
    # N is known on the CPU; its numpy definition is the only one
    return torch.from_numpy(words_to_remove(counts.cpu().numpy().astype(np.int64), share)).to(counts.device)
