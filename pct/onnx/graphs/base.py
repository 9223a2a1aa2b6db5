"""What a family of models gives to its graph."""

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
    """Names of results, and the way back.

    embeddings: (batch, length, width), unscaled. logits: (batch, classes). representation: (batch, r's width).
    backward: takes the gradient at the logits, (batch, classes), writes the nodes that lead to the gradient at the
    embeddings, and returns its name, (batch, length, width); what it has at padding means nothing.
    """

    embeddings: str
    logits: str
    representation: str
    backward: Callable[[str], str]


@dataclass(frozen=True)
class Scale:
    """A factor at the embeddings of words, for integrated gradients.

    Attributes:
        factor: the name of a () float32 result.
        words: the name of a (batch, length) bool result, true at tokens of words. A family whose texts have no special
            tokens may scale all tokens.
    """

    factor: str
    words: str


class Family(Protocol):
    """A model that can write itself into a graph, more than once, each time with the same names of weights."""

    def __call__(self, graph: Graph, ids: str, mask: str, scale: Scale | None) -> Forward:
        """Writes the model into the graph.

        Args:
            graph: where the nodes go.
            ids: (batch, length) int64.
            mask: (batch, length) bool, true at tokens.
            scale: a factor at the embeddings of words; None where no gradient is asked for.
        """
        ...


def numbers(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    """A weight as float32 numpy."""
    return tensor.detach().to("cpu", torch.float32).numpy()


def token_counts(graph: Graph, mask: str) -> str:
    """(batch, length) bool -> the number of tokens of each text, (batch, 1) float32."""
    return graph("ReduceSum", graph("Cast", mask, to=FLOAT), graph.constant([1]), keepdims=1)


def span(graph: Graph, source: str, start: int | str, stop: int | str, axis: int) -> str:
    """A slice along one axis; its ends may be numbers or the names of (1,) int64 results."""
    ends = [graph.constant([x]) if isinstance(x, int) else x for x in (start, stop)]
    return graph("Slice", source, *ends, graph.constant([axis]))
