"""A model of this project as a classifier of the transformers library, with equal logits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pct.models.base import TextModel, without_dropout
from pct.models.checks import PROBE, close
from pct.models.encoder import Transformer
from pct.models.structural_copy import structural_copy
from pct.models.wrapped import Wrapped

# tanh(x) is x to a relative 2^-29 / 3 for |x| < 2^-14.5, and a power of two costs no digit
_SMALL = 2.0**-14
# ReLU and GELU are the identity far above zero; a state has left a layer norm, and is smaller than this
_FAR = 32.0


def to_transformers(model: TextModel, classes: Sequence[str]) -> Any:
    """An `AutoModelForSequenceClassification` that gives the model's logits.

    A wrapped classifier is one already. An encoder that was trained here is read at its first state, where most
    architectures put a dense layer and a bend (tanh, ReLU, GELU) between that state and the classes: the layer is
    written so that it lets the state pass where the bend is straight, and the last layer undoes its scale or shift.

    Raises:
        ValueError: textcnn or lstm; or an architecture whose head lets nothing pass unchanged.
    """
    names = dict(enumerate(classes))
    labels = {"id2label": names, "label2id": {v: k for k, v in names.items()}}
    if isinstance(model, Wrapped):
        made: Any = structural_copy(model.model)
        made.config.update(labels | {"problem_type": "single_label_classification"})
        return made
    if not isinstance(model, Transformer):
        raise ValueError(
            f"a {type(model).__name__} is no model of the transformers library: export it as ONNX, or train an encoder"
        )
    for write in (_pass_small, _pass_far):
        made = _with_head(model, labels, write)
        if made is not None and _equal(model, made):
            return made
    raise ValueError(
        f"the head of {type(model.encoder).__name__}'s own classifier does not let the first state pass unchanged: it "
        "cannot be saved as one; export it as ONNX"
    )


def _with_head(model: Transformer, labels: dict[str, Any], write: Callable[..., None]) -> Any:
    """The architecture's classifier on a copy of the encoder; None where its head has another form."""
    from transformers import AutoModelForSequenceClassification

    encoder: Any = model.encoder
    config = copy.deepcopy(encoder.config)
    config.update(labels | {"problem_type": "single_label_classification", "num_labels": model.classes})
    try:
        made: Any = AutoModelForSequenceClassification.from_config(config)
    except ValueError:
        return None
    made.base_model.load_state_dict(encoder.state_dict(), strict=False)
    made = made.to(model.device, torch.float32).eval()
    width = model.dense.in_features
    head = [m for m in _outside(made, encoder) if isinstance(m, nn.Linear)]
    with torch.no_grad():
        if len(head) == 1:
            _copy(head[0], model.dense.weight, model.dense.bias)
        elif len(head) == 2 and head[0].weight.shape == (width, width):
            write(head[0], head[1], model.dense)
        else:
            return None
    return made


def _outside(made: nn.Module, encoder: nn.Module) -> list[nn.Module]:
    """The modules of a classifier that its bare encoder does not have."""
    base: Any = made
    prefix = f"{base.base_model_prefix}."
    have = {name for name, _ in encoder.named_modules()}
    return [m for name, m in made.named_modules() if name.removeprefix(prefix) not in have]


def _pass_small(inner: nn.Linear, outer: nn.Linear, dense: nn.Linear) -> None:
    _copy(inner, _SMALL * torch.eye(inner.in_features), torch.zeros(inner.out_features))
    _copy(outer, dense.weight / _SMALL, dense.bias)


def _pass_far(inner: nn.Linear, outer: nn.Linear, dense: nn.Linear) -> None:
    _copy(inner, torch.eye(inner.in_features), torch.full((inner.out_features,), _FAR))
    _copy(outer, dense.weight, dense.bias - _FAR * dense.weight.sum(1))


def _copy(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.copy_(bias)


def _equal(model: Transformer, made: Any) -> bool:
    ids = torch.arange(4, 4 + PROBE, device=model.device)[None]
    with torch.no_grad(), without_dropout(model), without_dropout(made):
        return close(model(ids, torch.ones_like(ids, dtype=torch.bool)).logits, made(input_ids=ids).logits)
