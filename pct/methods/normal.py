"""Normal training: what the other methods are compared with."""

from __future__ import annotations

import torch.nn.functional as F

from pct.methods.base import Batch, Step
from pct.models.base import TextModel
from pct.registry import methods
from pct.settings import Settings


@methods.register("normal")
class Normal:
    """Cross-entropy."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        loss = F.cross_entropy(model(batch.ids, batch.words > -2).logits, batch.labels)
        return Step(loss, {"cross_entropy": loss.detach()})
