"""The bidirectional LSTM as a graph: two Scans per direction, a forward pass and a hand-written backward pass.

ONNX's LSTM operator does not return its gates, so a backward pass would have to compute them again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pct.models.lstm import LSTM
from pct.onnx.graphs.base import Forward, Scale, numbers, token_counts
from pct.onnx.graphs.graph import FLOAT, Graph

Array = npt.NDArray[np.float32]


class LSTMGraph:
    """The input part of the gates depends on single words only: it is computed once for each distinct word."""

    def __init__(self, model: LSTM) -> None:
        self.model = model
        self.units = model.forwards.hidden_size

    def __call__(self, graph: Graph, ids: str, mask: str, scale: Scale | None) -> Forward:
        """See `Family`."""
        model, g = self.model, graph
        table = g.weight("embedding", numbers(model.embedding.weight))
        time_first = g("Transpose", ids, perm=[1, 0])
        words, _, inverse, _ = g.several(4, "Unique", time_first)
        source = g("Reshape", inverse, g("Shape", time_first))  # (length, batch)
        rows = g("Gather", table, words)
        embeddings = g("Gather", rows, g("Transpose", source, perm=[1, 0]))
        if scale is not None:
            rows = g("Mul", rows, scale.factor)
        inside = g("Unsqueeze", g("Transpose", g("Cast", mask, to=FLOAT), perm=[1, 0]), g.constant([2]))
        tokens = token_counts(g, mask)
        units = g.constant([self.units])
        zeros = g("Expand", g.constant(0, np.float32), g("Concat", g("Shape", ids, end=1), units, axis=0))
        layers = {"forwards": (model.forwards, False), "backwards": (model.backwards, True)}
        directions = [_Direction(g, name, *layer) for name, layer in layers.items()]
        sums = [d.through(rows, source, inside, zeros, scale is not None) for d in directions]
        representation = g("Div", g("Concat", *sums, axis=1), tokens)
        dense = g.weight("dense", numbers(model.dense.weight))
        logits = g("Gemm", representation, dense, g.weight("dense_bias", numbers(model.dense.bias)), transB=1)

        def backward(at_logits: str) -> str:
            # all states have the same gradient: the output depends on their mean
            at_state = g("Div", g("MatMul", at_logits, dense), tokens)
            parts = g.several(2, "Split", at_state, axis=1, num_outputs=2)
            back = [d.back(x, inside, zeros) for d, x in zip(directions, parts, strict=True)]
            return g("Transpose", g("Add", *back), perm=[1, 0, 2])

        return Forward(embeddings, logits, representation, backward)


class _Direction:
    """One direction. The order of the gates is input, output, forget, candidate: one sigmoid for the first three."""

    def __init__(self, graph: Graph, name: str, layer: Any, backwards: bool) -> None:
        self.graph, self.name, self.backwards, self.units = graph, name, backwards, layer.hidden_size
        self.of_input = _gates(numbers(layer.weight_ih_l0))
        self.of_state = _gates(numbers(layer.weight_hh_l0))
        self.bias = _gates(numbers(layer.bias_ih_l0) + numbers(layer.bias_hh_l0))
        self.saved: list[str] = []

    def through(self, rows: str, source: str, inside: str, zeros: str, keep: bool) -> str:
        """The sum of the states, (batch, units). keep: whether to save results for the backward pass.

        At padding the state is zero. In the backward direction padding comes first, so the initial state is zero too.
        """
        g, name, units = self.graph, self.name, self.units
        bias = g.weight(f"{name}.bias", self.bias)
        added = g("Add", g("MatMul", rows, g.weight(f"{name}.of_input", self.of_input.T)), bias)
        of_state = g.weight(f"{name}.of_state", self.of_state.T)
        body = Graph(g)
        state, cell, total, gates, at_token = (
            body.input(f"{name}.{x}") for x in ("state", "cell", "total", "gates", "inside")
        )
        gates = body("Add", gates, body("MatMul", state, of_state))
        sigmoid_gates, candidate = body.several(2, "Split", gates, g.constant([3 * units, units]), axis=1)
        sigmoid_gates, candidate = body("Sigmoid", sigmoid_gates), body("Tanh", candidate)
        input_gate, output_gate, forget_gate = body.several(3, "Split", sigmoid_gates, axis=1, num_outputs=3)
        new_cell = body(
            "Mul", body("Add", body("Mul", forget_gate, cell), body("Mul", input_gate, candidate)), at_token
        )
        cell_tanh = body("Tanh", new_cell)
        new_state = body("Mul", body("Mul", output_gate, cell_tanh), at_token)
        results = {"next_state": new_state, "next_cell": new_cell, "next_total": body("Add", total, new_state)}
        if keep:
            results |= {"switches": sigmoid_gates, "candidate": candidate, "cell_before": cell, "squashed": cell_tanh}
        for key, value in results.items():
            body.output(value, f"{name}.{key}")
        scanned = g.scan(body, [zeros, zeros, zeros], [g("Gather", added, source), inside], self.backwards)
        self.saved = scanned[3:]
        return scanned[2]

    def back(self, at_state: str, inside: str, zeros: str) -> str:
        """The gradient of the embeddings, (length, batch, width), given that of each state, (batch, units)."""
        g, name = self.graph, self.name
        sigmoid_gates, candidate, cell, cell_tanh = self.saved
        one = g.constant(1, np.float32)
        input_gate, output_gate, forget_gate = g.several(3, "Split", sigmoid_gates, axis=2, num_outputs=3)
        # factors that do not depend on a later step's gradient are computed for all steps at once
        at_cell = g("Mul", output_gate, _tanh_slope(g, cell_tanh))
        slopes = g("Mul", sigmoid_gates, g("Sub", one, sigmoid_gates))
        slopes = g("Mul", g("Concat", candidate, cell_tanh, cell, axis=2), slopes)
        slopes = g("Concat", slopes, g("Mul", input_gate, _tanh_slope(g, candidate)), axis=2)
        body = Graph(g)
        state, carry, at_token, to_cell, keeps, slope = (
            body.input(f"{name}.back.{x}") for x in ("state", "carry", "inside", "to_cell", "stay", "slopes")
        )
        state = body("Add", body("Mul", at_state, at_token), state)
        change = body("Add", body("Mul", state, to_cell), carry)
        gates = body("Mul", body("Concat", change, state, change, change, axis=1), slope)
        body.output(body("MatMul", gates, g.weight(f"{name}.of_state.back", self.of_state)), f"{name}.back.next_state")
        body.output(body("Mul", change, keeps), f"{name}.back.next_carry")
        body.output(gates, f"{name}.back.gates")
        gate_gradients = g.scan(body, [zeros, zeros], [inside, at_cell, forget_gate, slopes], not self.backwards)[2]
        return g("MatMul", gate_gradients, g.weight(f"{name}.of_input.back", self.of_input))


def _tanh_slope(graph: Graph, tanh: str) -> str:
    return graph("Sub", graph.constant(1, np.float32), graph("Mul", tanh, tanh))


def _gates(weight: Array) -> Array:
    """Reorders rows from torch's order (input, forget, candidate, output)."""
    input_gate, forget_gate, candidate, output_gate = np.split(weight, 4)
    return np.concatenate([input_gate, output_gate, forget_gate, candidate])
