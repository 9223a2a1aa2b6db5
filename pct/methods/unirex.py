"""UNIREX (Chan et al., ICML 2022, arXiv 2112.08802): losses of comprehensiveness and sufficiency at the top k words."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pct.explaining.reduction import ERASER_SHARES
from pct.methods.base import (
    Batch,
    Originals,
    ReducedLogits,
    RegularisedMethod,
    RemovedWords,
    reduced_logits,
    words_removed,
)
from pct.methods.reduced_batch import ranks
from pct.models.base import TextModel
from pct.models.heads import head_of_labels
from pct.models.transfer import to_device


class Unirex(RegularisedMethod):
    """Cross-entropy + w_c mean(max(-m_c, CE(X) - CE(X without the top k)) + m_c) + w_s mean(max(-m_s, CE(the top k
    alone) - CE(X)) + m_s), with the model's own saliency instead of a learned extractor.

    k is 1, 5, 10, 20 or 50 % of a text's words; one of these is drawn for each step. The means are over texts of at
    least two words, and the ranking has no gradient. The plausibility loss of the source, which needs human rationales,
    is left out. With `contrast_every` = n, all but every n-th batch are trained normally.
    """

    sparse = True

    def terms(self, model: TextModel, batch: Batch, originals: Originals) -> dict[str, tuple[float, Tensor]]:
        """See `RegularisedMethod`."""
        s = self.settings
        share = ERASER_SHARES[int(torch.randint(len(ERASER_SHARES), ()))]
        rank = ranks(originals.saliency, batch.counts, important=True)
        k = to_device(words_removed(batch, share), rank.device)[:, None]
        top, others = rank <= k, (rank > k) & (rank <= batch.counts[:, None]) & (batch.counts[:, None] > 1)
        several = np.flatnonzero(batch.host_counts > 1)
        choices = (RemovedWords(top, several), RemovedWords(others, several))
        without, alone = reduced_logits(model, batch, originals.projected, choices, s)
        comp = bounded(originals.logits, without, batch.labels, -1, s.comp_bound)
        suff = bounded(originals.logits, alone, batch.labels, 1, s.suff_bound)
        return {"comp_loss": (s.comp_weight, comp), "suff_loss": (s.suff_weight, suff)}


def bounded(whole: Tensor, reduced: ReducedLogits, labels: Tensor, sign: int, bound: float) -> Tensor:
    """mean(max(-bound, sign (CE(reduced text) - CE(whole text))) + bound); 0 without reduced texts.

    Args:
        whole: (batch, classes) logits of the whole texts.
        reduced: of the reduced ones.
        labels: (batch,).
        sign: -1 for comprehensiveness, 1 for sufficiency.
        bound: in nats; a text whose difference is below -bound has no gradient.

    Returns:
        A scalar.
    """
    rows = reduced.text
    before, after = (
        head_of_labels(labels).loss(x, labels[rows], reduction="none") for x in (whole[rows], reduced.logits)
    )
    return F.relu(sign * (after - before) + bound).sum() / max(len(rows), 1)
