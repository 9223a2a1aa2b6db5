"""TextCNN (Kim 2014) with the paper's sizes: windows of 3, 4, 5 words with 150 filters each, max over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pct.models.base import Features, WordModel


class TextCNN(WordModel):
    """Convolutions over word embeddings, ReLU, the maximum over positions, dropout, a dense layer.

    Windows may extend beyond the text's ends, over zeros, so a text of one word has windows too. Windows of only
    padding are excluded from the maximum: the logits do not depend on the padded length.

    The output of a filter for a window is a sum over the window's words, and the share of a word depends only on its
    position in the window. So the shares are computed once per word (one matrix product), and windows add them up:
    reduced texts, which have the same words, need no further product.

    r(X) is the mean over positions of the features of all windows, concatenated.
    """

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
        super().__init__({
            "vocabulary": vocabulary, "classes": classes, "width": width,
            "windows": list(windows), "filters": filters, "dropout": dropout,
        })  # fmt: skip
        self.windows, self.filters = list(windows), filters
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, k) for k in windows)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(filters * len(windows), classes)

    def project(self, embeddings: Tensor) -> Tensor:
        """See `TextModel.project`: the shares of each word, (words + 1, sum of k, filters), k shares for a window of k.

        The last row is zero: it stands for positions beyond the text.
        """
        words = F.pad(embeddings.reshape(-1, embeddings.shape[-1]), (0, 0, 0, 1))
        kernels = [c.weight.permute(1, 2, 0).flatten(1) for c in self._layers]  # (width, k * filters)
        return (words @ torch.cat(kernels, 1)).view(len(words), -1, self.filters)

    def recombine(self, projected: Tensor, source: Tensor, mask: Tensor) -> Features:
        """See `TextModel.recombine`."""
        beyond, shares_per_word = len(projected) - 1, projected.shape[1]
        shares = projected.flatten(0, 1).to(self.dense.weight.dtype)  # no sums in half precision
        words = torch.where(mask, source, -1)
        lengths = mask.sum(1, keepdim=True)
        pooled, averaged, offset = [], [], 0
        for layer, k in zip(self._layers, self.windows, strict=True):
            windows = F.pad(words, (k - 1, k - 1), value=-1).unfold(1, k, 1)  # window t ends at word t
            of_word = windows * shares_per_word + torch.arange(offset, offset + k, device=words.device)
            of_word = torch.where(windows < 0, beyond * shares_per_word, of_word).flatten(0, 1)
            # the row `beyond` is zero: it is not passed as padding_idx, which would disable torch's fast kernel
            sums = F.embedding_bag(of_word, shares, mode="sum")
            assert layer.bias is not None
            features = F.relu(sums + layer.bias).view(*windows.shape[:2], self.filters)
            # windows of only padding would add their bias; features are >= 0, so zero is neutral for max and sum
            inside = torch.arange(windows.shape[1], device=words.device) < lengths + k - 1
            features = features * inside[..., None]
            pooled.append(features.amax(1))
            averaged.append(features.sum(1) / (lengths + k - 1))
            offset += k
        return Features(torch.cat(pooled, 1), torch.cat(averaged, 1))

    @property
    def _layers(self) -> list[nn.Conv1d]:
        return [layer for layer in self.convolutions if isinstance(layer, nn.Conv1d)]
