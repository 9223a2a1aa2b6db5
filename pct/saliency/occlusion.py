"""Occlusion: the drop of the output without each word."""

from __future__ import annotations

import numpy as np

from pct.explaining.reduced_texts import ReducedTexts
from pct.saliency.base import ForwardSaliency
from pct.text.tokens import Doubles, Floats, Ints


class Occlusion(ForwardSaliency):
    """o(X) - o(X without word i), o the log-odds of the class (leave one out; Li et al. 2016, arXiv 1612.08220).

    The word of a text of one word has a saliency of 0, since it cannot be removed.
    """

    signed = True

    def passes(self, counts: Ints) -> Doubles:
        """See `Saliency.passes`."""
        return np.where(counts > 1, counts, 0).astype(np.float64)

    def scores(self, texts: ReducedTexts, probabilities: Floats, labels: Ints) -> Doubles:
        """See `ForwardSaliency.scores`."""
        counts = texts.tokens.counts
        each_word = (np.eye(n if n > 1 else 0, n, dtype=bool) for n in counts)
        whole = self.output(probabilities, labels)
        scores = np.zeros((len(counts), int(counts.max())))
        for row, values in enumerate(self.outputs_without(texts, each_word, labels)):
            scores[row, : len(values)] = whole[row] - values
        return scores
