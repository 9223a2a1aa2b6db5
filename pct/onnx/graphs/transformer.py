"""A model of the transformers library as a graph: traced with its gradient, and exported by torch."""

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
from pct.onnx.graphs.graph import FLOAT, OPSET, Graph
from pct.saliency.gradients import word_part
from pct.saliency.modes import FrozenModel, GimModel
from pct.text.tokens import TOKEN_TYPE

MASKED_SCORE = -1e9  # added to the attention scores of padding; exp of it is zero in float32
EAGER, SDPA = "eager", "sdpa"
# by saliency: the mode that modifies the gradient, and the attention implementation for the trace
MODES: dict[str, tuple[Callable[[], AbstractContextManager[object]], str]] = {
    "": (nullcontext, EAGER),
    "frozen_grad_x_input": (FrozenModel, EAGER),
    "gim": (GimModel, SDPA),  # it modifies the gradient of torch's scaled_dot_product_attention
}


class TransformerGraph:
    """A transformer, traced once with dynamic shapes.

    Args:
        model: the model.
        max_tokens: the longest text.
        saliency: one of MODES, whose modified gradient is traced; if empty, the unmodified gradient.

    Raises:
        ValueError: the embeddings are not a plain table, or the model cannot be traced.
    """

    def __init__(self, model: Transformer | Wrapped, max_tokens: int, saliency: str = "") -> None:
        mode, attention = MODES[saliency]
        # a copy: the trace needs another attention, weights without gradients, and the CPU
        self.model = copy.deepcopy(model).to("cpu", torch.float32).eval().requires_grad_(False)
        inner: Any = self.model.model if isinstance(self.model, Wrapped) else self.model.encoder
        kind = type(inner).__name__
        table = inner.get_input_embeddings()
        if not isinstance(table, nn.Embedding):
            raise ValueError(
                f"{kind} has a {type(table).__name__} for its word embeddings; only models with a table of them "
                "(torch.nn.Embedding) can be exported"
            )
        # the embedding of each id: BART scales the rows of its table
        self.table = numbers(word_part(self.model, self.model.embed(torch.arange(table.num_embeddings))))
        try:
            inner.set_attn_implementation(attention)
            with _arithmetic_masks():
                self.traced = _export(self.model, max_tokens, mode)
        except Exception as problem:  # the exporter raises many types
            lines = str(problem).strip().splitlines() or [""]
            raise ValueError(
                f"{kind} cannot be written as an ONNX graph with its {saliency or 'gradient'}: "
                f"{type(problem).__name__}: {lines[0]}"
            ) from problem

    def __call__(self, graph: Graph, ids: str, mask: str, scale: Scale | None) -> Forward:
        """See `Family`."""
        token_type = graph.constant(TOKEN_TYPE)
        embeddings = graph("Gather", graph.weight("embedding", self.table), graph("Mod", ids, token_type))
        scaled = embeddings
        if scale is not None:
            factor = graph("Where", scale.words, scale.factor, graph.constant(1, np.float32))
            scaled = graph("Mul", embeddings, graph("Unsqueeze", factor, graph.constant([2])))
        if self.model.reads_types:  # a last column, which is not scaled: see `pct.models.token_types`
            types = graph("Unsqueeze", graph("Cast", graph("Div", ids, token_type), to=FLOAT), graph.constant([2]))
            embeddings, scaled = (graph("Concat", words, types, axis=2) for words in (embeddings, scaled))
        # the traced nodes use the gradient of the logits, which is defined later
        reserved = graph.reserve("at_logits")
        inputs = dict(zip(self._inputs, (scaled, mask, reserved), strict=True))
        names = graph.absorb(self.traced, inputs)
        logits, representation, gradient = (names[o.name] for o in self.traced.graph.output)

        def backward(at_logits: str) -> str:
            graph.alias(at_logits, reserved)
            return gradient

        return Forward(embeddings, logits, representation, backward)

    @property
    def _inputs(self) -> list[str]:
        return [i.name for i in self.traced.graph.input]


@contextmanager
def _arithmetic_masks() -> Iterator[None]:
    """Replaces the library's attention masks by arithmetic ones, for full, causal and windowed attention.

    The library's masks depend on the values of the padding mask, which a trace cannot follow.
    """
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    for attention in (EAGER, SDPA):
        ALL_MASK_ATTENTION_FUNCTIONS[attention] = _mask
    try:
        yield
    finally:
        for attention in (EAGER, SDPA):
            del ALL_MASK_ATTENTION_FUNCTIONS[attention]  # restores the library's


def _mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    mask_function: Callable[..., Tensor],
    attention_mask: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """The mask that is added to the attention scores, (batch, 1, q_length, kv_length), with the library's signature."""
    batch, query, key = torch.arange(batch_size), torch.arange(q_length), torch.arange(kv_length)
    visible = mask_function(batch[:, None, None, None], 0, query[None, None, :, None], key[None, None, None, :])
    if attention_mask is not None:
        visible = visible & attention_mask[:, None, None, :].bool()
    return torch.where(visible, 0.0, MASKED_SCORE).expand(batch_size, 1, q_length, kv_length)


def _number_minus(tensor: Tensor, number: float, alpha: float = 1) -> Tensor:
    return tensor * -alpha + number


def _squeeze(tensor: Tensor, dims: list[int]) -> Tensor:
    for dim in sorted((dim % tensor.ndim for dim in dims), reverse=True):
        if isinstance(size := tensor.shape[dim], int) and size == 1:
            tensor = tensor.select(dim, 0)
    return tensor


# operators without an ONNX translation: 1 - x becomes rsub
UNTRANSLATED = {torch.ops.aten.rsub.Scalar: _number_minus, torch.ops.aten.squeeze.dims: _squeeze}


def _translate(exported: torch.export.ExportedProgram) -> Any:
    """The program in ONNX. The exporter decomposes its operators by tracing it once more, which takes half of the time
    and changes nothing where all have a translation: it is tried without."""
    options: dict[str, Any] = {"dynamo": True, "verbose": False, "opset_version": OPSET}
    exported.run_decompositions = lambda *_: exported
    try:
        return torch.onnx.export(exported, **options)
    except torch.onnx.errors.OnnxExporterError:
        del exported.run_decompositions
        return torch.onnx.export(exported, **options)


def _export(
    model: Transformer | Wrapped, max_tokens: int, mode: Callable[[], AbstractContextManager[object]]
) -> onnx.ModelProto:
    from torch._decomp import core_aten_decompositions
    from torch._dynamo import config
    from torch.fx.experimental.proxy_tensor import make_fx

    def forward_and_gradient(embeddings: Tensor, mask: Tensor, at_logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embeddings = embeddings.detach().requires_grad_(True)
        with mode():
            pooled, representation = model.features(embeddings, mask)
        logits = model.dense(pooled)
        (gradient,) = torch.autograd.grad(logits, embeddings, at_logits)
        return logits.detach(), representation.detach(), gradient

    classes = model.dense.out_features
    # the trace would identify equal sizes: batch and length must differ from the others
    width = model.embed(torch.zeros(1, dtype=torch.long)).shape[-1]
    batch, length, *_ = (n for n in (5, 7, 11, 13, 17) if n not in (classes, width, width - 1))
    embedded = model.embed(torch.zeros(batch, length, dtype=torch.long))
    inputs = (embedded, torch.ones(batch, length, dtype=torch.bool), torch.randn(batch, classes))
    free = {0: torch.export.Dim.AUTO(min=1, max=2**20), 1: torch.export.Dim.AUTO(min=2, max=max_tokens)}
    # few calls of an operator have a shape that was traced before: keeping each takes longer than tracing it
    with warnings.catch_warnings(), config.patch(fake_tensor_cache_enabled=False):
        warnings.simplefilter("ignore")
        graph = make_fx(
            forward_and_gradient, tracing_mode="symbolic", _allow_non_fake_inputs=True,
            decomposition_table=dict(core_aten_decompositions()) | UNTRANSLATED,
        )(*inputs)  # fmt: skip
        with torch.no_grad():
            shapes = (free, free, {0: free[0]})
            exported = torch.export.export(graph, inputs, dynamic_shapes=shapes, strict=False)
        program = _translate(exported)
    assert program is not None
    model_proto = program.model_proto
    embeddings, _, at_logits = (i.name for i in model_proto.graph.input)
    for node in model_proto.graph.node:
        # the forward pass must not depend on the gradient's shape: it reads the batch size from the embeddings
        if node.op_type == "Shape" and node.input[0] == at_logits:
            if {a.name: a.i for a in node.attribute} != {"start": 0, "end": 1}:
                raise ValueError("the traced graph depends on the shape of the gradient of the logits")
            node.input[0] = embeddings
    return model_proto
