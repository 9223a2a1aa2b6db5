"""The bidirectional LSTM as a graph: two Scans a direction, one through time and one back, the latter by hand.

ONNX's own LSTM operator keeps no gates, so a way back from it would have to compute them anew.
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
    """What a word adds to the gates does not depend on its place: it is taken once for each distinct word."""

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
            # the mean gives the same gradient to the state at every word
            at_state = g("Div", g("MatMul", at_logits, dense), tokens)
            parts = g.several(2, "Split", at_state, axis=1, num_outputs=2)
            back = [d.back(x, inside, zeros) for d, x in zip(directions, parts, strict=True)]
            return g("Transpose", g("Add", *back), perm=[1, 0, 2])

        return Forward(embeddings, logits, representation, backward)


class _Direction:
    """One direction; gates in the order input, output, forget, candidate, so that the first three are one sigmoid."""

    def __init__(self, graph: Graph, name: str, layer: Any, backwards: bool) -> None:
        self.graph, self.name, self.backwards, self.units = graph, name, backwards, layer.hidden_size
        self.of_input = _gates(numbers(layer.weight_ih_l0))
        self.of_state = _gates(numbers(layer.weight_hh_l0))
        self.bias = _gates(numbers(layer.bias_ih_l0) + numbers(layer.bias_hh_l0))
        self.kept: list[str] = []

    def through(self, rows: str, source: str, inside: str, zeros: str, keep: bool) -> str:
        """The sum of the states, (batch, units); keep: what the way back needs is kept.

        Padding leaves the state at zero. Read backwards it comes first, so the state is zero at the last word too.
        """
        g, name, units = self.graph, self.name, self.units
        bias = g.weight(f"{name}.bias", self.bias)
        added = g("Add", g("MatMul", rows, g.weight(f"{name}.of_input", self.of_input.T)), bias)
        of_state = g.weight(f"{name}.of_state", self.of_state.T)
        body = Graph(g)
        state, cell, total, gates, here = (
            body.input(f"{name}.{x}") for x in ("state", "cell", "total", "gates", "inside")
        )
        gates = body("Add", gates, body("MatMul", state, of_state))
        switches, candidate = body.several(2, "Split", gates, g.constant([3 * units, units]), axis=1)
        switches, candidate = body("Sigmoid", switches), body("Tanh", candidate)
        enter, leave, stay = body.several(3, "Split", switches, axis=1, num_outputs=3)
        fresh = body("Mul", body("Add", body("Mul", stay, cell), body("Mul", enter, candidate)), here)
        squashed = body("Tanh", fresh)
        after = body("Mul", body("Mul", leave, squashed), here)
        results = {"next_state": after, "next_cell": fresh, "next_total": body("Add", total, after)}
        if keep:
            results |= {"switches": switches, "candidate": candidate, "cell_before": cell, "squashed": squashed}
        for key, value in results.items():
            body.output(value, f"{name}.{key}")
        made = g.scan(body, [zeros, zeros, zeros], [g("Gather", added, source), inside], self.backwards)
        self.kept = made[3:]
        return made[2]

    def back(self, at_state: str, inside: str, zeros: str) -> str:
        """The gradient at the embeddings, (length, batch, width), from the one at each state, (batch, units)."""
        g, name = self.graph, self.name
        switches, candidate, cell, squashed = self.kept
        one = g.constant(1, np.float32)
        enter, leave, stay = g.several(3, "Split", switches, axis=2, num_outputs=3)
        # all that does not wait for a later step's gradient is taken for all steps at once
        at_cell = g("Mul", leave, _slope(g, squashed))
        slopes = g("Mul", switches, g("Sub", one, switches))
        slopes = g("Mul", g("Concat", candidate, squashed, cell, axis=2), slopes)
        slopes = g("Concat", slopes, g("Mul", enter, _slope(g, candidate)), axis=2)
        body = Graph(g)
        state, carry, here, to_cell, keeps, slope = (
            body.input(f"{name}.back.{x}") for x in ("state", "carry", "inside", "to_cell", "stay", "slopes")
        )
        state = body("Add", body("Mul", at_state, here), state)
        change = body("Add", body("Mul", state, to_cell), carry)
        gates = body("Mul", body("Concat", change, state, change, change, axis=1), slope)
        body.output(body("MatMul", gates, g.weight(f"{name}.of_state.back", self.of_state)), f"{name}.back.next_state")
        body.output(body("Mul", change, keeps), f"{name}.back.next_carry")
        body.output(gates, f"{name}.back.gates")
        found = g.scan(body, [zeros, zeros], [inside, at_cell, stay, slopes], not self.backwards)[2]
        return g("MatMul", found, g.weight(f"{name}.of_input.back", self.of_input))


def _slope(graph: Graph, tanh: str) -> str:
    return graph("Sub", graph.constant(1, np.float32), graph("Mul", tanh, tanh))


def _gates(weight: Array) -> Array:
    """Rows in torch's order (input, forget, candidate, output) in ours."""
    enter, stay, candidate, leave = np.split(weight, 4)
    return np.concatenate([enter, leave, stay, candidate])
