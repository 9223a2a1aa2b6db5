"""Right for the right reasons (Ross et al. 2017, arXiv 1703.03717): words outside the rationale do not matter."""

from __future__ import annotations

import torch
from torch import Tensor

from pct.methods.base import Batch, SettingsMethod, Step, supervised_loss
from pct.models.base import TextModel, without_dropout

STEP_LENGTH = 1e-2  # of the central difference: large enough for float32, small enough for the curvature


class Rationale(SettingsMethod):
    """Cross-entropy + lambda * the squared gradient of sum_k log f_k(X) at the presence of words outside the rationale,
    summed over a text, the mean over texts. It needs a corpus with rationales.

    The presence of a word is a factor of 1 at its embeddings. The source uses word counts, which are not learned; the
    gradient at the embedding itself could be made small by a larger embedding with the same effect.
    """

    needs_classes = True

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`.

        Raises:
            ValueError: the corpus has no rationales.
        """
        if batch.rationale is None:
            raise ValueError(
                "method rationale needs a corpus that knows which words decide, such as planted or movie_rationales"
            )
        mask = batch.word_ids > -2
        supervised = supervised_loss(model(batch.ids, mask).logits, batch)
        inside = batch.rationale.gather(1, batch.word_ids.clamp(min=0)) & (batch.word_ids >= 0)
        squared = squared_gradient(model, batch.ids, mask, mask & ~inside)
        loss = supervised + self.settings.rationale_weight * squared
        return Step(loss, {"cross_entropy": supervised.detach(), "outside_rationale": squared.detach()})


def squared_gradient(model: TextModel, ids: Tensor, mask: Tensor, outside: Tensor) -> Tensor:
    """The squared gradient of sum_k log f_k(X) at the presences of some tokens, differentiable in the weights.

    The presence of a token is a factor of 1 at its embedding. Let g be the gradient at the chosen tokens, and v = g
    held constant. The gradient of |g|^2 in the weights is twice that of the slope along v. The slope is a central
    difference, so that no second derivative of the model is needed (fused attention and recurrences have none).

    Args:
        model: the model; dropout is switched off.
        ids: (batch, length) token ids.
        mask: (batch, length), true at real tokens.
        outside: (batch, length), true at the tokens that count.

    Returns:
        A scalar: the sum over tokens, the mean over texts.
    """
    # without autocast: in half precision a small difference is noise
    with without_dropout(model), torch.autocast(ids.device.type, enabled=False):
        embeddings = model.embed(ids)
        presence = torch.ones_like(embeddings[..., 0]).requires_grad_(True)
        present = embeddings.detach() * presence[..., None]
        (gradient,) = torch.autograd.grad(_log_probabilities(model, present, mask).sum(), presence)
        direction = gradient * outside
        scale = STEP_LENGTH / torch.linalg.vector_norm(direction, dim=1).clamp(min=1e-12)
        step = (direction * scale[:, None])[..., None]
        ahead, behind = (_log_probabilities(model, embeddings * (1 + sign * step), mask) for sign in (1, -1))
    slope = ((ahead - behind) / scale).mean()
    value = direction.square().sum(1).mean()
    return value + slope - slope.detach()


def _log_probabilities(model: TextModel, embeddings: Tensor, mask: Tensor) -> Tensor:
    """sum_k log f_k of each text, (batch,); of several labels, over each label and its absence."""
    logits = model.encode(embeddings, mask).logits
    return model.head.log_probabilities(logits).flatten(1).sum(-1)
