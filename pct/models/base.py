"""The base class of models."""

from __future__ import annotations

import threading
import weakref
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from pct.models.heads import HEAD_OF_KIND, Head
from pct.models.transfer import reading_is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pct.models.windows import Windows


PASSES = ("features", "recombine")  # the methods of a `TextModel` that run its body


class Encoding(NamedTuple):
    """logits: (batch, classes). representation: (batch, width), r(X) of the paper's Eq. 6."""

    logits: Tensor
    representation: Tensor


class Features(NamedTuple):
    """pooled: (batch, features), the input of the dense layer. representation: (batch, width), r(X) of Eq. 6."""

    pooled: Tensor
    representation: Tensor


class TextModel(nn.Module, ABC):
    """A classifier of token sequences that can be differentiated with respect to its word embeddings.

    The last layer is separate, so that one pass through the body gives the logits with dropout (for the loss) and
    without (for the saliency).
    """

    # the kind of architecture, as saved in the configuration
    family: ClassVar[str] = ""
    dropout: nn.Dropout
    dense: nn.Linear
    # whether `features` has dropout: then loss and saliency need separate passes
    dropout_in_body: bool = True
    # the kind of the task: see `pct.tasks.Task`
    task_kind: str = "softmax"
    # how texts of more tokens than the model reads at once are read; None if they are truncated
    text_windows: Windows | None = None
    # whether an embedding has a last column with the token's type: see `pct.models.token_types`
    reads_types: bool = False
    # the number of words whose initial embedding is from a vector file
    vectors_found: int = 0

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) -> the word embeddings e(x) (batch, length, width).

        A model that reads token types adds a column with the type of each token.
        """

    @property
    def word_table(self) -> nn.Embedding | None:
        """The table that `embed` reads; None if there is none, or other parts of the model read it too."""
        return None

    @abstractmethod
    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """Embeddings (batch, length, width) and mask (batch, length), true at real tokens -> `Features`."""

    def read(self, embeddings: Tensor, mask: Tensor) -> Features:
        """`features`, in windows if the model has them (see `pct.models.windows.Windows`)."""
        if self.text_windows is None:
            return self.features(embeddings, mask)
        return self.text_windows.read(self.features, embeddings, mask)

    def project(self, embeddings: Tensor) -> Tensor:
        """The part of the computation that needs single words only: (.., width) -> (words, any), flat.

        By default the embeddings themselves.
        """
        return embeddings.reshape(-1, embeddings.shape[-1])

    def recombine(self, projected: Tensor, source: Tensor, mask: Tensor) -> Features:
        """`read` of texts that consist of the words of `projected`, such as the reduced texts of a batch.

        projected: from `project`, one row for each distinct word. source: (rows, length), the row of each word; any
        valid row at padding. mask: (rows, length), true at real tokens.
        """
        return self.read(nn.functional.embedding(source, projected), mask)

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The arguments with which `build_model` builds this model, without weights (JSON types)."""

    def encode(self, embeddings: Tensor, mask: Tensor) -> Encoding:
        """Embeddings (batch, length, width) and mask (batch, length), true at real tokens -> `Encoding`."""
        pooled, representation = self.read(embeddings, mask)
        return Encoding(self.dense(self.dropout(pooled)), representation)

    def forward(self, ids: Tensor, mask: Tensor) -> Encoding:
        """Token ids and mask, both (batch, length) -> `Encoding`. On a CPU, a repeated token is embedded once."""
        if reading_is_free(ids.device):
            distinct, source = torch.unique(ids, return_inverse=True)
        else:
            distinct, source = ids, torch.arange(ids.numel(), device=ids.device).view_as(ids)
        pooled, representation = self.recombine(self.project(self.embed(distinct)), source, mask)
        return Encoding(self.dense(self.dropout(pooled)), representation)

    @property
    def head(self) -> Head:
        """The functions of its logits."""
        return HEAD_OF_KIND[self.task_kind]

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device


class WordModel(TextModel):
    """A model over word embeddings that start from random values; its class defines `project` and `recombine`.

    Args:
        arguments: those of the subclass, by name.
    """

    dropout_in_body = False

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments
        self.embedding = nn.Embedding(arguments["vocabulary"], arguments["width"], padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        with torch.no_grad():
            self.embedding.weight[0].zero_()

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`."""
        return self.embedding(ids)

    @property
    def word_table(self) -> nn.Embedding:
        """See `TextModel.word_table`."""
        return self.embedding

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`."""
        source = torch.arange(mask.numel(), device=mask.device).view_as(mask)
        return self.recombine(self.project(embeddings), source, mask)

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`."""
        return {"family": self.family, **self.arguments}


class _DropoutOff:
    """The number of callers that need a model's dropout off, and the modules whose training flag was changed."""

    def __init__(self) -> None:
        self.callers = 0
        self.changed: list[nn.Module] = []


_lock = threading.Lock()
_dropout_off: weakref.WeakKeyDictionary[nn.Module, _DropoutOff] = weakref.WeakKeyDictionary()


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Turns dropout off. Threads can share a model: the last one restores the training flags.

    Recurrent layers stay in training mode on a GPU: cuDNN has no backward pass for them in evaluation mode.
    """
    with _lock:
        state = _dropout_off.setdefault(model, _DropoutOff())
        state.callers += 1
        changed = [module for module in model.modules() if module.training != _flag_without_dropout(module)]
        _toggle_training(changed)
        state.changed += changed
    try:
        yield
    finally:
        with _lock:
            state.callers -= 1
            if not state.callers:
                _toggle_training(state.changed)
                del _dropout_off[model]


def for_prediction(model: nn.Module) -> AbstractContextManager[None]:
    """`without_dropout`, unless the model is in evaluation mode and no other thread will change that."""
    with _lock:
        ready = not model.training and model not in _dropout_off
    return nullcontext() if ready else without_dropout(model)


def _toggle_training(modules: list[nn.Module]) -> None:
    for module in modules:
        module.training = not module.training


def _flag_without_dropout(module: nn.Module) -> bool:
    """The training flag of a module while dropout is off."""
    if not isinstance(module, nn.RNNBase):
        return False
    return module.training or next(module.parameters()).is_cuda
