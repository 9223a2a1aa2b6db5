"""The attention that the classifier's head receives, in the last layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pct.saliency.base import GradientSaliency

if TYPE_CHECKING:
    from torch import Tensor

    from pct.models.base import TextModel


class Attention(GradientSaliency):
    """The last layer's attention weight of each token, the mean over heads, from the position that the head reads.

    That is the position where the logits depend on the last layer's weights: the first token of a BERT, the last one
    of a decoder, all tokens where their states are averaged. The numbers do not depend on the class explained.
    """

    needs = "attention of a transformer"
    probe = "recording"

    def attribute(
        self, model: TextModel, ids: Tensor, words: Tensor, classes: Tensor | None, replacement: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """See `GradientSaliency.attribute`."""
        from pct.saliency.gradients import recorded_attention, sum_by_word

        logits, weights, rows = recorded_attention(model, ids, words > -2)
        return logits, sum_by_word(self.token_weights(weights, rows), words)

    def token_weights(self, weights: list[Tensor], rows: Tensor) -> Tensor:
        """(batch, length) the attention that each token receives.

        Args:
            weights: (batch, length, length) of each layer, the mean over heads.
            rows: (batch, length) the positions that the head reads, as weights that sum to 1.
        """
        return (rows[:, None] @ weights[-1]).squeeze(1)
