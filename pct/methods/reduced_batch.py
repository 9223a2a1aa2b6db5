"""`pct.explaining.reduction` in torch: ranks and reduced texts of a mini-batch, without leaving its device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pct.explaining.reduction import steps_of
from pct.models.transfer import to_device
from pct.text.tokens import Ints


def ranks(saliency: Tensor, counts: Tensor, important: bool) -> Tensor:
    """`removal_ranks` in torch: the step at which each word is removed, from 1; N + 1.. beyond a text's words.

    saliency: (batch, words). counts: (batch,), N. Returns (batch, words).
    """
    beyond = torch.arange(saliency.shape[1], device=saliency.device) >= counts[:, None]
    keys = (-saliency if important else saliency).masked_fill(beyond, float("inf"))
    order = keys.argsort(dim=1, stable=True)
    steps = torch.arange(1, order.shape[1] + 1, device=saliency.device)
    return torch.empty_like(order).scatter_(1, order, steps.expand_as(order))


def reduce_batch(
    words: Tensor, saliency: Tensor, counts: Tensor, removed: Ints, important: bool, last: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Steps 1..m of every text of a batch, on its device: `removal_ranks` and `reduce_tokens` in torch.

    words: (batch, length), the word map. saliency: (batch, words). counts: (batch,), N. removed: (batch,), m, on the
    host. last: only step m of each text. Returns source (rows, length), the position in the flattened batch of each
    remaining token, and 0 at padding; mask (rows, length); and the text of each row (rows,).
    """
    device, length = words.device, words.shape[1]
    of_token = ranks(saliency, counts, important).gather(1, words.clamp(min=0))
    of_token = torch.where(words >= 0, of_token, torch.iinfo(torch.int64).max).masked_fill(words == -2, 0)
    lose = np.flatnonzero(removed)
    text, step = (to_device(x, device) for x in ((lose, removed[lose]) if last else steps_of(removed)))
    keep = of_token[text] > step[:, None]
    return *_compact(keep, text[:, None] * length + torch.arange(length, device=device)), text


MASK = -1  # stands for the mask token in a source


def without_words(words: Tensor, removed: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
    """The texts of a batch without some of their words.

    words: (batch, length), the word map. removed: (batch, words) bool, the words that are removed. masked: (batch,)
    bool, true for a text whose removed tokens are replaced by the mask token; in the other texts they are deleted.
    Returns source (batch, length), the position in the flattened batch of each remaining token, MASK for the mask
    token, and 0 at padding; and mask (batch, length).
    """
    dropped = removed.gather(1, words.clamp(min=0)) & (words >= 0)
    keep = (words > -2) & (~dropped | masked[:, None])
    position = torch.arange(words.numel(), device=words.device).view_as(words)
    return _compact(keep, position.masked_fill(dropped, MASK))


def _compact(keep: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """The kept entries of each row, moved to its start and padded with 0, and the mask of real ones: (rows, length)."""
    length = keep.shape[1]
    # an extra column on the right receives the tokens that are not kept and is cut off
    target = torch.where(keep, keep.cumsum(1) - 1, length)
    moved = source.new_zeros(len(keep), length + 1).scatter_(1, target, source)[:, :-1]
    mask = torch.arange(length, device=keep.device) < keep.sum(1, keepdim=True)
    return torch.where(mask, moved, 0), mask
