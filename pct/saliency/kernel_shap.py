"""Kernel SHAP on words (Lundberg & Lee 2017): Shapley values by a weighted regression over masked texts."""

from __future__ import annotations

from itertools import tee
from math import comb

import numpy as np

from pct.explaining.predictor import HasReplacementToken, Predictor, replacement_token_of
from pct.explaining.reduced_texts import ReducedTexts
from pct.saliency.base import ForwardSaliency
from pct.saliency.random import text_generators
from pct.text.tokens import Bools, Doubles, Floats, Ints

SAMPLES = 100  # masked copies per text


class KernelShap(ForwardSaliency):
    """The Shapley values of the words: absent words are replaced by the mask token.

    Where a text has at most `samples` proper subsets of words, all of them are run and the values are exact. Otherwise
    sizes are drawn in proportion to the Shapley kernel, (N - 1) / (k (N - k)), subsets of a size uniformly, and the
    complement of each subset is added. The values sum to the output at the text less that at the text without words.
    """

    signed = True
    seeded = True
    needs = "forward passes and a mask token"

    def check(self, predictor: Predictor) -> None:
        """See `Saliency.check`."""
        if not (isinstance(predictor, HasReplacementToken) or hasattr(predictor, "stand_in")):
            kind = type(predictor).__name__
            raise ValueError(f"saliency {self.name} needs a mask token, which a {kind} does not have")
        replacement_token_of(predictor, "mask")

    def passes(self, counts: Ints) -> Doubles:
        """See `Saliency.passes`: the most, since equal samples are run once."""
        samples = self.options.samples or SAMPLES
        samples += samples % 2  # pairs of a subset and its complement
        subsets = 2.0 ** np.minimum(counts, 60) - 2
        return np.where(counts > 1, 1 + np.minimum(subsets, samples), 0)

    def explain_texts(self, texts: ReducedTexts, labels: Ints | None) -> tuple[Floats, Floats]:
        """See `Saliency.explain_texts`. Where words are masked, the reduced texts are shared with the metrics."""
        return self._explain(texts, labels) if texts.removal == "mask" else super().explain_texts(texts, labels)

    def scores(self, texts: ReducedTexts, probabilities: Floats, labels: Ints) -> Doubles:
        """See `ForwardSaliency.scores`."""
        masked = texts if texts.removal == "mask" else ReducedTexts(texts.predictor, texts.tokens, "mask")
        counts, samples = texts.tokens.counts, self.options.samples or SAMPLES
        drawn, again = tee(
            coalitions(int(n), samples, generator)
            for n, generator in zip(counts, text_generators(texts, self.options.seed), strict=True)
        )
        # the masked texts, then the text without words
        removed = (np.concatenate([~present, np.ones_like(present[:1])]) for present, _ in again)
        outputs = self.outputs_without(masked, removed, labels)
        whole = self.output(probabilities, labels)
        scores = np.zeros((len(counts), int(counts.max())))
        for row, (values, (present, weights)) in enumerate(zip(outputs, drawn, strict=True)):
            if len(present):
                empty = values[-1]
                scores[row, : counts[row]] = shapley(present, values[:-1] - empty, weights, whole[row] - empty)
        return scores


def coalitions(n: int, samples: int, generator: np.random.Generator) -> tuple[Bools, Doubles]:
    """The words present in each masked text (rows, n), and the weight of each row in the regression (rows,)."""
    if n < 2:
        return np.zeros((0, n), bool), np.zeros(0)
    samples += samples % 2
    if 2**n - 2 <= samples:
        inner = np.arange(1, 2**n - 1)
        present = (inner[:, None] >> np.arange(n)) & 1 == 1
        sizes = present.sum(1)
        weight = [(n - 1) / (comb(n, k) * k * (n - k)) for k in range(1, n)]
        return present, np.array(weight)[sizes - 1]
    k = np.arange(1, n)
    kernel = (n - 1) / (k * (n - k))
    sizes = generator.choice(k, size=samples // 2, p=kernel / kernel.sum())
    half = generator.random((len(sizes), n)).argsort(1).argsort(1) < sizes[:, None]
    return np.concatenate([half, ~half]), np.ones(2 * len(half))


def shapley(present: Bools, values: Doubles, weights: Doubles, total: float) -> Doubles:
    """The weighted least squares values of the words, which sum to `total`.

    Args:
        present: (rows, n).
        values: (rows,) the output less that of the text without words.
        weights: (rows,).
        total: the output at the whole text less that of the text without words.

    Returns:
        (n,).
    """
    features = present.astype(np.float64)
    weighted = features * weights[:, None]
    inverse = np.linalg.pinv(weighted.T @ features, hermitian=True)
    free, ones = inverse @ (weighted.T @ values), inverse.sum(1)
    return free - ones * (free.sum() - total) / ones.sum()
