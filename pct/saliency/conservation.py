"""Checks, on a probe, whether the saliencies of transformers can be computed for a model."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pct.models.base import TextModel, without_dropout
from pct.models.checks import probe_ids
from pct.models.encoder import Transformer
from pct.models.wrapped import Wrapped
from pct.saliency.modes import FrozenModel, GimModel, RecordedAttention

PROBE = 6  # tokens
TOLERANCE = 1e-3  # of the largest part of the sum: rounding stays far below it
_lock = threading.Lock()
_results: weakref.WeakKeyDictionary[nn.Module, dict[str, str]] = weakref.WeakKeyDictionary()


def check_transformer(model: TextModel, name: str) -> None:
    """Raises ValueError for a model that is not of the transformers library."""
    if not isinstance(model, Transformer | Wrapped):
        raise ValueError(
            f"saliency {name} needs an encoder or decoder of the transformers library; for a {type(model).__name__} "
            "use grad_x_input"
        )


def check_conserved(model: TextModel, name: str) -> None:
    """Raises ValueError where a logit is not the sum of the relevances of tokens, biases, positions and types."""
    if problem := _once(model, "frozen", _conservation_problem):
        raise _refusal(name, model, problem)


def check_attention(model: TextModel, name: str) -> None:
    """Raises ValueError where the attention does not go through `scaled_dot_product_attention`."""
    if problem := _once(model, "gim", _attention_problem):
        raise _refusal(name, model, problem)


def check_recorded(model: TextModel, name: str) -> None:
    """Raises ValueError where a layer's attention weights are not a square matrix of a text's tokens."""
    if model.text_windows is not None:
        raise _refusal(name, model, "a text read in windows has several matrices of attention")
    if problem := _once(model, "attention", _recording_problem):
        raise _refusal(name, model, problem)


def conservation_gap(model: TextModel) -> float:
    """How far the relevances are from the logits under `FrozenModel`, relative to the largest part of the sum.

    The terms of the hidden states are token embeddings, biases and rows of other embedding tables (positions, types).
    With every nonlinear part held constant each logit is linear in these terms, so it equals the sum of each term times
    its gradient.
    """
    # the copy shares all weights but those of the added terms, which become leaves
    twin = copy.deepcopy(model, {id(p): p for p in [*model.parameters(), *model.buffers()]})
    added: list[nn.Parameter] = []
    for module in twin.modules():
        for part, weight in list(module.named_parameters(recurse=False)):
            if part.endswith("bias") or isinstance(module, nn.Embedding):
                leaf = nn.Parameter(weight.detach())
                module.register_parameter(part, leaf)
                added.append(leaf)
    ids = _probe(model)
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.enable_grad(), without_dropout(twin):
        embeddings = twin.embed(ids).detach().requires_grad_(True)
        with FrozenModel():
            logits = twin.encode(embeddings, mask).logits[0]
        worst = 0.0
        for logit in logits[:2]:
            leaves = [embeddings, *added]
            gradients = torch.autograd.grad(logit, leaves, retain_graph=True, allow_unused=True)
            parts = [float((g * x.detach()).sum()) for g, x in zip(gradients, leaves, strict=True) if g is not None]
            value = float(logit.detach())
            scale = max(map(abs, [value, *parts]))
            worst = max(worst, abs(sum(parts) - value) / max(scale, 1e-12))
    return worst


def _conservation_problem(model: TextModel) -> str:
    gap = conservation_gap(model)
    if gap <= TOLERANCE:
        return ""
    return f"its logits are not the sum of the words' relevances ({gap:.1%} of the largest part is missing)"


def _attention_problem(model: TextModel) -> str:
    ids = _probe(model)
    with torch.no_grad(), without_dropout(model), GimModel() as mode:
        model.encode(model.embed(ids), torch.ones_like(ids, dtype=torch.bool))
    return "" if mode.attention_calls else "its attention is not torch's scaled_dot_product_attention"


def _recording_problem(model: TextModel) -> str:
    ids = _probe(model)
    with torch.no_grad(), without_dropout(model), RecordedAttention() as mode:
        model.encode(model.embed(ids), torch.ones_like(ids, dtype=torch.bool))
    if getattr(model, "padding", "right") == "left":
        return "its texts are padded on the left"
    square = all(weights.shape[-2:] == (PROBE, PROBE) for weights in mode.weights)
    if not (mode.weights and square) or getattr(model, "_has_decoder", False):
        return "a layer has no attention from each token to each token"
    return ""


def _once(model: TextModel, key: str, find: Callable[[TextModel], str]) -> str:
    """The result of `find` for a model, computed once."""
    with _lock:
        results = _results.setdefault(model, {})
        if key not in results:
            try:
                results[key] = find(model)
            except (RuntimeError, NotImplementedError, TypeError) as problem:
                results[key] = f"it cannot be differentiated ({' '.join(str(problem).split())[:200]})"
        return results[key]


def _probe(model: TextModel) -> Tensor:
    """(1, PROBE) token ids that every model has."""
    return probe_ids(_inner(model), PROBE)[None]


def _refusal(name: str, model: TextModel, problem: str) -> ValueError:
    kind = type(_inner(model)).__name__
    return ValueError(f"saliency {name} cannot be computed for {kind}: {problem}; use occlusion or l2")


def _inner(model: TextModel) -> Any:
    """The model of the transformers library."""
    return model.encoder if isinstance(model, Transformer) else model.model
