"""Training on masked words (Madsen et al. 2024, arXiv 2310.07819), so that masked texts are in distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from pct.methods.base import Batch, SettingsMethod, Step, normal_step
from pct.models.base import TextModel
from pct.text.tokens import replaced_by


class Masked(SettingsMethod):
    """Cross-entropy; in half of the texts of a batch a share ~ U(0, 1) of the words is masked."""

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        ids = mask_words(batch, random_words(batch.counts, int(batch.host_counts.max())))
        return normal_step(model, batch._replace(ids=ids))


def mask_words(batch: Batch, chosen: Tensor) -> Tensor:
    """The ids of a batch with every token of the chosen words replaced by the mask token.

    Args:
        batch: the texts.
        chosen: (batch, words) bool.

    Returns:
        (batch, length); special tokens and padding are unchanged.
    """
    of_token = chosen.gather(1, batch.word_ids.clamp(min=0)) & (batch.word_ids >= 0)
    return torch.where(of_token, replaced_by(batch.ids, batch.mask_token), batch.ids)


def random_words(counts: Tensor, width: int) -> Tensor:
    """Which words to mask: none in half of the texts, round(u N) with u ~ U(0, 1) in the others.

    Args:
        counts: (batch,) N.
        width: the largest of them.

    Returns:
        (batch, words) bool.
    """
    texts, device = len(counts), counts.device
    half = torch.randperm(texts, device=device) < texts // 2
    wanted = (torch.rand(texts, device=device) * counts).round() * half
    beyond = torch.arange(width, device=device) >= counts[:, None]
    rank = torch.rand(texts, width, device=device).masked_fill(beyond, 2.0).argsort(1).argsort(1)
    return rank < wanted[:, None]
