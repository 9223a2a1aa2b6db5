"""Entropy regularisation (Feng et al. 2018; Eq. 8): high entropy on texts without their unimportant words."""

from __future__ import annotations

from pct.methods.base import Batch, Step, pass_originals, reduced_features, reduced_texts, supervised_loss
from pct.methods.losses import mean_entropy
from pct.models.base import TextModel
from pct.settings import Settings


class Entropy:
    """Cross-entropy - lambda * mean entropy of the predictions on texts without their unimportant words (Eq. 8)."""

    needs_classes = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        s = self.settings
        originals = pass_originals(model, batch, s)
        supervised = supervised_loss(originals.logits, batch)
        source, mask, _ = reduced_texts(batch, originals.saliency, s, important=False)
        if len(source) == 0:  # every text has one word
            return Step(supervised, {"cross_entropy": supervised.detach(), "entropy": supervised.new_zeros(())})
        reduced = reduced_features(model, originals.projected, source, mask, s.step_tokens).pooled
        entropy = mean_entropy(model.dense(model.dropout(reduced)), model.head)
        loss = supervised - s.entropy_weight * entropy
        return Step(loss, {"cross_entropy": supervised.detach(), "entropy": entropy.detach()})
