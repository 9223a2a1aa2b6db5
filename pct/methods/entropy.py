"""Entropy regularisation (Feng et al. 2018; Eq. 8): high entropy on texts without their unimportant words."""

from __future__ import annotations

from torch import Tensor

from pct.methods.base import Batch, Originals, RegularisedMethod, reduced_features, reduced_texts
from pct.methods.losses import mean_entropy
from pct.models.base import TextModel


class Entropy(RegularisedMethod):
    """Cross-entropy - lambda * mean entropy of the predictions on texts without their unimportant words (Eq. 8)."""

    needs_classes = True

    def terms(self, model: TextModel, batch: Batch, originals: Originals) -> dict[str, tuple[float, Tensor]]:
        """See `RegularisedMethod`."""
        s = self.settings
        source, mask, _ = reduced_texts(batch, originals.saliency, s, important=False)
        if len(source) == 0:  # every text has one word
            return {"entropy": (0.0, originals.logits.new_zeros(()))}
        reduced = reduced_features(model, originals.projected, source, mask, s.step_tokens).pooled
        return {"entropy": (-s.entropy_weight, mean_entropy(model.dense(model.dropout(reduced)), model.head))}
