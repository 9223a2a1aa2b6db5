"""Saliency of a batch by name, in torch, for training steps and tests. The definitions are in `pct.saliency`."""

from __future__ import annotations

from torch import Tensor

from pct.models.base import TextModel
from pct.saliency import saliencies
from pct.saliency.base import GradientSaliency, SaliencyOptions
from pct.saliency.gradients import class_score

__all__ = ["class_score", "gradient_saliency", "saliency"]


def gradient_saliency(kind: str, options: SaliencyOptions | None = None) -> GradientSaliency:
    """A gradient saliency by name. Raises ValueError for an unknown name, or for a saliency without a gradient."""
    chosen = saliencies.get(kind)(options)
    chosen.name = kind
    if not isinstance(chosen, GradientSaliency):
        raise ValueError(f"saliency must be one with a gradient (l2, grad_x_input, ..), got {kind!r}")
    return chosen


def saliency(
    model: TextModel,
    ids: Tensor,
    words: Tensor,
    classes: Tensor | None = None,
    kind: str = "l2",
    of: str = "log_odds",
    steps: int = 16,
) -> tuple[Tensor, Tensor]:
    """`GradientSaliency.attribute` of a padded batch, without dropout.

    Args:
        model: the network.
        ids: (batch, length).
        words: (batch, length), -1 at special tokens, -2 at padding.
        classes: (batch,) the class explained; the predicted one where None.
        kind: the saliency.
        of: log_odds, probability or logit.
        steps: the smallest number of steps of integrated gradients.

    Returns:
        Logits (batch, classes) and saliency (batch, most words).
    """
    return gradient_saliency(kind, SaliencyOptions(of, steps)).attribute(model, ids, words, classes)
