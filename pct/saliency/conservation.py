"""Checks, on a probe, whether the saliencies of transformers can be computed for a model."""

from __future__ import annotations

import copy
import threading
import weakref
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


def check_probe(model: TextModel, name: str, probe: str) -> None:
    """Raises ValueError, with the reason, where a saliency of transformers cannot be computed for a model.

    Args:
        model: the model; the result of a probe is kept for it.
        name: the saliency.
        probe: conservation, whether a logit is the sum of the relevances of tokens, biases, positions and types;
            attention, whether that goes through `scaled_dot_product_attention`; or recording, whether each layer's
            attention weights are a square matrix of a text's tokens.
    """
    if not isinstance(model, Transformer | Wrapped):
        raise ValueError(
            f"saliency {name} needs an encoder or decoder of the transformers library; for a {type(model).__name__} "
            "use grad_x_input"
        )
    in_windows = probe == "recording" and model.text_windows is not None
    problem = "a text read in windows has several matrices of attention" if in_windows else _once(model, probe)
    if problem:
        kind = type(_inner(model)).__name__
        raise ValueError(f"saliency {name} cannot be computed for {kind}: {problem}; use occlusion or l2")


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


_PROBES = {"conservation": _conservation_problem, "attention": _attention_problem, "recording": _recording_problem}


def _once(model: TextModel, probe: str) -> str:
    """The problem that a probe finds in a model, or an empty string; computed once."""
    with _lock:
        results = _results.setdefault(model, {})
        if probe not in results:
            try:
                results[probe] = _PROBES[probe](model)
            except (RuntimeError, NotImplementedError, TypeError) as problem:
                results[probe] = f"it cannot be differentiated ({' '.join(str(problem).split())[:200]})"
        return results[probe]


def _probe(model: TextModel) -> Tensor:
    """(1, PROBE) token ids that every model has."""
    return probe_ids(_inner(model), PROBE)[None]


def _inner(model: TextModel) -> Any:
    """The model of the transformers library."""
    return model.encoder if isinstance(model, Transformer) else model.model
