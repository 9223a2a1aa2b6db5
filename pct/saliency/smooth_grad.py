"""The norm of the gradient, averaged over noisy copies of the text (Smilkov et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pct.saliency.base import GradientSaliency
from pct.text.tokens import Bools, Doubles, Floats, Ints, Keys

if TYPE_CHECKING:
    from torch import Tensor

    from pct.models.base import TextModel

SAMPLES = 8
NOISE = 0.1  # of the standard deviation of a text's embeddings


class SmoothGrad(GradientSaliency):
    """The 2-norm of a word's gradient, the mean over copies of the text with Gaussian noise on the embeddings.

    The noise has a tenth of the standard deviation of the text's word embeddings. It is drawn from the seed and the
    text's tokens, so that it is reproducible and does not depend on the other texts of a batch.
    """

    seeded = True

    def passes(self, counts: Ints) -> Doubles:
        """See `Saliency.passes`."""
        return np.full(len(counts), float(self.options.samples or SAMPLES))

    def attribute(
        self, model: TextModel, ids: Tensor, words: Tensor, classes: Tensor | None, replacement: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """See `GradientSaliency.attribute`."""
        import torch

        from pct.explaining.predictor import row_keys
        from pct.saliency.gradients import embedded, score_gradient, sum_by_word, word_part

        mask, of = words > -2, self.options.of
        real = mask.cpu().numpy()
        keys = row_keys(ids.cpu().numpy()[real], real.sum(1))
        with embedded(model, ids) as leaf:
            embeddings, inside = leaf.detach(), words >= 0
            with torch.no_grad():
                logits = model.encode(embeddings, mask).logits
            chosen = model.head.chosen(logits, classes)
            of_words = word_part(model, embeddings)
            scale = NOISE * _deviation(of_words, inside)[:, None, None]
            total = torch.zeros((), device=ids.device)
            for sample in range(self.options.samples or SAMPLES):
                noise = torch.from_numpy(self._noise(real, keys, sample, of_words.shape[-1])).to(embeddings)
                noisy = embeddings.clone()
                word_part(model, noisy).add_(scale * noise * inside[..., None])
                noisy.requires_grad_(True)
                _, gradient = score_gradient(model, noisy, mask, chosen, of)
                total = total + sum_by_word(gradient.float().square().sum(-1), words).sqrt()
        return logits, total / (self.options.samples or SAMPLES)

    def _noise(self, real: Bools, keys: Keys, sample: int, width: int) -> Floats:
        """(batch, length, width) standard normal numbers, drawn for each text. keys: (batch, 2)."""
        noise = np.zeros((*real.shape, width), np.float32)
        for row, key in enumerate(keys):
            generator = np.random.default_rng([self.options.seed, sample, *map(int, key)])
            noise[row, real[row]] = generator.standard_normal((int(real[row].sum()), width), np.float32)
        return noise


def _deviation(embeddings: Tensor, inside: Tensor) -> Tensor:
    """(batch,) the standard deviation of all numbers of a text's word embeddings."""
    weight = inside[..., None].to(embeddings.dtype).expand_as(embeddings)
    size = weight.sum((1, 2)).clamp(min=1)
    mean = (embeddings * weight).sum((1, 2)) / size
    return (((embeddings - mean[:, None, None]) ** 2 * weight).sum((1, 2)) / size).sqrt()
