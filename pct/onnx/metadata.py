"""The documentation inside a graph, so that it can be used without this package: see docs/reference/onnx.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

GRAPHS = {
    "forward.onnx": "A text classifier. Its probabilities are softmax(logits), or sigmoid(logits) where the metadata's "
    "probabilities say so; with value, the one logit is the number that the model gives.",
    "model.onnx": "A text classifier with the gradient of its decision at each word inside.",
    "frozen.onnx": "A text classifier with the gradient of its decision at each word inside, attention weights, "
    "deviations of norms and ratios of activations being held constant.",
    "gim.onnx": "A text classifier with the gradient of its decision at each word inside, modified where attention "
    "hides what a word does (arXiv 2505.17630).",
}
VALUES = {
    "ids": "(batch, length) int64: a token's place in the vocabulary, at padding any that there is. With "
    "token types (1 in the second text of a pair, else 0): plus 16777216 times the type.",
    "mask": "(batch, length) bool: true at tokens, false at padding.",
    "words": "(batch, length) int64: the word, from 0, that a token belongs to; -1 at special tokens, -2 at padding.",
    "classes": "(batch,) int64: the class that is explained; -1 for the most probable one.",
    "scale": "() float32: a factor at the embeddings of words, for integrated gradients; 1 where it is left out.",
    "logits": "(batch, classes) float32, in the order of the metadata's classes.",
    "representation": "(batch, width) float32: what the last layer reads.",
    "saliency_l2": "(batch, length) float32: the 2-norm of the gradient at each word, 0 beyond a text's last word.",
    "saliency_l1": "(batch, length) float32: the 1-norm of the gradient at each word, 0 beyond a text's last word.",
    "saliency_grad_x_input": "(batch, length) float32: the gradient times the embedding at each word, above 0 for "
    "evidence for the class, below 0 for evidence against it, 0 beyond a text's last word.",
    "saliency_frozen_grad_x_input": "(batch, length) float32: the gradient with parts held constant times the "
    "embedding at each word, signed as saliency_grad_x_input, 0 beyond a text's last word.",
    "saliency_gim": "(batch, length) float32: the modified gradient times the embedding at each word, signed as "
    "saliency_grad_x_input, 0 beyond a text's last word.",
}


def describe(models: dict[str, onnx.ModelProto], about: dict[str, Any]) -> None:
    """Adds documentation of the graph, its inputs and outputs, and metadata to graphs (file name -> model).

    about: the contents of classifier.json. Metadata values are strings.
    """
    from onnx import helper

    properties = {
        "format": str(about["format"]), "classes": json.dumps(about["classes"]), "tokenizer": about["words"],
        "max_length": str(about["settings"]["max_length"]), "saliency": about["settings"]["saliency"],
        "saliency_of": about["settings"]["saliency_of"], "probabilities": about["probabilities"],
    }  # fmt: skip
    for name, model in models.items():
        model.doc_string = GRAPHS[name]
        helper.set_model_props(model, properties)
        for value in (*model.graph.input, *model.graph.output):
            value.doc_string = VALUES[value.name]
