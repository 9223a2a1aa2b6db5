"""Pathological Contrastive Training (Eq. 6, 7): a text is its own class, with what it can and cannot do without."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pct.methods.base import Batch, Step, pass_originals, reduced_texts
from pct.methods.losses import contrastive_loss
from pct.models.base import TextModel
from pct.registry import methods
from pct.settings import Settings


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
        """See `Method`."""
        originals = pass_originals(model, batch, self.settings)
        supervised = F.cross_entropy(originals.logits, batch.labels)
        near, far = (reduced_texts(batch, originals.saliency, self.settings, important) for important in (False, True))
        if len(near.text) + len(far.text) == 0:  # texts of one word all: nothing to contrast
            return Step(supervised, {"cross_entropy": supervised.detach(), "contrastive": supervised.new_zeros(())})
        source, mask = torch.cat([near.source, far.source]), torch.cat([near.mask, far.mask])
        width = int(mask.sum(1).max())
        reduced = model.recombine(originals.projected, source[:, :width], mask[:, :width]).representation
        texts = torch.arange(len(batch.ids), device=batch.ids.device)
        # set i holds text i and its kin without unimportant words, set K + i its kin without important ones
        sets = torch.cat([texts, near.text, far.text + len(texts)])
        contrastive = contrastive_loss(torch.cat([originals.representation, reduced]), sets, self.temperature)
        loss = supervised + self.alpha * contrastive
        return Step(loss, {"cross_entropy": supervised.detach(), "contrastive": contrastive.detach()})
