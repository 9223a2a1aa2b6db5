"""TextCNN (Kim 2014) with the paper's sizes: windows of 3, 4, 5 words with 150 filters each, max over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pct.models.base import Features, TextModel


class TextCNN(TextModel):
    """Convolutions over word embeddings, ReLU, the maximum over positions, dropout, a dense layer.

    A window may reach over the text's edge into zeros, so a text of one word has windows too. Padding beyond the edge
    never wins the maximum: the logits do not depend on how far a batch is padded.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        width: int = 300,
        windows: Sequence[int] = (3, 4, 5),
        filters: int = 150,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.arguments = {
            "vocabulary": vocabulary, "classes": classes, "width": width,
            "windows": list(windows), "filters": filters, "dropout": dropout,
        }  # fmt: skip
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        with torch.no_grad():
            self.embedding.weight[0].zero_()
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, k, padding=k - 1) for k in windows)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(filters * len(windows), classes)

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`."""
        embedded: Tensor = self.embedding(ids)
        return embedded

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`. r(X): the mean over words of the convolutions' features, windows side by side."""
        length = mask.shape[1]
        inside = mask.to(embeddings.dtype)
        lengths = inside.sum(1, keepdim=True)
        x = (embeddings * inside[..., None]).transpose(1, 2)
        pooled, averaged = [], []
        for convolution in self.convolutions:
            features = F.relu(convolution(x))  # (batch, filters, length + k - 1): position t ends at word t
            reach = features.shape[2] - length
            # windows that touch at least one word; the others see only padding and would add their bias
            touching = torch.arange(features.shape[2], device=mask.device)[None] < lengths + reach
            # features are >= 0, so zero is the neutral element of the maximum and of the sum alike
            features = features * touching.to(features.dtype)[:, None]
            pooled.append(features.amax(2))
            averaged.append(features.sum(2) / (lengths + reach).to(features.dtype))
        return Features(torch.cat(pooled, 1), torch.cat(averaged, 1))

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`."""
        return {"family": "textcnn", **self.arguments}
