"""Gradient times input of a transformer whose nonlinear parts are held constant (Ali et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pct.saliency.base import GradientSaliency

if TYPE_CHECKING:
    from torch import Tensor

    from pct.models.base import TextModel


class FrozenGradientTimesInput(GradientSaliency):
    """Gradient times input with attention weights, norms' deviations and activations' ratios held constant.

    The model is then linear in each text: the logit of a class is the sum of the relevances of all tokens (the special
    ones included) and of the positions, the token types and the biases (Ali et al. 2022, "XAI for Transformers: Better
    Explanations through Conservative Propagation"). Of the two factors of a gated layer the activated one is held
    constant. For the log-odds of more than two classes, the relevances are those of the difference between the logit
    and the softmax-weighted mean of the other logits.
    """

    signed = True
    needs = "gradient of a transformer"

    def check_model(self, model: TextModel) -> None:
        """See `GradientSaliency.check_model`. The sum is checked once per model, on a probe."""
        from pct.saliency.conservation import check_conserved, check_transformer

        check_transformer(model, self.name)
        check_conserved(model, self.name)

    def gradient(
        self, model: TextModel, embeddings: Tensor, mask: Tensor, classes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `GradientSaliency.gradient`."""
        from pct.saliency.gradients import score_gradient
        from pct.saliency.modes import FrozenModel

        return score_gradient(model, embeddings, mask, classes, self.options.of, FrozenModel())
