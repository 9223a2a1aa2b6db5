"""The models as ONNX graphs with the gradient inside: one file a family, as in `pct.models`.

A family writes its forward pass and, by hand or by tracing, the way back from the logits to the word embeddings; what
is common (which class, which score, from gradient to words) stands once, in `pct.onnx.graphs.explain`.
"""

from pct.onnx.graphs.explain import KINDS, Graphs, build_graphs, build_saliency_graph
from pct.onnx.graphs.graph import Graph, write

__all__ = ["KINDS", "Graph", "Graphs", "build_graphs", "build_saliency_graph", "write"]
