"""TextCNN as a graph, with its backward pass: one matrix product each way for all windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.models.textcnn import TextCNN
from pct.onnx.graphs.base import Forward, Scale, numbers, span, token_counts
from pct.onnx.graphs.graph import FLOAT, Graph


class TextCNNGraph:
    """A word's share in a window does not depend on its neighbours: it is computed once for each distinct word.

    A window of k words is the sum of k rows of the table of shares. The table is small if texts have the same words, as
    reduced texts do.
    """

    def __init__(self, model: TextCNN) -> None:
        self.model = model
        arguments: dict[str, Any] = model.config()
        self.windows: list[int] = arguments["windows"]
        self.filters: int = arguments["filters"]
        self.convolutions: list[Any] = list(model.convolutions)

    def __call__(self, graph: Graph, ids: str, mask: str, scale: Scale | None) -> Forward:
        """See `Family`."""
        g, model = graph, self.model
        words, _, inverse, _ = g.several(4, "Unique", ids)
        source = g("Reshape", inverse, g("Shape", ids))
        rows = g("Gather", g.weight("embedding", numbers(model.embedding.weight)), words)
        embeddings = g("Gather", rows, source)
        if scale is not None:
            rows = g("Mul", rows, scale.factor)
        # (width, sum of k * filters): ordered by window, then by the position in it
        flat = [numbers(c.weight).transpose(1, 2, 0).reshape(-1, c.weight[0, 0].numel() * self.filters)
                for c in self.convolutions]  # fmt: skip
        kernel = g.weight("kernel", np.concatenate(flat, 1))
        # the last row is zero: it stands for positions beyond the text
        shares = g("MatMul", g("Pad", rows, g.constant([0, 0, 1, 0])), kernel)
        taps = g.several(sum(self.windows), "Split", shares, axis=1, num_outputs=sum(self.windows))
        beyond, reach = g("Shape", words), max(self.windows) - 1
        index = g("Where", mask, source, beyond)
        index = g("Pad", index, g.constant([0, reach, 0, reach]), g("Squeeze", beyond))
        length = g("Shape", ids, start=1, end=2)
        tokens = token_counts(g, mask)
        features, pooled, averaged = [], [], []
        for number, (k, convolution) in enumerate(zip(self.windows, self.convolutions, strict=True)):
            size = g("Add", length, g.constant([k - 1]))  # window t ends at word t
            first_tap, first = sum(self.windows[:number]), reach - (k - 1)
            parts = [
                g("Gather", taps[first_tap + i], span(g, index, first + i, g("Add", size, g.constant([first + i])), 1))
                for i in range(k)
            ]
            feature = g("Relu", g("Add", g("Sum", *parts), g.weight(f"bias_{number}", numbers(convolution.bias))))
            # windows of only padding would add their bias; features are >= 0, so zero is neutral for both uses
            window_count = g("Add", tokens, g.constant(k - 1, np.float32))
            steps = g("Range", g.constant(0), g("Squeeze", size), g.constant(1))
            inside = g("Cast", g("Less", g("Cast", steps, to=FLOAT), window_count), to=FLOAT)
            feature = g("Mul", feature, g("Unsqueeze", inside, g.constant([2])))
            features.append(feature)
            pooled.append(g("ReduceMax", feature, g.constant([1]), keepdims=0))
            averaged.append(g("Div", g("ReduceSum", feature, g.constant([1]), keepdims=0), window_count))
        dense = g.weight("dense", numbers(model.dense.weight))
        bias = g.weight("dense_bias", numbers(model.dense.bias))
        logits = g("Gemm", g("Concat", *pooled, axis=1), dense, bias, transB=1)

        def backward(at_logits: str) -> str:
            at_pooled = g("MatMul", at_logits, dense)
            shares: list[str] = []
            for number, (k, feature, best) in enumerate(zip(self.windows, features, pooled, strict=True)):
                at_best = span(g, at_pooled, number * self.filters, (number + 1) * self.filters, 1)
                at_window = _through_maximum(g, feature, best, at_best)
                for i in range(k):
                    shares.append(span(g, at_window, k - 1 - i, g("Add", length, g.constant([k - 1 - i])), 1))
            return g("MatMul", g("Concat", *shares, axis=2), g("Transpose", kernel, perm=[1, 0]))

        return Forward(embeddings, logits, g("Concat", *averaged, axis=1), backward)


def _through_maximum(g: Graph, feature: str, best: str, at_best: str) -> str:
    """The gradient of the features, (batch, positions, filters), given that of their maxima, (batch, filters).

    Equal maxima share it, as in torch's amax. It is zero for a maximum of zero, where ReLU is flat.
    """
    best = g("Unsqueeze", best, g.constant([1]))
    hit = g("And", g("Equal", feature, best), g("Greater", best, g.constant(0, np.float32)))
    hit = g("Cast", hit, to=FLOAT)
    count = g("Max", g("ReduceSum", hit, g.constant([1]), keepdims=1), g.constant(1, np.float32))
    return g("Mul", hit, g("Div", g("Unsqueeze", at_best, g.constant([1])), count))
