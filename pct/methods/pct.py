"""Pathological Contrastive Training (Zhan et al. 2022, Eq. 6 and 7)."""

from __future__ import annotations

import torch

from pct.methods.base import Batch, Step, make_method, pass_originals, reduced_features, reduced_texts, supervised_loss
from pct.methods.losses import contrastive_loss
from pct.models.base import TextModel
from pct.settings import Settings


class PCT:
    """Cross-entropy + alpha * L_con (Eq. 6, 7).

    The positives of a text are the same text without its unimportant words; its negatives are the text without its
    important words, and all other texts. With `contrast_every` = n only every n-th batch has the contrastive term.
    """

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
        positives, negatives = (reduced_texts(batch, originals.saliency, s, important) for important in (False, True))
        if len(positives.text) + len(negatives.text) == 0:  # every text has one word
            return Step(supervised, {"cross_entropy": supervised.detach(), "contrastive": supervised.new_zeros(())})
        source = torch.cat([positives.source, negatives.source])
        mask = torch.cat([positives.mask, negatives.mask])
        reduced = reduced_features(model, originals.projected, source, mask, s.step_tokens).representation
        texts = torch.arange(len(batch.ids), device=batch.ids.device)
        # set i holds text i and its positives, set K + i its negatives
        sets = torch.cat([texts, positives.text, negatives.text + len(texts)])
        contrastive = contrastive_loss(torch.cat([originals.representation, reduced]), sets, self.temperature)
        loss = supervised + self.alpha * contrastive
        return Step(loss, {"cross_entropy": supervised.detach(), "contrastive": contrastive.detach()})
