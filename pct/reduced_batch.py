"""`pct.reduction` in torch, for training: ranks and reduced texts of a mini-batch without leaving its device."""

from __future__ import annotations

import torch
from torch import Tensor


def reduce_batch(
    ids: Tensor, words: Tensor, saliency: Tensor, counts: Tensor, removed: Tensor, important: bool, padding: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Steps 1..m of every text of a batch, on its device: `removal_ranks` and `reduce_rows` in torch.

    ids, words: (batch, length). saliency: (batch, words). counts, removed: (batch,), N and m.
    Returns ids and mask (sum of m, length), and the text of each row (sum of m,).
    """
    device = ids.device
    beyond = torch.arange(saliency.shape[1], device=device) >= counts[:, None]
    keys = (-saliency if important else saliency).masked_fill(beyond, float("inf"))
    order = keys.argsort(dim=1, stable=True)
    ranks = torch.empty_like(order).scatter_(
        1, order, torch.arange(1, order.shape[1] + 1, device=device).expand_as(order)
    )
    of_token = ranks.gather(1, words.clamp(min=0))
    of_token = torch.where(words >= 0, of_token, torch.iinfo(torch.int64).max).masked_fill(words == -2, 0)
    text = torch.repeat_interleave(torch.arange(len(ids), device=device), removed)
    step = torch.arange(len(text), device=device) - (removed.cumsum(0) - removed)[text] + 1
    keep = of_token[text] > step[:, None]
    # a column to the right takes what is dropped, and is cut off
    place = torch.where(keep, keep.cumsum(1) - 1, ids.shape[1])
    out = torch.full((len(text), ids.shape[1] + 1), padding, dtype=ids.dtype, device=device)
    out.scatter_(1, place, ids[text])
    mask = torch.arange(ids.shape[1], device=device) < keep.sum(1, keepdim=True)
    return out[:, :-1], mask, text
