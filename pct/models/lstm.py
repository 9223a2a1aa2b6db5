"""A bidirectional LSTM with the paper's size: 150 units a direction, the mean over the words, a dense layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pct.models.base import Features, TextModel


class LSTM(TextModel):
    """Word embeddings, a bidirectional LSTM, the mean of its states over the words, dropout, a dense layer.

    The dense layer reads the same mean that is r(X): what the loss spreads apart is what decides.
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
        self.lstm = nn.LSTM(width, units, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(2 * units, classes)

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`."""
        embedded: Tensor = self.embedding(ids)
        return embedded

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`. Packed: padding costs nothing, and backward starts at the last word."""
        lengths = mask.sum(1)
        packed = pack_padded_sequence(embeddings, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=mask.shape[1])
        representation = states.sum(1) / lengths[:, None].to(states.dtype)  # states are zero at padding
        return Features(representation, representation)

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`."""
        return {"family": "lstm", **self.arguments}
