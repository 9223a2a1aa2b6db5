"""Models as ONNX graphs with their gradient, one module for each family of `pct.models`.

A family has its forward pass and, by hand or by tracing, its backward pass from the logits to the word embeddings. The
common parts (explained class, differentiated score, saliency of words) are in `pct.onnx.graphs.explain`.
"""

from pct.onnx.graphs.explain import Graphs, build_graphs, build_saliency_graph
from pct.onnx.graphs.graph import Graph, write

__all__ = ["Graph", "Graphs", "build_graphs", "build_saliency_graph", "write"]
