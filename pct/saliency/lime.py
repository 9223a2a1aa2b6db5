"""LIME on words (Ribeiro et al. 2016): a local linear model of the effect of removing words."""

from __future__ import annotations

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
        removed = self._draw(texts, counts, samples)
        text = np.repeat(np.arange(len(counts)), samples)
        rows = np.flatnonzero(counts[text] > 1)
        outputs = np.zeros(len(text))
        masks = removed.reshape(len(text), -1)
        outputs[rows] = self.output(texts.probabilities(text[rows], masks[rows]), labels[text[rows]])
        words = np.arange(removed.shape[2]) < counts[:, None]
        present = np.concatenate([words[:, None], words[:, None] & ~removed], 1)
        whole = self.output(probabilities, labels)
        values = np.concatenate([whole[:, None], outputs.reshape(len(counts), samples)], 1)
        scores = ridge(present.astype(np.float64), values, lime_weights(present, counts))
        return np.where(words & (counts > 1)[:, None], scores, 0.0)

    def _draw(self, texts: ReducedTexts, counts: Ints, samples: int) -> Bools:
        """(texts, samples, words) the words that each sample lacks."""
        width = int(counts.max(initial=1))
        removed = np.zeros((len(counts), samples, width), bool)
        for row, generator in enumerate(text_generators(texts, self.options.seed)):
            n = int(counts[row])
            if n > 1:
                sizes = generator.integers(1, n, samples)
                order = generator.random((samples, n)).argsort(1).argsort(1)
                removed[row, :, :n] = order < sizes[:, None]
        return removed


def lime_weights(present: Bools, counts: Ints) -> Doubles:
    """The kernel weight of each sample, (texts, samples). present: (texts, samples, words); counts: (texts,) N."""
    cosine = np.sqrt(present.sum(2) / counts[:, None])  # of a presence vector and the all-ones vector
    distance = 100.0 * (1.0 - cosine)
    return np.sqrt(np.exp(-(distance**2) / KERNEL_WIDTH**2))


def ridge(features: Doubles, values: Doubles, weights: Doubles) -> Doubles:
    """The coefficients of weighted ridge regressions with an unpenalised intercept, one per text.

    Args:
        features: (texts, samples, words).
        values: (texts, samples).
        weights: (texts, samples).

    Returns:
        (texts, words).
    """
    total = weights.sum(1, keepdims=True)
    centred = features - (weights[..., None] * features).sum(1, keepdims=True) / total[..., None]
    target = values - (weights * values).sum(1, keepdims=True) / total
    weighted = centred * weights[..., None]
    gram = weighted.transpose(0, 2, 1) @ centred + RIDGE * np.eye(features.shape[2])
    return np.linalg.solve(gram, (weighted * target[..., None]).sum(1)[..., None])[..., 0]
