"""Normal training, the baseline of the other methods."""

from __future__ import annotations

from pct.methods.base import Batch, Step, supervised_loss
from pct.models.base import TextModel
from pct.settings import Settings


class Normal:
    """Cross-entropy."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        loss = supervised_loss(model(batch.ids, batch.word_ids > -2).logits, batch)
        return Step(loss, {"cross_entropy": loss.detach()})
