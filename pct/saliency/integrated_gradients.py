"""Integrated gradients of the words (Sundararajan et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pct.saliency.base import GradientSaliency
from pct.text.replacement_token import no_baseline
from pct.text.tokens import Doubles, Ints

if TYPE_CHECKING:
    from torch import Tensor

    from pct.models.base import TextModel

TOLERANCE = 0.05  # of the change of the output between the baseline and the text
LEAST_CHANGE = 0.1  # the smallest change that the error is compared with
MOST_STEPS = 128


class IntegratedGradients(GradientSaliency):
    """The mean gradient on the straight path from a baseline to the text, times the difference of the embeddings.

    Special tokens and token types are the same at both ends. The baseline is the zero embedding, or that of the mask or
    padding token. The integral uses the midpoint rule. The completeness error is the sum of the attributions less the
    change of the output between baseline and text. Where it is above 5 % of that change, the steps are doubled, up to
    128.
    """

    signed = True

    def passes(self, counts: Ints) -> Doubles:
        """See `Saliency.passes`: the steps before any doubling, and the baseline."""
        return np.full(len(counts), self.options.steps + 1.0)

    def most_passes(self, counts: Ints) -> Doubles:
        """See `Saliency.most_passes`: the baseline and the steps, doubled up to `MOST_STEPS`."""
        total = steps = self.options.steps
        while (steps := 2 * steps) <= MOST_STEPS:
            total += steps
        return np.full(len(counts), float(1 + total))

    def attribute(
        self, model: TextModel, ids: Tensor, words: Tensor, classes: Tensor | None, replacement: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """See `GradientSaliency.attribute`."""
        logits, scores, _ = self.attribute_with_error(model, ids, words, classes, replacement)
        return logits, scores

    def attribute_with_error(
        self, model: TextModel, ids: Tensor, words: Tensor, classes: Tensor | None, replacement: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`attribute`, and each text's completeness error relative to the change of the output, (batch,)."""
        import torch

        from pct.saliency.gradients import embedded, sum_by_word, word_part

        of, mask = self.options.of, words > -2
        with embedded(model, ids) as leaf:
            end = leaf.detach()
            start = end.clone()
            word_part(model, start)[words >= 0] = word_part(model, self._baseline(model, end, replacement))
            with torch.no_grad():
                logits = model.encode(end, mask).logits
                chosen = model.head.chosen(logits, classes)
                ends = (logits, model.encode(start, mask).logits)
                scores_of_ends = [model.head.score(one, chosen, of) for one in ends]
                change = scores_of_ends[0] - scores_of_ends[1]
            scores = torch.zeros_like(sum_by_word(end[..., 0].float(), words))
            error = torch.full_like(change, float("inf"))
            left, steps = torch.arange(len(ids), device=ids.device), self.options.steps
            while len(left):
                gradient = self._mean_gradient(model, start[left], end[left], mask[left], chosen[left], steps)
                tokens = (gradient.float() * (end - start)[left].float()).sum(-1)
                part = sum_by_word(tokens, words[left])
                scores[left] = 0.0
                scores[left, : part.shape[1]] = part
                error[left] = (part.sum(1) - change[left]) / change[left].abs().clamp(min=LEAST_CHANGE)
                left = left[error[left].abs() > TOLERANCE] if 2 * steps <= MOST_STEPS else left[:0]
                steps *= 2
        return logits, scores, error

    def _baseline(self, model: TextModel, embeddings: Tensor, replacement: int | None) -> Tensor:
        """The embedding at the start of the path, (width,)."""
        import torch

        if self.options.baseline == "zero":
            return torch.zeros_like(embeddings[0, 0])
        if replacement is None:
            raise no_baseline(self.options.baseline)
        return model.embed(torch.tensor([[replacement]], device=embeddings.device)).detach()[0, 0]

    def _mean_gradient(
        self, model: TextModel, start: Tensor, end: Tensor, mask: Tensor, classes: Tensor, steps: int
    ) -> Tensor:
        """The mean gradient over the midpoints of the path's steps, (batch, length, width)."""
        import torch

        from pct.saliency.gradients import score_gradient

        total = torch.zeros_like(end)
        for step in range(steps):
            point = (start + (end - start) * ((step + 0.5) / steps)).requires_grad_(True)
            total += score_gradient(model, point, mask, classes, self.options.of)[1]
        return total / steps
