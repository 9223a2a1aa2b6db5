"""Classifiers on sentence embeddings: SetFit models, and a sentence-transformers body with a logistic regression."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pct.models.checks import PROBES, ROUNDING, check_finite, check_vocabulary, positions
from pct.models.encoder import Transformer
from pct.models.outputs import SIGMOID_KIND, SOFTMAX_KIND
from pct.models.structural_copy import structural_copy

_POOLINGS = {"mean": "mean", "cls": "first", "lasttoken": "last"}
_ALTERNATIVE = "give pct.predictor_from a function that calls its predict_proba"


class SentenceClassifier(NamedTuple):
    """The parts of a classifier on sentence embeddings. several: whether a text may have several labels."""

    model: Transformer
    tokenizer: Any
    max_length: int
    classes: list[str]
    several: bool


def has_sentence_body(model: Any) -> bool:
    """Whether it is a SetFit model (a body and a head)."""
    return hasattr(model, "model_body") and hasattr(model, "model_head")


def sentence_classifier(model: Any, head: Any, name: str) -> SentenceClassifier:
    """Body and head as one differentiable model, whose probabilities are those of the head's `predict_proba`.

    Args:
        model: a `SetFitModel`, or a `SentenceTransformer` with a `head`. It is not changed; weights are shared.
        head: a fitted `LogisticRegression` of scikit-learn or a `SetFitHead`; None takes that of the SetFit model.
        name: for messages.

    Raises:
        ValueError: a body with modules other than an encoder, its pooling and a normalisation, a head of another form,
            probabilities that differ from the head's own, or a class for which the SetFit model has no label.
    """
    body, labels, normalized = model, None, False
    if has_sentence_body(model):
        body, labels = model.model_body, getattr(model, "labels", None)
        head, normalized = head or model.model_head, bool(getattr(model, "normalize_embeddings", False))
    encoder, tokenizer, pooling, normalizes = _parts_of_body(body, name)
    weight, bias, classes, several = _linear(head, name)
    names = _names(classes, labels, name)
    network = Transformer(
        structural_copy(encoder), len(classes), 0.0, name, pooling, normalize=normalizes or normalized
    )  # fmt: skip
    with torch.no_grad():
        network.dense.weight.copy_(weight)
        network.dense.bias.copy_(bias)
    network.to(next(encoder.parameters()).device)
    network.task_kind = SIGMOID_KIND if several else SOFTMAX_KIND
    check_vocabulary(tokenizer, network.encoder, name)
    check_finite(network, name)
    limits = (body.max_seq_length, tokenizer.model_max_length, positions(network.encoder))
    length = int(min(limit for limit in limits if limit))
    _check_probabilities(network, tokenizer, length, body, head, normalized, name)
    return SentenceClassifier(network, tokenizer, length, names, several)


def _parts_of_body(body: Any, name: str) -> tuple[Any, Any, str, bool]:
    """The encoder, its tokenizer, its pooling, and whether the embedding is normalised."""
    kinds = [type(module).__name__ for module in body]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(
            f"the body of {name} is {', '.join(kinds)}, not an encoder, its pooling and at most a normalisation: "
            + _ALTERNATIVE
        )
    mode = body[1].pooling_mode
    if mode not in _POOLINGS:
        raise ValueError(f"the body of {name} pools by {mode!r}, not by {', '.join(_POOLINGS)}: {_ALTERNATIVE}")
    if body.default_prompt_name:
        raise ValueError(
            f"the body of {name} puts the prompt {body.default_prompt_name!r} before texts: {_ALTERNATIVE}"
        )
    return body[0].auto_model, body.tokenizer, _POOLINGS[mode], len(kinds) == 3


def _linear(head: Any, name: str) -> tuple[Tensor, Tensor, list[Any], bool]:
    """A head as one linear layer: weight (classes, width), bias (classes,), the names of the classes, and whether a
    text may have several labels.

    A head with one output z has the logits (0, z): softmax gives sigmoid(z). One of several labels, a logistic
    regression for each label (one versus the rest, or multi-output), has the logit of each.
    """
    if regressions := _regressions(head):
        weight, bias = (
            torch.tensor(np.concatenate([getattr(x, k) for x in regressions])) for k in ("coef_", "intercept_")
        )
        return weight.float(), bias.float(), list(range(len(regressions))), True
    several = bool(getattr(head, "multitarget", False))
    if hasattr(head, "coef_") and hasattr(head, "predict_proba") and getattr(head, "multi_class", "auto") != "ovr":
        weight, bias = torch.tensor(head.coef_), torch.tensor(head.intercept_)
        classes = list(head.classes_)
    elif isinstance(getattr(head, "linear", None), torch.nn.Linear):
        weight, bias = head.linear.weight.detach(), head.linear.bias
        bias = torch.zeros(len(weight)) if bias is None else bias.detach()
        weight, bias = (x / head.temperature for x in (weight, bias))
        classes = list(range(len(weight) if several else max(len(weight), 2)))
    else:
        raise ValueError(
            f"the head of {name} ({type(head).__name__}) is neither a fitted logistic regression of scikit-learn, one "
            f"for each label, nor a SetFitHead: {_ALTERNATIVE}"
        )
    if len(weight) == 1 and not several:
        weight, bias = (torch.cat([torch.zeros_like(x), x]) for x in (weight, bias))
    return weight.float(), bias.float(), classes, several


def _names(classes: list[Any], labels: list[str] | None, name: str) -> list[str]:
    """The names of a head's classes. As in SetFit, a class that is a number is an index into `labels`, if there are
    any; a string is its own name."""
    if not labels:
        return [str(x) for x in classes]
    missing = [x for x in classes if not isinstance(x, str) and int(x) >= len(labels)]
    if missing:
        raise ValueError(
            f"{name} has the labels {', '.join(labels)}, and its head the class {missing[0]}: correct its labels"
        )
    return [str(x if isinstance(x, str) else labels[int(x)]) for x in classes]


def _regressions(head: Any) -> list[Any]:
    """The logistic regressions of the labels, 0 and 1, of scikit-learn's OneVsRestClassifier and MultiOutputClassifier;
    none for another head, such as one versus the rest of one class, whose probabilities are scaled to sum to one."""
    own = getattr(head, "estimators_", [])
    per_label = getattr(head, "multilabel_", type(head).__name__ == "MultiOutputClassifier")
    regressions = [x for x in own if hasattr(x, "coef_") and hasattr(x, "predict_proba") and len(x.coef_) == 1]
    return regressions if per_label and len(regressions) == len(own) else []


def _check_probabilities(
    network: Transformer, tokenizer: Any, length: int, body: Any, head: Any, normalized: bool, name: str
) -> None:
    embedded = body.encode(
        list(PROBES), normalize_embeddings=normalized, convert_to_tensor=True, show_progress_bar=False
    )
    inputs = tokenizer(list(PROBES), padding=True, truncation=True, max_length=length, return_tensors="pt")
    device = network.device
    with torch.no_grad():
        own = head.predict_proba(embedded.clone() if isinstance(head, torch.nn.Module) else embedded.cpu().numpy())
        if isinstance(own, list):  # multi-output: (texts, 2) of each label
            own = np.stack([one[:, 1] for one in own], 1)
        own = np.asarray(own.cpu() if isinstance(own, Tensor) else own)
        logits = network.eval()(inputs["input_ids"].to(device), inputs["attention_mask"].bool().to(device)).logits
    if np.abs(network.head.probabilities(logits).cpu().numpy() - own).max() > ROUNDING:
        raise ValueError(f"{name} gives other probabilities as one model than by its own predict_proba: {_ALTERNATIVE}")
