"""From token ids to logits, representation and saliency: the part of the graphs that is the same for every model."""

from __future__ import annotations

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

KINDS = ("l2", "l1", "grad_x_input")


class Graphs(NamedTuple):
    """The two graphs of a model; weights of one name are one weight."""

    gradient: onnx.ModelProto
    forward: onnx.ModelProto


def build_graphs(model: TextModel, of: str = "log_odds", longest: int = 64) -> Graphs:
    """A model as graphs, with and without the way back.

    gradient: ids, words (batch, length) int64, the word map -1 at special tokens and -2 at padding; classes
    (batch,) int64, the class explained, -1 for the predicted one; scale () float32, a factor at the embeddings of
    words, 1 if left out. Gives logits (batch, classes), representation (batch, r's width) and saliency_l2, saliency_l1,
    saliency_grad_x_input (batch, length), a number a word, 0 beyond a text's last word.
    forward: ids, and mask (batch, length) bool. Gives logits and representation, without the cost of a gradient.

    of: what is differentiated, as in `pct.saliency.gradients.class_score`. longest: tokens of a text at most.
    Raises ValueError for a model that has no graph.
    """
    family = _family(model, longest)
    classes, width = model.dense.out_features, model.dense.in_features
    return Graphs(_with_gradient(family, classes, width, of), _forward_only(family, classes, width))


def build_saliency_graph(model: TextModel, name: str, of: str = "log_odds", longest: int = 64) -> onnx.ModelProto:
    """A transformer as a graph with a modified gradient.

    Args:
        model: one that the saliency's `check_model` lets pass.
        name: frozen_grad_x_input or gim.
        of: see `build_graphs`.
        longest: see `build_graphs`.

    Returns:
        A graph from ids, words and classes to logits (batch, classes) and saliency_<name> (batch, length).

    Raises:
        ValueError: the model cannot be traced so.
    """
    if not isinstance(model, Transformer | Wrapped):
        raise ValueError(f"there is no ONNX graph of {name} for a {type(model).__name__}: it is for transformers")
    g = Graph()
    ids, words, chosen = _inputs(g)
    inside = g("Greater", words, g.constant(-2))
    found = TransformerGraph(model, longest, name)(g, ids, inside, None)
    classes = model.dense.out_features
    g.output(found.logits, "logits", FLOAT, ["batch", classes])
    gradient = found.backward(_score_gradient(g, found.logits, _explained(g, chosen, found.logits), classes, of))
    tokens = _token_saliency(g, gradient, found.embeddings, "grad_x_input")
    g.output(_word_saliency(g, tokens, words, name), f"saliency_{name}", FLOAT, ["batch", "length"])
    return g.model()


def _family(model: TextModel, longest: int) -> Family:
    if isinstance(model, TextCNN):
        return TextCNNGraph(model)
    if isinstance(model, LSTM):
        return LSTMGraph(model)
    if isinstance(model, Transformer | Wrapped):
        return TransformerGraph(model, longest)
    raise ValueError(f"there is no ONNX graph for a {type(model).__name__}; export textcnn, lstm or a transformer")


def _forward_only(family: Family, classes: int, width: int) -> onnx.ModelProto:
    g = Graph()
    ids = g.input("ids", INT64, ["batch", "length"])
    mask = g.input("mask", BOOL, ["batch", "length"])
    found = family(g, ids, mask, None)
    g.output(found.logits, "logits", FLOAT, ["batch", classes])
    g.output(found.representation, "representation", FLOAT, ["batch", width])
    return g.model()


def _with_gradient(family: Family, classes: int, width: int, of: str) -> onnx.ModelProto:
    g = Graph()
    ids, words, chosen = _inputs(g)
    scale = Scale(g.input("scale", FLOAT, [], np.float32(1)), g("Greater", words, g.constant(-1)))
    found = family(g, ids, g("Greater", words, g.constant(-2)), scale)
    g.output(found.logits, "logits", FLOAT, ["batch", classes])
    g.output(found.representation, "representation", FLOAT, ["batch", width])
    gradient = found.backward(_score_gradient(g, found.logits, _explained(g, chosen, found.logits), classes, of))
    for kind in KINDS:
        tokens = _token_saliency(g, gradient, found.embeddings, kind)
        g.output(_word_saliency(g, tokens, words, kind), f"saliency_{kind}", FLOAT, ["batch", "length"])
    return g.model()


def _inputs(g: Graph) -> tuple[str, str, str]:
    """The inputs of a graph with a gradient: ids, words, classes."""
    ids = g.input("ids", INT64, ["batch", "length"])
    words = g.input("words", INT64, ["batch", "length"])
    return ids, words, g.input("classes", INT64, ["batch"])


def _explained(g: Graph, chosen: str, logits: str) -> str:
    """(batch,) the class explained: the one chosen, or the predicted one where that is -1."""
    given = g("Greater", chosen, g.constant(-1))
    return g("Where", given, chosen, g("ArgMax", logits, axis=1, keepdims=0))


def _score_gradient(g: Graph, logits: str, explained: str, classes: int, of: str) -> str:
    """The gradient of `pct.saliency.gradients.class_score` at the logits, (batch, classes)."""
    hot = g("Equal", g("Unsqueeze", explained, g.constant([1])), g.constant(list(range(classes))))
    one = g("Cast", hot, to=FLOAT)
    if of == "logit":
        made = one
    elif of == "log_odds":
        others = g("Where", hot, g.constant(-np.inf, np.float32), logits)
        made = g("Sub", one, g("Softmax", others, axis=1))
    elif of == "probability":
        all_of_them = g("Softmax", logits, axis=1)
        its_own = g("ReduceSum", g("Mul", all_of_them, one), g.constant([1]), keepdims=1)
        made = g("Mul", its_own, g("Sub", one, all_of_them))
    else:
        raise ValueError(f"saliency_of must be log_odds, probability or logit, got {of!r}")
    return made


def _token_saliency(g: Graph, gradient: str, embeddings: str, kind: str) -> str:
    last = g.constant([2])
    if kind == "l2":
        made = g("ReduceSumSquare", gradient, last, keepdims=0)
    elif kind == "l1":
        made = g("ReduceL1", gradient, last, keepdims=0)
    else:
        made = g("ReduceSum", g("Mul", gradient, embeddings), last, keepdims=0)
    return made


def _word_saliency(g: Graph, tokens: str, words: str, kind: str) -> str:
    zero = g.constant(0, np.float32)
    own = g("Where", g("Greater", words, g.constant(-1)), tokens, zero)
    nothing = g("Expand", zero, g("Shape", words))
    place = g("Max", words, g.constant(0))
    made = g("ScatterElements", nothing, place, own, axis=1, reduction="add")
    return g("Sqrt", made) if kind == "l2" else made
