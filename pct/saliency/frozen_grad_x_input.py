"""Gradient times input of a transformer whose nonlinear parts are held constant (Ali et al. 2022)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from pct.saliency.base import GradientSaliency


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
    probe = "conservation"

    def mode(self) -> AbstractContextManager[object]:
        """See `GradientSaliency.mode`."""
        from pct.saliency.modes import FrozenModel

        return FrozenModel()
