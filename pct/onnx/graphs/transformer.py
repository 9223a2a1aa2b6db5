"""A model of the transformers library as a graph: traced, with its gradient, and written out by torch's exporter."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from pct.models.encoder import Transformer
from pct.models.wrapped import Wrapped
from pct.onnx.graphs.base import Forward, Scale, numbers
from pct.onnx.graphs.graph import OPSET, Graph
from pct.saliency.modes import FrozenModel, GimModel

OUTPUTS = ("logits", "representation", "gradient")
FAR = -1e9  # added to the attention scores of padding; exp of it is zero in float32
EAGER, SDPA = "eager", "sdpa"
# by saliency: the mode that changes the gradient, and the attention of the library that it is traced with
MODES: dict[str, tuple[Callable[[], AbstractContextManager[object]], str]] = {
    "": (nullcontext, EAGER),
    "frozen_grad_x_input": (FrozenModel, EAGER),
    "gim": (GimModel, SDPA),  # it changes the gradient inside torch's scaled_dot_product_attention
}


class TransformerGraph:
    """Traced once, at shapes that stay free.

    Args:
        model: what is traced.
        longest: tokens of a text at most.
        saliency: one of MODES, whose modified gradient is traced; the model's own gradient where empty.

    Raises:
        ValueError: the embeddings are not a plain table, or the model cannot be traced.
    """

    def __init__(self, model: Transformer | Wrapped, longest: int, saliency: str = "") -> None:
        mode, attention = MODES[saliency]
        # a copy: the trace wants the plain attention, weights without gradients, and the CPU
        self.model = copy.deepcopy(model).to("cpu", torch.float32).eval().requires_grad_(False)
        inner: Any = self.model.model if isinstance(self.model, Wrapped) else self.model.encoder
        kind = type(inner).__name__
        table = inner.get_input_embeddings()
        if not isinstance(table, nn.Embedding):
            raise ValueError(
                f"{kind} has a {type(table).__name__} for its word embeddings; only models with a table of them "
                "(torch.nn.Embedding) can be exported"
            )
        # what the model makes of each id: BART scales what lies in its table
        self.table = numbers(self.model.embed(torch.arange(table.num_embeddings)))
        try:
            inner.set_attn_implementation(attention)
            with _masks_without_looking():
                self.traced = _export(self.model, self.table.shape[1], longest, mode)
        except Exception as problem:  # the exporter raises many types
            said = str(problem).strip().splitlines() or [""]
            raise ValueError(
                f"{kind} cannot be written as an ONNX graph with its {saliency or 'gradient'}: "
                f"{type(problem).__name__}: {said[0]}"
            ) from problem

    def __call__(self, graph: Graph, ids: str, mask: str, scale: Scale | None) -> Forward:
        """See `Family`."""
        embeddings = graph("Gather", graph.weight("embedding", self.table), ids)
        scaled = embeddings
        if scale is not None:
            factor = graph("Where", scale.words, scale.factor, graph.constant(1, np.float32))
            scaled = graph("Mul", embeddings, graph("Unsqueeze", factor, graph.constant([2])))
        # the traced nodes read the gradient at the logits before it is known: the name is reserved
        promised = graph.reserve("at_logits")
        inputs = dict(zip(self._inputs, (scaled, mask, promised), strict=True))
        found = graph.absorb(self.traced, inputs)
        logits, representation, gradient = (found[o.name] for o in self.traced.graph.output)

        def backward(at_logits: str) -> str:
            graph.alias(at_logits, promised)
            return gradient

        return Forward(embeddings, logits, representation, backward)

    @property
    def _inputs(self) -> list[str]:
        return [i.name for i in self.traced.graph.input]


@contextmanager
def _masks_without_looking() -> Iterator[None]:
    """Attention masks of plain arithmetic, whatever a model's layers see (all, what came before, a window): the
    library's own look at the padding, to leave a mask out where there is none, and a trace cannot follow what it sees.
    """
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    for attention in (EAGER, SDPA):
        ALL_MASK_ATTENTION_FUNCTIONS[attention] = _mask
    try:
        yield
    finally:
        for attention in (EAGER, SDPA):
            del ALL_MASK_ATTENTION_FUNCTIONS[attention]  # the library's is behind it


def _mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    mask_function: Callable[..., Tensor],
    attention_mask: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """What is added to the attention scores, (batch, 1, q_length, kv_length); the arguments are the library's."""
    batch, query, key = torch.arange(batch_size), torch.arange(q_length), torch.arange(kv_length)
    seen = mask_function(batch[:, None, None, None], 0, query[None, None, :, None], key[None, None, None, :])
    if attention_mask is not None:
        seen = seen & attention_mask[:, None, None, :].bool()
    return torch.where(seen, 0.0, FAR).expand(batch_size, 1, q_length, kv_length)


def _number_minus(tensor: Tensor, number: float, alpha: float = 1) -> Tensor:
    return tensor * -alpha + number


def _export(
    model: Transformer | Wrapped, width: int, longest: int, mode: Callable[[], AbstractContextManager[object]]
) -> onnx.ModelProto:
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    def both_ways(embeddings: Tensor, mask: Tensor, at_logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embeddings = embeddings.detach().requires_grad_(True)
        with mode():
            pooled, representation = model.features(embeddings, mask)
        logits = model.dense(pooled)
        (gradient,) = torch.autograd.grad(logits, embeddings, at_logits)
        return logits.detach(), representation.detach(), gradient

    classes = model.dense.out_features
    # sizes that are equal would be taken for one: batch and length need sizes of their own
    batch, length, *_ = (n for n in (5, 7, 11, 13) if n not in (classes, width))
    inputs = (
        torch.randn(batch, length, width), torch.ones(batch, length, dtype=torch.bool), torch.randn(batch, classes),
    )  # fmt: skip
    free = {0: torch.export.Dim.AUTO(min=1, max=2**20), 1: torch.export.Dim.AUTO(min=2, max=longest)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = make_fx(
            both_ways, tracing_mode="symbolic", _allow_non_fake_inputs=True,
            # as it stands there, 1 - x becomes a difference of a number and a tensor, which has no ONNX translation
            decomposition_table=dict(core_aten_decompositions()) | {torch.ops.aten.rsub.Scalar: _number_minus},
        )(*inputs)  # fmt: skip
        with torch.no_grad():
            shapes = (free, free, {0: free[0]})
            exported = torch.export.export(graph, inputs, dynamic_shapes=shapes, strict=False)
        program = torch.onnx.export(exported, dynamo=True, verbose=False, opset_version=OPSET)
    assert program is not None
    made = program.model_proto
    embeddings, _, at_logits = (i.name for i in made.graph.input)
    for node in made.graph.node:
        # the batch's size is asked of any input: not of the gradient, which the forward pass cannot wait for
        if node.op_type == "Shape" and node.input[0] == at_logits:
            if {a.name: a.i for a in node.attribute} != {"start": 0, "end": 1}:
                raise ValueError("the trace asks for the shape of the gradient at the logits")
            node.input[0] = embeddings
    return made
