"""An encoder of the transformers library as a graph: traced, with its gradient, and written out by torch's exporter."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from pct.models.encoder import Transformer
from pct.onnx.graphs.base import Forward, numbers
from pct.onnx.graphs.graph import OPSET, Graph

OUTPUTS = ("logits", "representation", "gradient")
FAR = -1e9  # added to the attention scores of padding; exp of it is zero in float32


class TransformerGraph:
    """Traced once, at shapes that stay free.

    Raises ValueError for an encoder whose embeddings are not a plain table, or that cannot be traced.
    """

    def __init__(self, model: Transformer, longest: int) -> None:
        # a copy: the trace wants the plain attention, weights without gradients, and the CPU
        self.model = copy.deepcopy(model).to("cpu", torch.float32).eval().requires_grad_(False)
        encoder: Any = self.model.encoder
        self.table = encoder.get_input_embeddings()
        if type(self.table) is not nn.Embedding:
            raise ValueError(
                f"{type(encoder).__name__} has a {type(self.table).__name__} for its word embeddings; only encoders "
                "with a plain table of them (torch.nn.Embedding) can be exported"
            )
        try:
            encoder.set_attn_implementation("eager")
            self.traced = _export(self.model, self.table.embedding_dim, longest)
        except Exception as problem:  # the exporter raises many types
            raise ValueError(
                f"{type(encoder).__name__} cannot be written as an ONNX graph with its gradient: "
                f"{type(problem).__name__}: {str(problem).strip().splitlines()[0] if str(problem).strip() else ''}"
            ) from problem

    def __call__(self, graph: Graph, ids: str, mask: str, scale: str | None) -> Forward:
        """See `Family`."""
        embeddings = graph("Gather", graph.weight("embedding", numbers(self.table.weight)), ids)
        scaled = embeddings if scale is None else graph("Mul", embeddings, scale)
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


def _export(model: Transformer, width: int, longest: int) -> onnx.ModelProto:
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    def both_ways(embeddings: Tensor, mask: Tensor, at_logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embeddings = embeddings.detach().requires_grad_(True)
        # A 4-D additive mask is taken as it is; a 2-D one is looked at, and a trace cannot follow what it sees.
        added = torch.where(mask, 0.0, FAR)[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
        encoder: Any = model.encoder
        representation = encoder(inputs_embeds=embeddings, attention_mask=added).last_hidden_state[:, 0]
        logits = model.dense(representation)
        (gradient,) = torch.autograd.grad(logits, embeddings, at_logits)
        return logits.detach(), representation.detach(), gradient

    classes = model.dense.out_features
    # sizes that are equal would be taken for one: batch and length need sizes of their own
    batch, length, *_ = (n for n in (5, 7, 11, 13) if n not in (classes, width))
    inputs = (
        torch.randn(batch, length, width), torch.ones(batch, length, dtype=torch.bool), torch.randn(batch, classes),
    )  # fmt: skip
    free = {0: torch.export.Dim("batch", min=1, max=2**20), 1: torch.export.Dim("length", min=2, max=longest)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = make_fx(
            both_ways, tracing_mode="symbolic", _allow_non_fake_inputs=True,
            decomposition_table=dict(core_aten_decompositions()),
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
