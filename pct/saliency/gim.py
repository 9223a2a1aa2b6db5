"""Gradient interaction modifications (Edin et al. 2025, arXiv 2505.17630)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pct.saliency.base import GradientSaliency

if TYPE_CHECKING:
    from torch import Tensor

    from pct.models.base import TextModel


class Gim(GradientSaliency):
    """Gradient times input, with a gradient that is modified in the attention and the norms.

    The norms' deviations are held constant. A softmax has the gradient of temperature 2, so that two keys which can
    replace each other both count. The gradients at queries and keys are multiplied by 1/4, those at values by 1/2, so
    that the three factors share their relevance. The relevances do not sum to the output.
    """

    signed = True
    needs = "gradient of a transformer"

    def check_model(self, model: TextModel) -> None:
        """See `GradientSaliency.check_model`."""
        from pct.saliency.conservation import check_attention, check_transformer

        check_transformer(model, self.name)
        check_attention(model, self.name)

    def gradient(
        self, model: TextModel, embeddings: Tensor, mask: Tensor, classes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `GradientSaliency.gradient`."""
        from pct.saliency.gradients import score_gradient
        from pct.saliency.modes import GimModel

        return score_gradient(model, embeddings, mask, classes, self.options.of, GimModel())
