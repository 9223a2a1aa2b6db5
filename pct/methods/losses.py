"""The contrastive loss (Eq. 6) and the entropy term (Eq. 8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pct.models.heads import SOFTMAX, Head, at_least_float32


def contrastive_loss(representations: Tensor, sets: Tensor, temperature: float) -> Tensor:
    """Eq. 6: generalised NT-Xent over the 2K sets of a mini-batch.

    For a row p the loss is -log(sum over the other rows of its set of exp(sim / temperature) / the same sum over the
    rows of all other sets), with cosine similarity. The mean is over the anchors, the rows with a positive and a
    negative. The denominator does not include the positives, so the loss can be negative.

    Args:
        representations: (n, d) float, one row a text.
        sets: (n,) int, the set of each row.
        temperature: tau > 0.

    Returns:
        A scalar, in float32 or wider; zero where no row has a positive.

    Raises:
        ValueError: temperature <= 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    rows = at_least_float32(representations)
    with torch.autocast(device_type=rows.device.type, enabled=False):
        unit = F.normalize(rows, dim=-1)
        similarity = unit @ unit.T / temperature
        same = sets[:, None] == sets[None]
        positive = same & ~torch.eye(len(sets), dtype=torch.bool, device=sets.device)
        anchor = positive.any(1) & ~same.all(1)
        # a finite floor: rows that are not anchors are dropped below, and must not cause inf - inf
        floor = torch.finfo(similarity.dtype).min
        positives = similarity.masked_fill(~positive, floor).logsumexp(1)
        negatives = similarity.masked_fill(same, floor).logsumexp(1)
        losses = torch.where(anchor, negatives - positives, 0.0)
        return losses.sum() / anchor.sum().clamp(min=1)


def mean_entropy(logits: Tensor, head: Head = SOFTMAX) -> Tensor:
    """Eq. 8's H: the mean entropy of the predicted distributions, in nats.

    Args:
        logits: (n, classes).
        head: what they mean. Of several labels, each label has a distribution.

    Returns:
        A scalar; zero where n is 0.
    """
    if len(logits) == 0:
        return logits.sum()
    log_probabilities = head.log_probabilities(logits)
    return -(log_probabilities.exp() * log_probabilities).sum(-1).mean()
