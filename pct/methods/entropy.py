"""Entropy regularisation (Feng et al. 2018; Eq. 8): be unsure of texts that lost their unimportant words."""

from __future__ import annotations

import torch.nn.functional as F

from pct.methods.base import Batch, Step, pass_originals, reduced_texts
from pct.methods.losses import mean_entropy
from pct.models.base import TextModel
from pct.registry import methods
from pct.settings import Settings


@methods.register("entropy")
class Entropy:
    """Cross-entropy - lambda * mean entropy of the predictions on texts without their unimportant words (Eq. 8)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        originals = pass_originals(model, batch, self.settings)
        supervised = F.cross_entropy(originals.logits, batch.labels)
        source, mask, _ = reduced_texts(batch, originals.saliency, self.settings, important=False)
        reduced = model.recombine(originals.projected, source, mask).pooled
        entropy = mean_entropy(model.dense(model.dropout(reduced))) if len(source) else supervised.new_zeros(())
        loss = supervised - self.settings.entropy_weight * entropy
        return Step(loss, {"cross_entropy": supervised.detach(), "entropy": entropy.detach()})
