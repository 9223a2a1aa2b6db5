"""Encoders of the transformers library, such as BERT and DistilBERT."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pct.models.base import Features, TextModel


class Transformer(TextModel):
    """An encoder and a dense layer on its last hidden state at [CLS], which is r(X)."""

    family = "transformer"

    def __init__(self, encoder: nn.Module, classes: int, dropout: float = 0.1, name: str = "") -> None:
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.register_module("pooler", None)  # its output is not used
        self.encoder = encoder
        self.classes, self.rate, self.name = classes, dropout, name
        config: Any = encoder.config
        hidden = getattr(config, "hidden_size", None) or config.dim
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(int(hidden), classes)
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`. The word embeddings only: `features` adds the positions."""
        encoder: Any = self.encoder
        embedded: Tensor = encoder.get_input_embeddings()(ids)
        return embedded

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`."""
        states = self.encoder(inputs_embeds=embeddings, attention_mask=mask.long()).last_hidden_state
        representation = states[:, 0]
        return Features(representation, representation)

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`. It has the encoder's whole configuration, so that loading needs no hub."""
        encoder: Any = self.encoder.config
        return {
            "family": self.family, "name": self.name, "classes": self.classes, "dropout": self.rate,
            "encoder": encoder.to_dict(),
        }  # fmt: skip
