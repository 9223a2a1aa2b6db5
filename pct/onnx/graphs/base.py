"""The interface of a model family's graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from pct.onnx.graphs.graph import FLOAT, Graph


@dataclass(frozen=True)
class Forward:
    """The names of the results of a forward pass, and the backward pass.

    embeddings: (batch, length, width), unscaled. logits: (batch, classes). representation: (batch, r's width).
    backward: adds the nodes from the gradient of the logits, (batch, classes), to that of the embeddings, and returns
    its name, (batch, length, width). Values at padding are undefined.
    """

    embeddings: str
    logits: str
    representation: str
    backward: Callable[[str], str]


@dataclass(frozen=True)
class Scale:
    """A factor of the word embeddings, for integrated gradients.

    Attributes:
        factor: the name of a () float32 result.
        words: the name of a (batch, length) bool result, true at tokens of words. A family without special tokens may
            scale all tokens.
    """

    factor: str
    words: str


class Family(Protocol):
    """A model that can be added to several graphs, with the same names of weights."""

    def __call__(self, graph: Graph, ids: str, mask: str, scale: Scale | None) -> Forward:
        """Adds the model to the graph.

        Args:
            graph: the graph.
            ids: (batch, length) int64.
            mask: (batch, length) bool, true at tokens.
            scale: a factor of the word embeddings; None without a gradient.
        """
        ...


def numbers(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    """A weight as float32 numpy."""
    return tensor.detach().to("cpu", torch.float32).numpy()


def token_counts(graph: Graph, mask: str) -> str:
    """(batch, length) bool -> the number of tokens of each text, (batch, 1) float32."""
    return graph("ReduceSum", graph("Cast", mask, to=FLOAT), graph.constant([1]), keepdims=1)


def span(graph: Graph, source: str, start: int | str, stop: int | str, axis: int) -> str:
    """A slice along one axis. Its ends are numbers or the names of (1,) int64 results."""
    ends = [graph.constant([x]) if isinstance(x, int) else x for x in (start, stop)]
    return graph("Slice", source, *ends, graph.constant([axis]))
