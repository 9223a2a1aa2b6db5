"""Removal margin: removing the important words must lower the log-odds; removing others must not change the output."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pct.methods.base import Batch, Originals, RegularisedMethod, RemovedWords, ranking, reduced_logits, words_removed
from pct.methods.reduced_batch import ranks
from pct.models.base import TextModel
from pct.models.transfer import to_device
from pct.settings import Settings


class RemovalMargin(RegularisedMethod):
    """Cross-entropy + lambda_c mean[delta - (z(X) - z(I))]_+ + lambda_u mean KL(f(X) || f(U)) + lambda_r mean
    KL(f(X) || f(R)), a method of this project.

    z is the log-odds of the true class, of several labels the mean over the true ones (the most probable where none
    is); I, U and R are the text X without its m_i most salient, its m_u least salient and m_i random words. The means
    are over texts of at least two words, and the choice of words has no gradient. The random term keeps the model from
    becoming merely less confident. Of a number z, the hinge is on |z(X) - z(I)|, delta is in its unit, and squared
    differences replace the divergences. With `contrast_every` = n, all but every n-th batch are trained normally.
    """

    sparse = True

    def terms(self, model: TextModel, batch: Batch, originals: Originals) -> dict[str, tuple[float, Tensor]]:
        """See `RegularisedMethod`."""
        s = self.settings
        choices = words_to_compare(originals.saliency, batch, s)
        important, unimportant, random = reduced_logits(model, batch, originals.projected, choices, s)
        rows = important.text
        pair, head = (originals.logits[rows], important.logits), model.head
        chosen = head.chosen(pair[0].detach(), batch.labels[rows])
        whole, rest = (head.score(logits, chosen) for logits in pair)
        hinge = F.relu(s.margin_bound - head.drop(whole, rest)).sum() / max(len(rows), 1)
        keep, chance = (head.divergence(originals.logits[x.text], x.logits) for x in (unimportant, random))
        return {"hinge": (s.margin_weight, hinge), "keep": (s.keep_weight, keep), "random": (s.random_weight, chance)}


def words_to_compare(saliency: Tensor, batch: Batch, settings: Settings) -> tuple[RemovedWords, ...]:
    """The m_i most salient, the m_u least salient and m_i random words of each text.

    Args:
        saliency: (batch, words).
        batch: the texts.
        settings: `p_important` and `p_unimportant` are the shares.

    Returns:
        Three choices. A text of one word loses none.
    """
    random = torch.rand(saliency.shape, device=saliency.device)

    def first(by: Tensor, share: float, important: bool) -> RemovedWords:
        removed = words_removed(batch, share)
        chosen = ranks(ranking(by, important), batch.counts, important) <= to_device(removed, by.device)[:, None]
        return RemovedWords(chosen, np.flatnonzero(removed))

    return (
        first(saliency, settings.p_important, important=True),
        first(saliency, settings.p_unimportant, important=False),
        first(random, settings.p_important, important=True),
    )
