"""The 1-norm of the gradient at a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pct.saliency.base import GradientSaliency

if TYPE_CHECKING:
    from torch import Tensor


class L1(GradientSaliency):
    """The 1-norm of the gradient over all tokens of a word."""

    def token_scores(self, gradient: Tensor, embeddings: Tensor) -> Tensor:
        """See `GradientSaliency.token_scores`."""
        return gradient.abs().sum(-1)
