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

    A filter's answer to a window is a sum over the window's words, and a word's share in it is the same wherever the
    word stands. So the shares are computed once a word (one matrix product) and windows only add them up: texts that
    are made of the same words, as reduced texts are, cost no further product.
    """

    dropout_in_body = False

    family = "textcnn"

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
        self.windows, self.filters = list(windows), filters
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, k) for k in windows)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(filters * len(windows), classes)

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`."""
        embedded: Tensor = self.embedding(ids)
        return embedded

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`. r(X): the mean over words of the convolutions' features, windows side by side."""
        source = torch.arange(mask.numel(), device=mask.device).view_as(mask)
        return self.recombine(self.project(embeddings), source, mask)

    def project(self, embeddings: Tensor) -> Tensor:
        """See `TextModel.project`: a word's shares, (words + 1, sum of k, filters), k shares for a window of k words.

        The last row is zero: what lies beyond the edges of a text.
        """
        words = F.pad(embeddings.reshape(-1, embeddings.shape[-1]), (0, 0, 0, 1))
        kernels = [c.weight.permute(1, 2, 0).flatten(1) for c in self._layers]  # (width, k * filters)
        return (words @ torch.cat(kernels, 1)).view(len(words), -1, self.filters)

    def recombine(self, projected: Tensor, source: Tensor, mask: Tensor) -> Features:
        """See `TextModel.recombine`."""
        beyond, kinds = len(projected) - 1, projected.shape[1]
        shares = projected.flatten(0, 1).to(self.dense.weight.dtype)  # no sums in half precision
        places = torch.where(mask, source, beyond)
        lengths = mask.sum(1, keepdim=True)
        pooled, averaged, kind = [], [], 0
        for layer, k in zip(self._layers, self.windows, strict=True):
            windows = F.pad(places, (k - 1, k - 1), value=beyond).unfold(1, k, 1)  # window t ends at word t
            of_word = windows * kinds + torch.arange(kind, kind + k, device=places.device)
            of_word = torch.where(windows == beyond, beyond * kinds, of_word).flatten(0, 1)
            # the row for what lies beyond is zero: named as padding_idx, it would keep torch off its fast kernel
            sums = F.embedding_bag(of_word, shares, mode="sum")
            assert layer.bias is not None
            features = F.relu(sums + layer.bias).view(*windows.shape[:2], self.filters)
            # windows that see only padding would add their bias; features are >= 0, so zero is neutral to max and sum
            touching = torch.arange(windows.shape[1], device=places.device) < lengths + k - 1
            features = features * touching[..., None]
            pooled.append(features.amax(1))
            averaged.append(features.sum(1) / (lengths + k - 1))
            kind += k
        return Features(torch.cat(pooled, 1), torch.cat(averaged, 1))

    @property
    def _layers(self) -> list[nn.Conv1d]:
        return [layer for layer in self.convolutions if isinstance(layer, nn.Conv1d)]

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`."""
        return {"family": self.family, **self.arguments}
