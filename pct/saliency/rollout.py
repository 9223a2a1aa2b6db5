"""Attention rollout (Abnar & Zuidema 2020)."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pct.saliency.attention import Attention

if TYPE_CHECKING:
    from torch import Tensor


class Rollout(Attention):
    """The product over layers of (A + I) / 2, A the mean over heads, at the position that the head reads.

    The identity stands for the residual connection (Abnar & Zuidema 2020, "Quantifying Attention Flow").
    """

    def token_weights(self, weights: list[Tensor], rows: Tensor) -> Tensor:
        """See `Attention.token_weights`."""
        import torch

        identity = torch.eye(weights[0].shape[-1], device=weights[0].device, dtype=weights[0].dtype)
        product = reduce(lambda below, layer: (layer + identity) / 2 @ below, weights, identity)
        return (rows[:, None] @ product).squeeze(1)
