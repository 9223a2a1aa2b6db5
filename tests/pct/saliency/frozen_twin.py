"""A BERT and a Llama written out in float64, one text at a time, whose nonlinear parts are recorded and then held.

The first pass records attention weights, deviations and activation ratios; each later pass uses the recorded ones. So
the later passes are a linear model, and finite differences of it are the frozen gradient.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Held:
    """Values that are recorded in a first pass and returned in all later ones."""

    def __init__(self) -> None:
        self.values: list[Tensor] = []
        self.recorded = False
        self.place = 0

    def hold(self, value: Tensor) -> Tensor:
        if not self.recorded:
            self.values.append(value)
            return value
        self.place += 1
        return self.values[self.place - 1]

    def restart(self) -> None:
        self.recorded, self.place = True, 0


def gelu(x: float) -> float:
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def each(function: Callable[[float], float], x: Tensor) -> Tensor:
    return torch.tensor([function(v) for v in x.flatten().tolist()], dtype=torch.float64).reshape(x.shape)


def linear(x: Tensor, layer: Any) -> Tensor:
    out = x @ layer.weight.T
    return out if layer.bias is None else out + layer.bias


def layer_norm(x: Tensor, norm: Any, held: Held) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    deviation = held.hold(((centred**2).mean(-1, keepdim=True) + norm.eps).sqrt())
    return centred / deviation * norm.weight + norm.bias


def rms_norm(x: Tensor, norm: Any, held: Held) -> Tensor:
    deviation = held.hold(((x**2).mean(-1, keepdim=True) + norm.variance_epsilon).sqrt())
    return x / deviation * norm.weight


def mixed(values: Tensor, weights: Tensor) -> Tensor:
    """Attention of all heads: values (length, width), weights (heads, length, length)."""
    heads = values.reshape(len(values), len(weights), -1)
    return torch.stack([weights[h] @ heads[:, h] for h in range(len(weights))], 1).reshape(len(values), -1)


def bert_logits(model: Any, x: Tensor, held: Held, activation: Callable[[float], float]) -> Tensor:
    """Of a `BertForSequenceClassification`. x: (length, width) the word embeddings of one text."""
    parts, length = model.bert.embeddings, len(x)
    x = x + parts.position_embeddings.weight[:length] + parts.token_type_embeddings.weight[0]
    x = layer_norm(x, parts.LayerNorm, held)
    for layer in model.bert.encoder.layer:
        own, out = layer.attention.self, layer.attention.output
        size = own.query.weight.shape[0] // own.num_attention_heads
        query, key = (linear(x, p).reshape(length, -1, size).transpose(0, 1) for p in (own.query, own.key))
        weights = held.hold((query @ key.transpose(1, 2) / math.sqrt(size)).softmax(-1))
        x = layer_norm(linear(mixed(linear(x, own.value), weights), out.dense) + x, out.LayerNorm, held)
        inner = linear(x, layer.intermediate.dense)
        inner = inner * held.hold(each(activation, inner) / inner)
        x = layer_norm(linear(inner, layer.output.dense) + x, layer.output.LayerNorm, held)
    pooled = linear(x[0], model.bert.pooler.dense)
    pooled = pooled * held.hold(pooled.tanh() / pooled)
    return linear(pooled, model.classifier)


def llama_logits(model: Any, x: Tensor, held: Held, attentions: list[Tensor]) -> Tensor:
    """Of a `LlamaForSequenceClassification`. x: (length, width). attentions: the weights of each layer for one text,
    (heads, length, length), since positions enter there alone."""
    for layer, weights in zip(model.model.layers, attentions, strict=True):
        own, mlp = layer.self_attn, layer.mlp
        values = linear(rms_norm(x, layer.input_layernorm, held), own.v_proj)
        shared = values.reshape(len(x), -1, own.head_dim).repeat_interleave(own.num_key_value_groups, 1)
        x = x + linear(mixed(shared.reshape(len(x), -1), weights), own.o_proj)
        normed = rms_norm(x, layer.post_attention_layernorm, held)
        gate = held.hold(each(silu, linear(normed, mlp.gate_proj)))
        x = x + linear(gate * linear(normed, mlp.up_proj), mlp.down_proj)
    return linear(rms_norm(x, model.model.norm, held)[-1], model.score)
