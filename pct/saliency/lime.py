"""LIME on words (Ribeiro et al. 2016): a local linear model of the effect of removing words."""

from __future__ import annotations

from itertools import tee

import numpy as np

from pct.explaining.reduced_texts import ReducedTexts
from pct.saliency.base import ForwardSaliency
from pct.saliency.random import text_generators
from pct.text.tokens import Bools, Doubles, Floats, Ints

SAMPLES = 100  # reduced copies per text
KERNEL_WIDTH = 25.0  # of the kernel over 100 times the cosine distance, as in the authors' package
RIDGE = 1.0  # the penalty of the squared weights


class Lime(ForwardSaliency):
    """The weights of a ridge regression of the output on the words that are present.

    A sample lacks 1 to N - 1 words, each number with equal probability, drawn without replacement. (One word always
    remains; the authors' package may remove all.) The weight of a sample is sqrt(exp(-d^2 / 25^2)), where d is 100
    times the cosine distance between its presence vector and that of the whole text. The whole text is a sample too.
    """

    signed = True
    seeded = True

    def passes(self, counts: Ints) -> Doubles:
        """See `Saliency.passes`: the most, since equal samples are run once."""
        subsets = 2.0 ** np.minimum(counts, 60) - 2
        return np.where(counts > 1, np.minimum(self.options.samples or SAMPLES, subsets), 0.0)

    def scores(self, texts: ReducedTexts, probabilities: Floats, labels: Ints) -> Doubles:
        """See `ForwardSaliency.scores`."""
        counts, samples = texts.tokens.counts, self.options.samples or SAMPLES
        drawn, removed = tee(
            draw(int(n), samples, generator)
            for n, generator in zip(counts, text_generators(texts, self.options.seed), strict=True)
        )
        outputs = self.outputs_without(texts, removed, labels)
        whole = self.output(probabilities, labels)
        scores = np.zeros((len(counts), int(counts.max())))
        for row, (values, lacking) in enumerate(zip(outputs, drawn, strict=True)):
            if len(lacking):
                present = np.concatenate([np.ones_like(lacking[:1]), ~lacking])
                values = np.concatenate([whole[row : row + 1], values])
                scores[row, : counts[row]] = ridge(present.astype(np.float64), values, lime_weights(present))
        return scores


def draw(n: int, samples: int, generator: np.random.Generator) -> Bools:
    """(samples, n) the words that each sample of a text of n words lacks; no samples of a text of one word."""
    if n < 2:
        return np.zeros((0, n), bool)
    sizes = generator.integers(1, n, samples)
    order = generator.random((samples, n)).argsort(1).argsort(1)
    return order < sizes[:, None]


def lime_weights(present: Bools) -> Doubles:
    """The kernel weight of each sample, (samples,). present: (samples, N)."""
    cosine = np.sqrt(present.mean(1))  # of a presence vector and the all-ones vector
    distance = 100.0 * (1.0 - cosine)
    return np.sqrt(np.exp(-(distance**2) / KERNEL_WIDTH**2))


def ridge(features: Doubles, values: Doubles, weights: Doubles) -> Doubles:
    """The coefficients of a weighted ridge regression with an unpenalised intercept.

    Args:
        features: (samples, words).
        values: (samples,).
        weights: (samples,).

    Returns:
        (words,).
    """
    total = weights.sum()
    centred = features - weights @ features / total
    target = values - weights @ values / total
    weighted = centred * weights[:, None]
    gram = weighted.T @ centred + RIDGE * np.eye(features.shape[1])
    return np.linalg.solve(gram, target @ weighted)
