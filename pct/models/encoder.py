"""Encoders of the transformers library, such as BERT and DistilBERT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pct.models.attention_mask import attention_mask
from pct.models.base import Features, TextModel
from pct.models.token_types import embedded_tokens, has_types, inputs_of, plain_table


class Transformer(TextModel):
    """An encoder and a dense layer on r(X), its last hidden state at [CLS].

    Args:
        encoder: of the transformers library; its own pooler is removed.
        classes: their number.
        dropout: before the dense layer.
        name: the encoder's hub name or folder.
        pooling: r(X) is the state of the `first` token or of the `last` one, or the `mean` over all tokens.
        normalize: whether r(X) is divided by its norm, as in sentence embeddings.
    """

    family = "transformer"
    encoder: Any  # the library's types are not used

    def __init__(
        self,
        encoder: nn.Module,
        classes: int,
        dropout: float = 0.1,
        name: str = "",
        pooling: str = "first",
        normalize: bool = False,
    ) -> None:
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.register_module("pooler", None)  # its output is not used
        self.encoder = encoder
        self.classes, self.rate, self.name = classes, dropout, name
        self.pooling, self.normalize = pooling, normalize
        self.reads_types = has_types(self.encoder.config)
        hidden = getattr(self.encoder.config, "hidden_size", None) or self.encoder.config.dim
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(int(hidden), classes)
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`. The word embeddings only: `features` adds the positions."""
        return embedded_tokens(self.encoder.get_input_embeddings(), ids, self.reads_types)

    @property
    def word_table(self) -> nn.Embedding | None:
        """See `TextModel.word_table`."""
        return plain_table(self.encoder)

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`."""
        inputs = inputs_of(embeddings, self.reads_types)
        states = self.encoder(**inputs, attention_mask=attention_mask(self.encoder, mask)).last_hidden_state
        representation = _POOLINGS[self.pooling](states, mask)
        if self.normalize:
            # a square root, which saliencies that hold norms constant recognise
            square = representation.square().sum(-1, keepdim=True)
            representation = representation * square.clamp(min=1e-24).rsqrt()
        return Features(representation, representation)

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`. It has the encoder's whole configuration, so that loading needs no hub."""
        return {
            "family": self.family, "name": self.name, "classes": self.classes, "dropout": self.rate,
            "encoder": self.encoder.config.to_dict(), "pooling": self.pooling, "normalize": self.normalize,
        }  # fmt: skip


def last_state(states: Tensor, mask: Tensor, unread: int = 0) -> Tensor:
    """(batch, length, width), padded on the right -> the states of the last tokens before `unread`, (batch, width)."""
    last = (mask.sum(1) - 1 - unread).clamp(min=0)
    return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[-1])).squeeze(1)


def mean_state(states: Tensor, mask: Tensor, _: int = 0) -> Tensor:
    """(batch, length, width) -> the mean of the states of all tokens, (batch, width)."""
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


_POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "first": lambda states, _: states[:, 0], "last": last_state, "mean": mean_state,
}  # fmt: skip
