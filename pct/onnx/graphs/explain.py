"""Graphs from token ids to logits, representation and saliency: the part that all models share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx

from pct.models import TextModel
from pct.models.encoder import Transformer
from pct.models.lstm import LSTM
from pct.models.textcnn import TextCNN
from pct.models.wrapped import Wrapped
from pct.onnx.graphs.base import Family, Scale
from pct.onnx.graphs.graph import BOOL, FLOAT, INT64, Graph
from pct.onnx.graphs.lstm import LSTMGraph
from pct.onnx.graphs.textcnn import TextCNNGraph
from pct.onnx.graphs.transformer import TransformerGraph
from pct.onnx.predictor import PLAIN

NORMS = {"l2": "ReduceSumSquare", "l1": "ReduceL1"}  # the operator that sums over the embedding of a token


class Graphs(NamedTuple):
    """The two graphs of a model. Weights of equal name are shared."""

    gradient: onnx.ModelProto
    forward: onnx.ModelProto


def build_graphs(model: TextModel, of: str = "log_odds", max_tokens: int = 64) -> Graphs:
    """Builds the graphs of a model, with and without its gradient.

    gradient: inputs ids, words (batch, length) int64, the word of each token, -1 at special tokens and -2 at padding;
    classes (batch,) int64, the explained class, -1 for the predicted one; scale () float32, a factor of the word
    embeddings, by default 1. Outputs logits (batch, classes), representation (batch, r's width) and saliency_l2,
    saliency_l1, saliency_grad_x_input (batch, length), one number per word, 0 beyond a text's last word.
    forward: inputs ids, and mask (batch, length) bool. Outputs logits and representation, without a gradient.

    of: the differentiated score, as in `pct.models.heads.Head.score`. max_tokens: the longest text.
    Raises ValueError for a model without a graph.
    """
    family = _family(model, max_tokens)
    g = Graph()
    ids, mask = g.input("ids", INT64, ["batch", "length"]), g.input("mask", BOOL, ["batch", "length"])
    forward = family(g, ids, mask, None)
    g.output(forward.logits, "logits", FLOAT, ["batch", model.dense.out_features])
    g.output(forward.representation, "representation", FLOAT, ["batch", model.dense.in_features])
    return Graphs(_with_gradient(model, family, of, PLAIN, plain=True), g.model())


def build_saliency_graph(model: TextModel, name: str, of: str = "log_odds", max_tokens: int = 64) -> onnx.ModelProto:
    """Builds the graph of a transformer with a modified gradient.

    Args:
        model: a model that the saliency's `check_model` accepts.
        name: frozen_grad_x_input or gim.
        of: see `build_graphs`.
        max_tokens: see `build_graphs`.

    Returns:
        A graph from ids, words and classes to logits (batch, classes) and saliency_<name> (batch, length).

    Raises:
        ValueError: the model cannot be traced.
    """
    if not isinstance(model, Transformer | Wrapped):
        raise ValueError(f"there is no ONNX graph of {name} for a {type(model).__name__}: it is for transformers")
    return _with_gradient(model, TransformerGraph(model, max_tokens, name), of, [name], plain=False)


def _family(model: TextModel, max_tokens: int) -> Family:
    if isinstance(model, TextCNN):
        return TextCNNGraph(model)
    if isinstance(model, LSTM):
        return LSTMGraph(model)
    if isinstance(model, Transformer | Wrapped):
        return TransformerGraph(model, max_tokens)
    raise ValueError(f"there is no ONNX graph for a {type(model).__name__}; export textcnn, lstm or a transformer")


def _with_gradient(
    model: TextModel, family: Family, of: str, saliencies: Sequence[str], plain: bool
) -> onnx.ModelProto:
    """plain: with the input scale and the output representation."""
    g = Graph()
    ids, words = g.input("ids", INT64, ["batch", "length"]), g.input("words", INT64, ["batch", "length"])
    chosen = g.input("classes", INT64, ["batch"])
    scale = Scale(g.input("scale", FLOAT, [], np.float32(1)), g("Greater", words, g.constant(-1))) if plain else None
    forward = family(g, ids, g("Greater", words, g.constant(-2)), scale)
    classes = model.dense.out_features
    g.output(forward.logits, "logits", FLOAT, ["batch", classes])
    if plain:
        g.output(forward.representation, "representation", FLOAT, ["batch", model.dense.in_features])
    # the chosen class, or the most probable one for -1
    given = g("Greater", chosen, g.constant(-1))
    explained = g("Where", given, chosen, g("ArgMax", forward.logits, axis=1, keepdims=0))
    gradient = forward.backward(_score_gradient(g, forward.logits, explained, classes, of, model.task_kind))
    for name in saliencies:
        scores = _word_saliency(g, gradient, forward.embeddings, words, name)
        g.output(scores, f"saliency_{name}", FLOAT, ["batch", "length"])
    return g.model()


def _score_gradient(g: Graph, logits: str, explained: str, classes: int, of: str, kind: str) -> str:
    """The gradient of `pct.models.heads.Head.score` at the logits, (batch, classes). kind: that of the head."""
    hot = g("Equal", g("Unsqueeze", explained, g.constant([1])), g.constant(list(range(classes))))
    one = g("Cast", hot, to=FLOAT)
    if of == "logit" or kind == "value" or (of == "log_odds" and kind == "sigmoid"):
        result = one
    elif of == "probability" and kind == "sigmoid":
        probabilities = g("Sigmoid", logits)
        result = g("Mul", one, g("Mul", probabilities, g("Sub", g.constant(1, np.float32), probabilities)))
    elif of == "log_odds":
        others = g("Where", hot, g.constant(-np.inf, np.float32), logits)
        result = g("Sub", one, g("Softmax", others, axis=1))
    elif of == "probability":
        probabilities = g("Softmax", logits, axis=1)
        own = g("ReduceSum", g("Mul", probabilities, one), g.constant([1]), keepdims=1)
        result = g("Mul", own, g("Sub", one, probabilities))
    else:
        raise ValueError(f"saliency_of must be log_odds, probability or logit, got {of!r}")
    return result


def _word_saliency(g: Graph, gradient: str, embeddings: str, words: str, kind: str) -> str:
    terms = gradient if kind in NORMS else g("Mul", gradient, embeddings)
    tokens = g(NORMS.get(kind, "ReduceSum"), terms, g.constant([2]), keepdims=0)
    zero = g.constant(0, np.float32)
    own = g("Where", g("Greater", words, g.constant(-1)), tokens, zero)
    zeros = g("Expand", zero, g("Shape", words))
    index = g("Max", words, g.constant(0))
    result = g("ScatterElements", zeros, index, own, axis=1, reduction="add")
    return g("Sqrt", result) if kind == "l2" else result
