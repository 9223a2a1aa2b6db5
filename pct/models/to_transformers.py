"""Converts a model to a classifier of the transformers library with equal logits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pct.models.base import TextModel, without_dropout
from pct.models.checks import PROBE, close
from pct.models.encoder import Transformer
from pct.models.outputs import PROBLEM_TYPES, SIGMOID_KIND, TwoClasses, output_names
from pct.models.structural_copy import structural_copy
from pct.models.wrapped import Wrapped

# tanh(x) = x up to a relative error of 2^-29 / 3 for |x| < 2^-14.5; scaling by a power of two is exact
_SCALE = 2.0**-14
# ReLU and GELU are the identity for large values; the output of a layer norm is smaller than this
_SHIFT = 32.0


def to_transformers(model: TextModel, classes: Sequence[str]) -> Any:
    """An `AutoModelForSequenceClassification` that gives the model's logits.

    A wrapped classifier is one already. The head of an encoder that was trained here reads the first state. Most
    architectures have a dense layer and an activation (tanh, ReLU, GELU) before the last layer. That dense layer is set
    to scale or shift the state into the range where the activation is the identity, and the last layer reverses it.

    Raises:
        ValueError: textcnn or lstm, or an architecture whose head cannot pass the state unchanged.
    """
    labels: dict[str, Any] = {**output_names(classes), "problem_type": PROBLEM_TYPES[model.task_kind]}
    if isinstance(model, Wrapped):
        classifier: Any = structural_copy(model.model)
        if isinstance(model.dense, TwoClasses):
            # transformers takes the sigmoid of a single score, and this problem type states it
            labels = {**output_names(classes[1:]), "problem_type": PROBLEM_TYPES[SIGMOID_KIND]}
        classifier.config.update(labels)
        return classifier
    if not isinstance(model, Transformer):
        raise ValueError(
            f"a {type(model).__name__} is no model of the transformers library: export it as ONNX, or train an encoder"
        )
    if model.pooling != "first" or model.normalize:
        raise ValueError(
            f"transformers has no classifier that reads the {model.pooling} of the states"
            f"{', normalized,' if model.normalize else ''} as {model.name} does: export it as ONNX"
        )
    for write in (_pass_scaled, _pass_shifted):
        classifier = _with_head(model, labels, write)
        if classifier is not None and _equal(model, classifier):
            return classifier
    raise ValueError(
        f"the classification head of {type(model.encoder).__name__} cannot pass the first state unchanged, so the "
        "model cannot be saved for transformers; export it as ONNX"
    )


def _with_head(model: Transformer, labels: dict[str, Any], write: Callable[..., None]) -> Any:
    """The architecture's classifier on a copy of the encoder; None if its head has another form."""
    from transformers import AutoModelForSequenceClassification

    encoder: Any = model.encoder
    config = copy.deepcopy(encoder.config)
    config.update(labels | {"num_labels": model.classes})
    try:
        classifier: Any = AutoModelForSequenceClassification.from_config(config)
    except ValueError:
        return None
    classifier.base_model.load_state_dict(encoder.state_dict(), strict=False)
    classifier = classifier.to(model.device, torch.float32).eval()
    width = model.dense.in_features
    head = [m for m in _outside(classifier, encoder) if isinstance(m, nn.Linear)]
    with torch.no_grad():
        if len(head) == 1:
            _copy(head[0], model.dense.weight, model.dense.bias)
        elif len(head) == 2 and head[0].weight.shape == (width, width):
            write(head[0], head[1], model.dense)
        else:
            return None
    return classifier


def _outside(classifier: nn.Module, encoder: nn.Module) -> list[nn.Module]:
    """The modules of a classifier that its bare encoder does not have."""
    base: Any = classifier
    prefix = f"{base.base_model_prefix}."
    have = {name for name, _ in encoder.named_modules()}
    return [m for name, m in classifier.named_modules() if name.removeprefix(prefix) not in have]


def _pass_scaled(inner: nn.Linear, outer: nn.Linear, dense: nn.Linear) -> None:
    _copy(inner, _SCALE * torch.eye(inner.in_features), torch.zeros(inner.out_features))
    _copy(outer, dense.weight / _SCALE, dense.bias)


def _pass_shifted(inner: nn.Linear, outer: nn.Linear, dense: nn.Linear) -> None:
    _copy(inner, torch.eye(inner.in_features), torch.full((inner.out_features,), _SHIFT))
    _copy(outer, dense.weight, dense.bias - _SHIFT * dense.weight.sum(1))


def _copy(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.copy_(bias)


def _equal(model: Transformer, classifier: Any) -> bool:
    ids = torch.arange(4, 4 + PROBE, device=model.device)[None]
    with torch.no_grad(), without_dropout(model), without_dropout(classifier):
        return close(model(ids, torch.ones_like(ids, dtype=torch.bool)).logits, classifier(input_ids=ids).logits)
