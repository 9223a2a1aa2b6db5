"""A bidirectional LSTM with the paper's size: 150 units a direction, the mean over the words, a dense layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pct.models.base import Features, TextModel


class LSTM(TextModel):
    """Word embeddings, a bidirectional LSTM, the mean of its states over the words, dropout, a dense layer.

    The dense layer reads the same mean that is r(X): what the loss spreads apart is what decides.

    Each direction is a layer of its own, and the backward one reads the words in reverse. So padding lies behind the
    last word for both, where no word's state can feel it, and the fused kernels run that packed sequences rule out.
    """

    def __init__(self, vocabulary: int, classes: int, width: int = 300, units: int = 150, dropout: float = 0.5) -> None:
        super().__init__()
        self.arguments = {
            "vocabulary": vocabulary, "classes": classes, "width": width, "units": units, "dropout": dropout,
        }  # fmt: skip
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        with torch.no_grad():
            self.embedding.weight[0].zero_()
        self.forwards = nn.LSTM(width, units, batch_first=True)
        self.backwards = nn.LSTM(width, units, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(2 * units, classes)

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`."""
        embedded: Tensor = self.embedding(ids)
        return embedded

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`."""
        lengths = mask.sum(1, keepdim=True)
        places = torch.arange(mask.shape[1], device=mask.device)
        mirrored = torch.where(mask, lengths - 1 - places, places)
        reverse = embeddings.gather(1, mirrored[..., None].expand_as(embeddings))
        inside = mask[..., None]
        # a mean does not ask for the order of the words: the backward states need not be turned round again
        sums = [(layer(x)[0] * inside).sum(1) for layer, x in ((self.forwards, embeddings), (self.backwards, reverse))]
        representation = torch.cat(sums, 1) / lengths
        return Features(representation, representation)

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`."""
        return {"family": "lstm", **self.arguments}
