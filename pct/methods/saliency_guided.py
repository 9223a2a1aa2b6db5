"""Saliency-guided training (Ismail et al., NeurIPS 2021): masking unimportant words must not change the output."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pct.methods.base import Batch, Originals, RegularisedMethod, ranking, words_removed
from pct.methods.masked import mask_words
from pct.methods.reduced_batch import ranks
from pct.models.base import TextModel
from pct.models.transfer import to_device


class SaliencyGuided(RegularisedMethod):
    """Cross-entropy + lambda KL(f(X) || f(X with its m_u least salient words masked)), the mean over texts.

    Of a number, the squared error and the squared difference replace them.
    """

    def terms(self, model: TextModel, batch: Batch, originals: Originals) -> dict[str, tuple[float, Tensor]]:
        """See `RegularisedMethod`."""
        s = self.settings
        removed = words_removed(batch, s.p_unimportant)
        m_u = to_device(removed, batch.counts.device)[:, None]
        least = ranks(ranking(originals.saliency, important=False), batch.counts, important=False) <= m_u
        masked = model(mask_words(batch, least), batch.word_ids > -2).logits
        # a text of one word has nothing to mask
        some = to_device(np.flatnonzero(removed), batch.counts.device)
        divergence = model.head.divergence(originals.logits[some], masked[some])
        return {"divergence": (s.guided_weight, divergence)}
