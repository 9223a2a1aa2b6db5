"""Pathological Contrastive Training (Zhan et al. 2022, Eq. 6 and 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from pct.methods.base import Batch, Originals, RegularisedMethod, reduced_features, reduced_texts
from pct.methods.losses import contrastive_loss
from pct.models.base import TextModel


class PCT(RegularisedMethod):
    """Cross-entropy + alpha * L_con (Eq. 6, 7).

    The positives of a text are the same text without its unimportant words; its negatives are the text without its
    important words, and all other texts. With `contrast_every` = n only every n-th batch has the contrastive term.
    """

    sparse = True

    def terms(self, model: TextModel, batch: Batch, originals: Originals) -> dict[str, tuple[float, Tensor]]:
        """See `RegularisedMethod`."""
        s = self.settings
        positives, negatives = (reduced_texts(batch, originals.saliency, s, important) for important in (False, True))
        if len(positives.text) + len(negatives.text) == 0:  # every text has one word
            return {"contrastive": (0.0, originals.logits.new_zeros(()))}
        source = torch.cat([positives.source, negatives.source])
        mask = torch.cat([positives.mask, negatives.mask])
        reduced = reduced_features(model, originals.projected, source, mask, s.step_tokens).representation
        texts = torch.arange(len(batch.ids), device=batch.ids.device)
        # set i holds text i and its positives, set K + i its negatives
        sets = torch.cat([texts, positives.text, negatives.text + len(texts)])
        contrastive = contrastive_loss(torch.cat([originals.representation, reduced]), sets, s.temperature)
        return {"contrastive": (s.alpha, contrastive)}
