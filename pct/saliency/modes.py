"""Torch function modes that hold parts of a transformer constant in the backward pass.

A mode intercepts every torch function that the calling thread calls. No module is changed, and other threads that run
the same model are not affected. A mode changes only the gradient: `substitute` returns the value of the true function
with the gradient of another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)
ATTENTION = F.scaled_dot_product_attention
# square roots occur only in norms, and logistic functions only as gates
ROOTS = (torch.rsqrt, Tensor.rsqrt, torch.sqrt, Tensor.sqrt)
POWERS = (torch.pow, Tensor.pow, Tensor.__pow__)
GATES = (torch.sigmoid, Tensor.sigmoid, F.sigmoid)
ACTIVATIONS = (
    F.gelu, F.silu, F.mish, F.elu, F.selu, F.celu, F.leaky_relu, F.relu, F.relu6, torch.relu, Tensor.relu, F.softplus,
    torch.tanh, Tensor.tanh, F.tanh,
)  # fmt: skip
PRODUCTS = (torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, torch.multiply)
SUMS = (torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__)
LAYER_NORMS, RMS_NORMS = (F.layer_norm, torch.layer_norm), (F.rms_norm, torch.rms_norm)
NEAR_ZERO = 1e-6  # replaces x in an activation's ratio f(x) / x where |x| is smaller
TAG = "_pct_activation"


def substitute(value: Tensor, surrogate: Tensor) -> Tensor:
    """The value of one tensor with the gradient of another of its shape."""
    return value.detach() + (surrogate - surrogate.detach())


class FrozenNorms(TorchFunctionMode):
    """Holds the deviation of each layer norm and RMS norm constant, but not the mean."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Torch calls this in place of each of its functions."""
        kwargs = kwargs or {}
        if function in ROOTS:
            return function(*args, **kwargs).detach()
        if function in POWERS and len(args) > 1 and not isinstance(args[1], Tensor) and abs(args[1]) == 0.5:
            return function(*args, **kwargs).detach()
        if function in LAYER_NORMS:
            return _frozen_norm(function(*args, **kwargs), True, *args, **kwargs)
        if function in RMS_NORMS:
            return _frozen_norm(function(*args, **kwargs), False, *args, **kwargs)
        return self.modified(function, args, kwargs)

    def modified(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls any other function. Subclasses override this."""
        return function(*args, **kwargs)


class FrozenModel(FrozenNorms):
    """Also holds attention weights, gates and the ratio f(x) / x of each activation f constant.

    The model is then linear in the embeddings. Of the two factors of a gated layer, f(g) u, the activated one is held
    constant. 1 + tanh, which occurs in one form of GELU, is a gate: it equals 2 sigmoid(2x).
    """

    def modified(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See `FrozenNorms.modified`."""
        if function in SOFTMAX or function in GATES:
            return function(*args, **kwargs).detach()
        if function is ATTENTION:
            query, key, *rest = args
            return function(query.detach(), key.detach(), *rest, **kwargs)
        if function in ACTIVATIONS:
            return _activated(function, args, kwargs)
        if function in PRODUCTS and len(args) == 2 and all(isinstance(x, Tensor) for x in args):
            return function(*_gated(*args), **kwargs)
        if function in SUMS and len(args) == 2:
            args = tuple(x.detach() if _is_tanh(x) and not isinstance(y, Tensor) else x
                         for x, y in (args, args[::-1]))  # fmt: skip
        return function(*args, **kwargs)


class GimModel(FrozenNorms):
    """Also takes the gradient of each softmax at temperature 2, and multiplies the gradients at queries and keys by 1/4
    and those at values by 1/2 (Edin et al. 2025, arXiv 2505.17630)."""

    temperature, query_scale, key_scale, value_scale = 2.0, 0.25, 0.25, 0.5

    def __init__(self) -> None:
        super().__init__()
        self.attention_calls = 0

    def modified(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See `FrozenNorms.modified`."""
        if function in SOFTMAX:
            return self._soften(args[0], lambda scores: function(scores, *args[1:], **kwargs))
        if function is ATTENTION:
            self.attention_calls += 1
            scales = (self.query_scale, self.key_scale, self.value_scale)
            query, key, value = (substitute(x, factor * x) for x, factor in zip(args[:3], scales, strict=True))
            named = kwargs | {"softmax": lambda scores: self._soften(scores, lambda x: x.softmax(-1))}
            weights, value = attention_weights(query, key, value, *args[3:], **named)
            return weights @ value
        return function(*args, **kwargs)

    def _soften(self, scores: Tensor, softmax: Callable[[Tensor], Tensor]) -> Tensor:
        """A softmax with the gradient p (g - sum of p g), p at the temperature."""
        return substitute(softmax(scores), self.temperature * softmax(scores / self.temperature))


class RecordedAttention(TorchFunctionMode):
    """Records the attention weights of a forward pass.

    Attributes:
        weights: (batch, heads, queries, keys) of each layer, in the graph, the first layer first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Torch calls this in place of each of its functions."""
        kwargs = kwargs or {}
        if function is ATTENTION:
            weights, value = attention_weights(*args, **kwargs)
            self.weights.append(weights)
            return weights @ value
        result = function(*args, **kwargs)
        if function in SOFTMAX and result.ndim == 4:
            self.weights.append(result)
        return result


def attention_weights(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
    softmax: Callable[[Tensor], Tensor] = lambda scores: scores.softmax(-1),
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The two factors of `F.scaled_dot_product_attention`, without its dropout: weights and values."""
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(groups, -3) for x in (key, value))
    scores = query @ key.transpose(-1, -2) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(ahead, float("-inf"))
    if attn_mask is not None:
        boolean = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, float("-inf")) if boolean else scores + attn_mask
    return softmax(scores), value


def _frozen_norm(value: Tensor, centre: bool, x: Tensor, shape: Any, weight: Tensor | None = None, *more: Any,
                 **named: Any) -> Tensor:  # fmt: skip
    """A norm with constant deviation. The arguments are those of `F.layer_norm` and `F.rms_norm`."""
    weight = named.get("weight", weight)
    bias = named.get("bias", more[0] if centre and more else None)
    eps = named.get("eps", more[-1] if len(more) > (1 if centre else 0) else None)
    axes = tuple(range(-len(tuple(shape)), 0))
    inner = x - x.mean(axes, keepdim=True) if centre else x
    square = inner.detach().square().mean(axes, keepdim=True)
    normed = inner * (square + (torch.finfo(x.dtype).eps if eps is None else eps)).rsqrt()
    normed = normed if weight is None else normed * weight
    return substitute(value, normed if bias is None else normed + bias)


def _activated(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """f(x) with constant ratio f(x) / x, marked as an activation."""
    x, *rest = args
    named = kwargs | ({"inplace": False} if "inplace" in kwargs else {})
    with torch.no_grad():
        away = torch.where(x.abs() < NEAR_ZERO, torch.full_like(x, NEAR_ZERO), x)
        ratio = function(away, *rest, **named) / away
    value: Tensor = substitute(function(x.detach(), *rest, **named), x * ratio)
    setattr(value, TAG, function)
    return value


def _gated(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of a product. Of two that depend on the text, the activated one is held constant."""
    marks = [hasattr(x, TAG) for x in (first, second)]
    if sum(marks) == 1 and first.requires_grad and second.requires_grad and first.shape == second.shape:
        return (first.detach(), second) if marks[0] else (first, second.detach())
    return first, second


def _is_tanh(x: Any) -> bool:
    return getattr(x, TAG, None) in (torch.tanh, Tensor.tanh, F.tanh)
