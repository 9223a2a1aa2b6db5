"""Saliency S(x_i): the gradient of a class's score at the word embeddings, made one number a word."""

from __future__ import annotations

import torch
from torch import Tensor

from pct.models.base import TextModel, without_dropout


def class_score(logits: Tensor, classes: Tensor, of: str = "log_odds") -> Tensor:
    """The scalar that is differentiated: (batch, classes) logits and (batch,) class indices -> (batch,).

    `log_odds` is z_c - logsumexp of the others: its gradient has the direction of the probability's, since
    d f_c = f_c (1 - f_c) d log-odds, and does not vanish in float32 when f_c rounds to 1.
    """
    chosen = logits.gather(1, classes[:, None]).squeeze(1)
    if of == "logit":
        return chosen
    if of == "probability":
        return logits.softmax(-1).gather(1, classes[:, None]).squeeze(1)
    if of == "log_odds":
        others = logits.scatter(1, classes[:, None], float("-inf"))
        return chosen - others.logsumexp(-1)
    raise ValueError(f"saliency_of must be log_odds, probability or logit, got {of!r}")


def word_saliency(gradient: Tensor, embeddings: Tensor, words: Tensor, kind: str = "l2") -> Tensor:
    """Gradients at tokens -> one number a word.

    gradient, embeddings: (batch, length, width). words: (batch, length), the word of each token, negative at special
    tokens and padding. Returns (batch, most words); 0 beyond a text's last word. A word of several sub-words takes
    one norm over all their gradients together (l2, l1), or the sum (grad_x_input, integrated_gradients).
    """
    if kind == "l2":
        tokens = gradient.square().sum(-1)
    elif kind == "l1":
        tokens = gradient.abs().sum(-1)
    elif kind in ("grad_x_input", "integrated_gradients"):
        tokens = (gradient * embeddings).sum(-1)
    else:
        raise ValueError(f"saliency must be l2, l1, grad_x_input or integrated_gradients, got {kind!r}")
    tokens = tokens.masked_fill(words < 0, 0.0)
    width = max(int(words.amax()) + 1, 1)
    total = tokens.new_zeros(len(tokens), width).scatter_add_(1, words.clamp(min=0), tokens)
    return total.sqrt() if kind == "l2" else total


def saliency(
    model: TextModel,
    ids: Tensor,
    words: Tensor,
    classes: Tensor | None = None,
    kind: str = "l2",
    of: str = "log_odds",
    steps: int = 16,
) -> tuple[Tensor, Tensor]:
    """Saliency of a padded batch, dropout off.

    ids, words: (batch, length), words as in `word_saliency` (-2 marks padding). classes: (batch,) the class explained,
    None for the predicted one. steps: of integrated gradients (Sundararajan et al. 2017, from the zero embedding,
    midpoint rule). Returns logits (batch, classes) and saliency (batch, most words).
    """
    mask = words > -2
    with without_dropout(model), torch.enable_grad():
        embeddings = model.embed(ids).detach().requires_grad_(True)
        logits = model.encode(embeddings, mask).logits
        if classes is None:
            classes = logits.detach().argmax(-1)
        if kind == "integrated_gradients":
            gradient = _path_gradient(model, embeddings.detach(), mask, classes, of, steps)
        else:
            (gradient,) = torch.autograd.grad(class_score(logits.float(), classes, of).sum(), embeddings)
    return logits.detach(), word_saliency(gradient.float(), embeddings.detach().float(), words, kind)


def _path_gradient(model: TextModel, embeddings: Tensor, mask: Tensor, classes: Tensor, of: str, steps: int) -> Tensor:
    total = torch.zeros_like(embeddings)
    for step in range(steps):
        point = (embeddings * ((step + 0.5) / steps)).requires_grad_(True)
        score = class_score(model.encode(point, mask).logits.float(), classes, of).sum()
        total += torch.autograd.grad(score, point)[0]
    return total / steps
