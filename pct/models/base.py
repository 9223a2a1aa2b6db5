"""The protocol that every model follows."""

from __future__ import annotations

import threading
import weakref
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Encoding(NamedTuple):
    """logits: (batch, classes). representation: (batch, width), r(X) of the paper's Eq. 6."""

    logits: Tensor
    representation: Tensor


class Features(NamedTuple):
    """pooled: (batch, features), what the dense layer reads. representation: (batch, width), r(X) of Eq. 6."""

    pooled: Tensor
    representation: Tensor


class TextModel(nn.Module, ABC):
    """A classifier of token sequences that can be differentiated at its word embeddings.

    The last layer stands apart, so that one pass through the body gives the logits with dropout (for the loss) and
    those without (for the saliency).
    """

    # the kind of architecture, as saved in the configuration
    family: ClassVar[str] = ""
    dropout: nn.Dropout
    dense: nn.Linear
    # whether `features` drop units in training: a pass for the loss is then no pass for the saliency
    dropout_in_body: bool = True
    # words of the vocabulary whose embedding came from a file of vectors, when the model was made
    vectors_found: int = 0

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) -> the word embeddings e(x) (batch, length, width)."""

    @abstractmethod
    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """Embeddings (batch, length, width) and mask (batch, length), true at real tokens -> `Features`."""

    def project(self, embeddings: Tensor) -> Tensor:
        """What the model computes for a word alone, whatever its neighbours: (.., width) -> (words, any), flat.

        Here nothing: the embeddings themselves.
        """
        return embeddings.reshape(-1, embeddings.shape[-1])

    def recombine(self, projected: Tensor, source: Tensor, mask: Tensor) -> Features:
        """`features` of texts that are made of some words, as reduced texts are made of a batch's.

        projected: from `project`, once, however many of the texts hold a word. source: (rows, length), the place of
        each word among them; any valid place at padding. mask: (rows, length), true at real tokens.
        """
        return self.features(nn.functional.embedding(source, projected), mask)

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What `build_model` needs, beside the weights, to make this model again (JSON types)."""

    def encode(self, embeddings: Tensor, mask: Tensor) -> Encoding:
        """Embeddings (batch, length, width) and mask (batch, length), true at real tokens -> `Encoding`."""
        pooled, representation = self.features(embeddings, mask)
        return Encoding(self.dense(self.dropout(pooled)), representation)

    def forward(self, ids: Tensor, mask: Tensor) -> Encoding:
        """Token ids and mask, both (batch, length) -> `Encoding`. A token in many places is embedded once."""
        distinct, source = torch.unique(ids, return_inverse=True)
        pooled, representation = self.recombine(self.project(self.embed(distinct)), source, mask)
        return Encoding(self.dense(self.dropout(pooled)), representation)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device


class _Off:
    """How many callers need the dropout of a model off, and the modules whose training flag was changed for them."""

    def __init__(self) -> None:
        self.callers = 0
        self.changed: list[nn.Module] = []


_lock = threading.Lock()
_off: weakref.WeakKeyDictionary[nn.Module, _Off] = weakref.WeakKeyDictionary()


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Every dropout off. Threads can share a model: the last one to leave restores the training flags.

    Recurrent layers are in training mode on a GPU: cuDNN has no backward pass for them in evaluation mode.
    """
    with _lock:
        off = _off.setdefault(model, _Off())
        off.callers += 1
        _switch(changed := [module for module in model.modules() if module.training != _trains(module)])
        off.changed += changed
    try:
        yield
    finally:
        with _lock:
            off.callers -= 1
            if not off.callers:
                _switch(off.changed)
                del _off[model]


def for_prediction(model: nn.Module) -> AbstractContextManager[None]:
    """`without_dropout`, unless the model is in evaluation mode and no other thread will change that."""
    with _lock:
        ready = not model.training and model not in _off
    return nullcontext() if ready else without_dropout(model)


def _switch(modules: list[nn.Module]) -> None:
    for module in modules:
        module.training = not module.training


def _trains(module: nn.Module) -> bool:
    """The training flag that a module has while dropout is off."""
    if not isinstance(module, nn.RNNBase):
        return False
    return module.training or next(module.parameters()).is_cuda
