"""Right for the right reasons (Ross et al. 2017, arXiv 1703.03717): words outside the rationale do not matter."""

from __future__ import annotations

import torch
from torch import Tensor

from pct.methods.base import Batch, Step, supervised_loss
from pct.models.base import TextModel, without_dropout
from pct.settings import Settings

# how far presences are moved for the difference, together: far enough for float32, near enough for the curvature to be
# that of the place
REACH = 1e-2


class Rationale:
    """Cross-entropy + lambda * the squared gradient of sum_k log f_k(X) at the presence of words outside the rationale,
    summed over a text, a mean over texts. For a corpus that knows its rationales: an upper mark.

    The input of the source is how much of each word a text has, and does not learn. Here that is a factor of 1 at each
    embedding: the gradient at the embedding alone would be made small by a larger embedding of the same effect.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`.

        Raises:
            ValueError: the corpus does not know which words decide.
        """
        if batch.rationale is None:
            raise ValueError(
                "method rationale needs a corpus that knows which words decide, as planted and movie_rationales do"
            )
        mask = batch.word_ids > -2
        supervised = supervised_loss(model(batch.ids, mask).logits, batch)
        inside = batch.rationale.gather(1, batch.word_ids.clamp(min=0)) & (batch.word_ids >= 0)
        squared = squared_gradient(model, batch.ids, mask, mask & ~inside)
        loss = supervised + self.settings.rationale_weight * squared
        return Step(loss, {"cross_entropy": supervised.detach(), "outside_rationale": squared.detach()})


def squared_gradient(model: TextModel, ids: Tensor, mask: Tensor, outside: Tensor) -> Tensor:
    """The squared gradient of sum_k log f_k(X) at some tokens' presences, to be differentiated by the weights.

    A presence is a factor at a token's embedding; it is 1. With g the gradient at the tokens chosen, held fixed as a
    direction v = g, the weights' gradient of |g|^2 is twice that of the slope along v; the slope is a central
    difference, so no second derivative of the model is needed (fused attention and recurrences have none).

    Args:
        model: the model; dropout is off.
        ids: (batch, length) token ids.
        mask: (batch, length), true at real tokens.
        outside: (batch, length), true at the tokens that count.

    Returns:
        A scalar: the sum over tokens, the mean over texts.
    """
    # in half precision a small difference is noise
    with without_dropout(model), torch.autocast(ids.device.type, enabled=False):
        embeddings = model.embed(ids)
        presence = torch.ones_like(embeddings[..., 0]).requires_grad_(True)
        present = embeddings.detach() * presence[..., None]
        (gradient,) = torch.autograd.grad(_log_probabilities(model, present, mask).sum(), presence)
        direction = gradient * outside
        reach = REACH / torch.linalg.vector_norm(direction, dim=1).clamp(min=1e-12)
        move = (direction * reach[:, None])[..., None]
        ahead, behind = (_log_probabilities(model, embeddings * (1 + sign * move), mask) for sign in (1, -1))
    slope = ((ahead - behind) / reach).mean()
    value = direction.square().sum(1).mean()
    penalty: Tensor = value + slope - slope.detach()
    return penalty


def _log_probabilities(model: TextModel, embeddings: Tensor, mask: Tensor) -> Tensor:
    """sum_k log f_k of each text, (batch,)."""
    logits = model.encode(embeddings, mask).logits
    return (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1).sum(-1)
