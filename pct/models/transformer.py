"""Any encoder of the transformers library, by hub name or folder: BERT, DistilBERT and their kin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pct.models.base import Encoding, TextModel


class Transformer(TextModel):
    """An encoder and a dense layer on its last hidden state at [CLS], which is r(X)."""

    def __init__(self, encoder: nn.Module, classes: int, dropout: float = 0.1, name: str = "") -> None:
        super().__init__()
        self.encoder = encoder
        self.classes, self.rate, self.name = classes, dropout, name
        config: Any = encoder.config
        hidden = getattr(config, "hidden_size", None) or config.dim
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(int(hidden), classes)
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`: the word embeddings only; positions are added inside `encode`."""
        table: Any = self.encoder.get_input_embeddings  # type: ignore[assignment]
        embedded: Tensor = table()(ids)
        return embedded

    def encode(self, embeddings: Tensor, mask: Tensor) -> Encoding:
        """See `TextModel.encode`."""
        states = self.encoder(inputs_embeds=embeddings, attention_mask=mask.to(torch.long)).last_hidden_state
        representation = states[:, 0]
        return Encoding(self.dense(self.dropout(representation)), representation)

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`: the encoder's own configuration whole, so that no hub is asked at loading."""
        encoder: Any = self.encoder.config
        return {
            "family": "transformer", "name": self.name, "classes": self.classes, "dropout": self.rate,
            "encoder": encoder.to_dict(),
        }  # fmt: skip
