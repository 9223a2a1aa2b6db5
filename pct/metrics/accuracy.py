"""Accuracy and F(X), the mean confidence: the metrics that need only the original texts."""

from __future__ import annotations

import numpy as np

from pct.metrics.base import Column, Metric, TextBlock


class Accuracy(Metric):
    """The share of correct predictions."""

    names = ("acc",)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        return {"acc": (block.predicted == block.gold).astype(np.float64)}


class Confidence(Metric):
    """F(X): the confidence f_c(X) in the class that is explained."""

    names = ("f_x",)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen = block.seen
        return {"f_x": seen.probabilities[np.arange(len(seen.labels)), seen.labels]}
