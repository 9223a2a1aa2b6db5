"""A bidirectional LSTM of the paper's size: 150 units per direction, the mean over the words, a dense layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pct.models.base import Features, WordModel
from pct.models.recurrence import recur


class LSTM(WordModel):
    """Word embeddings, a bidirectional LSTM, the mean of its states over the words, dropout, a dense layer.

    The input of the dense layer is r(X): the contrastive loss acts on the features that determine the logits.

    Each direction is a separate layer, and the backward layer reads the words in reverse order. So padding follows the
    last word for both, and does not affect any word's state. The input part of the gates depends on single words only:
    it is computed once for all texts with the word, and only the recurrence is computed per text.
    """

    family = "lstm"

    def __init__(self, vocabulary: int, classes: int, width: int = 300, units: int = 150, dropout: float = 0.5) -> None:
        super().__init__({
            "vocabulary": vocabulary, "classes": classes, "width": width, "units": units, "dropout": dropout,
        })  # fmt: skip
        self.forwards = nn.LSTM(width, units, batch_first=True)
        self.backwards = nn.LSTM(width, units, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(2 * units, classes)

    def project(self, embeddings: Tensor) -> Tensor:
        """See `TextModel.project`: the input part of the gates, (words, 2 directions, 4 units), with biases."""
        bias = torch.cat(self._both("bias_ih_l0")) + torch.cat(self._both("bias_hh_l0"))
        gates = nn.functional.linear(embeddings.flatten(0, -2), torch.cat(self._both("weight_ih_l0")), bias)
        return gates.view(len(gates), 2, -1)

    def recombine(self, projected: Tensor, source: Tensor, mask: Tensor) -> Features:
        """See `TextModel.recombine`."""
        lengths = mask.sum(1, keepdim=True)
        positions = torch.arange(mask.shape[1], device=mask.device)
        reversed_source = source.gather(1, torch.where(mask, lengths - 1 - positions, positions))
        both = torch.stack([2 * source, 2 * reversed_source + 1]).permute(2, 0, 1)  # (length, 2, rows)
        inputs = nn.functional.embedding(both, projected.flatten(0, 1))
        states = recur(inputs, torch.stack(self._both("weight_hh_l0")).transpose(1, 2))
        # the mean does not depend on the order of the words: the backward states stay reversed
        sums = (states * mask.T[:, None, :, None]).sum(0)
        representation = sums.transpose(0, 1).flatten(1) / lengths
        return Features(representation, representation)

    def _both(self, name: str) -> list[Tensor]:
        return [getattr(layer, name) for layer in (self.forwards, self.backwards)]
