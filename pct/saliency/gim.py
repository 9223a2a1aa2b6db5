"""Gradient interaction modifications (Edin et al. 2025, arXiv 2505.17630)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from pct.saliency.base import GradientSaliency


class Gim(GradientSaliency):
    """Gradient times input, with a gradient that is modified in the attention and the norms.

    The norms' deviations are held constant. A softmax has the gradient of temperature 2, so that two keys which can
    replace each other both count. The gradients at queries and keys are multiplied by 1/4, those at values by 1/2, so
    that the three factors share their relevance. The relevances do not sum to the output.
    """

    signed = True
    needs = "gradient of a transformer"
    probe = "attention"

    def mode(self) -> AbstractContextManager[object]:
        """See `GradientSaliency.mode`."""
        from pct.saliency.modes import GimModel

        return GimModel()
