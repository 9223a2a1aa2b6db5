"""Pathological Contrastive Training (Eq. 6, 7): a text is near itself without the words that it can do without."""

from __future__ import annotations

import torch

from pct.methods import methods
from pct.methods.base import Batch, Step, make_method, pass_originals, reduced_features, reduced_texts, supervised_loss
from pct.methods.losses import contrastive_loss
from pct.models.base import TextModel
from pct.settings import Settings


@methods.register("pct")
class PCT:
    """Cross-entropy + alpha * L_con (Eq. 6, 7): a text is pulled towards itself without its unimportant words, and
    pushed from itself without its important ones. With `contrast_every` = n, normal training but in each n-th batch."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        assert settings.alpha is not None  # Settings fills both
        assert settings.temperature is not None
        self.alpha, self.temperature = settings.alpha, settings.temperature
        self.normal = make_method(settings.replace(method="normal"))

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        s = self.settings
        if batch.number % s.contrast_every:
            return self.normal(model, batch)
        originals = pass_originals(model, batch, s)
        supervised = supervised_loss(originals.logits, batch)
        near, far = (reduced_texts(batch, originals.saliency, s, important) for important in (False, True))
        if len(near.text) + len(far.text) == 0:  # texts of one word all: nothing to contrast
            return Step(supervised, {"cross_entropy": supervised.detach(), "contrastive": supervised.new_zeros(())})
        source, mask = torch.cat([near.source, far.source]), torch.cat([near.mask, far.mask])
        reduced = reduced_features(model, originals.projected, source, mask, s.step_tokens).representation
        texts = torch.arange(len(batch.ids), device=batch.ids.device)
        # set i holds text i and its kin without unimportant words, set K + i its kin without important ones
        sets = torch.cat([texts, near.text, far.text + len(texts)])
        contrastive = contrastive_loss(torch.cat([originals.representation, reduced]), sets, self.temperature)
        loss = supervised + self.alpha * contrastive
        return Step(loss, {"cross_entropy": supervised.detach(), "contrastive": contrastive.detach()})
