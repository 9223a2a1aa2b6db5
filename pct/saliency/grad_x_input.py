"""Gradient times input."""

from __future__ import annotations

from pct.saliency.base import GradientSaliency


class GradientTimesInput(GradientSaliency):
    """The gradient times the embedding, summed over a word's tokens: above 0 for the class, below 0 against it.

    It is the first-order estimate of the drop of the output when the embedding becomes zero.
    """

    signed = True
