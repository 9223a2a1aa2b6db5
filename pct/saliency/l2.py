"""The 2-norm of the gradient at a word: the paper's saliency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pct.saliency.base import GradientSaliency

if TYPE_CHECKING:
    from torch import Tensor


class L2(GradientSaliency):
    """The 2-norm of the gradient; a word of several tokens takes one norm over all their gradients (Zhan et al.)."""

    def token_scores(self, gradient: Tensor, embeddings: Tensor) -> Tensor:
        """See `GradientSaliency.token_scores`: the squared norm."""
        return gradient.square().sum(-1)

    def word_scores(self, totals: Tensor) -> Tensor:
        """See `GradientSaliency.word_scores`."""
        return totals.sqrt()
