"""Random saliency: the control that every other saliency has to beat."""

from __future__ import annotations

import numpy as np

from pct.explaining.predictor import row_keys
from pct.explaining.reduced_texts import ReducedTexts
from pct.saliency.base import ForwardSaliency
from pct.text.tokens import Doubles, Floats, Ints


class RandomSaliency(ForwardSaliency):
    """Uniform random numbers, drawn from the seed and the text, so that they are reproducible."""

    seeded = True
    needs = "nothing"

    def passes(self, counts: Ints) -> Doubles:
        """See `Saliency.passes`."""
        return np.zeros(len(counts))

    def scores(self, texts: ReducedTexts, probabilities: Floats, labels: Ints) -> Doubles:
        """See `ForwardSaliency.scores`."""
        width = int(texts.tokens.counts.max(initial=1))
        return np.stack([generator.random(width) for generator in text_generators(texts, self.options.seed)])


def text_generators(texts: ReducedTexts, seed: int) -> list[np.random.Generator]:
    """One generator per text, which depends only on the seed and the text's tokens, not on the batch."""
    keys = row_keys(texts.tokens.ids, texts.tokens.lengths)
    return [np.random.default_rng([seed, *map(int, key)]) for key in keys]
