"""The protocol that every model follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Encoding(NamedTuple):
    """logits: (batch, classes). representation: (batch, width), r(X) of the paper's Eq. 6."""

    logits: Tensor
    representation: Tensor


class TextModel(nn.Module, ABC):
    """A classifier of token sequences that can be differentiated at its word embeddings."""

    #: least number of positions that `encode` wants; shorter batches are padded to it
    shortest: int = 1

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) -> the word embeddings e(x) (batch, length, width)."""

    @abstractmethod
    def encode(self, embeddings: Tensor, mask: Tensor) -> Encoding:
        """Embeddings (batch, length, width) and mask (batch, length), true at real tokens -> `Encoding`."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What `build_model` needs, beside the weights, to make this model again (JSON types)."""

    def forward(self, ids: Tensor, mask: Tensor) -> Encoding:
        """Token ids and mask, both (batch, length) -> `Encoding`."""
        return self.encode(self.embed(ids), mask)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Dropout off, everything else as it is.

    Not `model.eval()`: cuDNN's LSTM has no backward in eval mode. A plain attribute is set on each module that has one.
    """
    switched: list[tuple[nn.Module, str, Any]] = []
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            switched.append((module, "training", module.training))
            module.training = False
        elif module.training and any(n in vars(module) for n in ("dropout", "dropout_prob", "attention_dropout")):
            # transformers hands a functional dropout `self.training`
            switched.append((module, "training", True))
            module.training = isinstance(module, nn.RNNBase)
    try:
        yield
    finally:
        for module, name, value in switched:
            setattr(module, name, value)
