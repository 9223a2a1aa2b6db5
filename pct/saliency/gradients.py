"""Functions of the gradient saliencies, in torch: the gradient of the output, sums by word, saliency of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from pct.models.base import TextModel, without_dropout
from pct.models.transfer import largest
from pct.saliency import saliencies
from pct.saliency.base import GradientSaliency, SaliencyOptions
from pct.saliency.modes import RecordedAttention


@contextmanager
def embedded(model: TextModel, ids: Tensor) -> Iterator[Tensor]:
    """The embeddings of a batch (batch, length, width) as a leaf that requires a gradient, with dropout off inside."""
    with without_dropout(model), torch.enable_grad():
        yield model.embed(ids).detach().requires_grad_(True)


def word_part(model: TextModel, embeddings: Tensor) -> Tensor:
    """A view of embeddings without the column of the token types, if the model has one (see `TextModel.embed`)."""
    return embeddings[..., :-1] if model.reads_types else embeddings


def score_gradient(
    model: TextModel, embeddings: Tensor, mask: Tensor, classes: Tensor | None, of: str,
    mode: AbstractContextManager[object] | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Logits and the gradient of the explained output at the embeddings.

    Args:
        model: the network.
        embeddings: (batch, length, width), a leaf that requires a gradient.
        mask: (batch, length), true at real tokens.
        classes: what is explained, as `pct.models.heads.Head.chosen` takes it.
        of: log_odds, probability or logit.
        mode: a function mode for the forward pass. The explained output, which may be a softmax, is computed outside.
    """
    with mode or nullcontext():
        logits = model.encode(embeddings, mask).logits
    chosen = model.head.chosen(logits.detach(), classes)
    (gradient,) = torch.autograd.grad(model.head.score(logits, chosen, of).sum(), embeddings)
    return logits, gradient


def sum_by_word(tokens: Tensor, words: Tensor) -> Tensor:
    """Numbers of tokens (batch, length) summed by word, (batch, most words); words as in `attribute`.

    On a GPU the result has columns of zeros beyond the most words: it is (batch, length).
    """
    inside = tokens.masked_fill(words < 0, 0.0)
    width = max(largest(words + 1, words.shape[1]), 1)
    return inside.new_zeros(len(inside), width).scatter_add_(1, words.clamp(min=0), inside)


def recorded_attention(model: TextModel, ids: Tensor, mask: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """The attention weights of a batch, with dropout off.

    Args:
        model: a transformer.
        ids: (batch, length).
        mask: (batch, length), true at real tokens.

    Returns:
        Logits (batch, classes); the weights of each layer, the mean over heads, (batch, length, length); and the
        positions that the head reads, at which the logits depend on the last layer, (batch, length), summing to 1.
    """
    with embedded(model, ids) as embeddings, RecordedAttention() as recorded:
        logits = model.encode(embeddings, mask).logits
        last = recorded.weights[-1]
        (gradient,) = torch.autograd.grad(logits.float().sum() + (logits.float() ** 2).sum(), last)
    reads = (gradient.abs().sum((1, 3)) > 0) & mask
    rows = reads.float() / reads.sum(1, keepdim=True).clamp(min=1)
    return logits.detach(), [weights.detach().float().mean(1) for weights in recorded.weights], rows


def gradient_saliency(kind: str, options: SaliencyOptions | None = None) -> GradientSaliency:
    """A gradient saliency by name. Raises ValueError for an unknown name, or for a saliency without a gradient."""
    chosen = saliencies.get(kind)(options)
    chosen.name = kind
    if not isinstance(chosen, GradientSaliency):
        raise ValueError(f"saliency must be one with a gradient (l2, grad_x_input, ..), got {kind!r}")
    return chosen


def saliency(
    model: TextModel,
    ids: Tensor,
    words: Tensor,
    classes: Tensor | None = None,
    kind: str = "l2",
    of: str = "log_odds",
    steps: int = 16,
) -> tuple[Tensor, Tensor]:
    """`GradientSaliency.attribute` of a padded batch, without dropout.

    Args:
        model: the network.
        ids: (batch, length).
        words: (batch, length), -1 at special tokens, -2 at padding.
        classes: (batch,) the class explained; the predicted one where None.
        kind: the saliency.
        of: log_odds, probability or logit.
        steps: the smallest number of steps of integrated gradients.

    Returns:
        Logits (batch, classes) and saliency (batch, most words).
    """
    return gradient_saliency(kind, SaliencyOptions(of, steps)).attribute(model, ids, words, classes)
