"""Detection of NaN and infinity in a training step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def not_finite(model: nn.Module, parts: dict[str, Tensor]) -> str:
    """The first part of the loss, gradient or weight that is not finite after a step; empty if all are finite."""
    # a tensor is finite if its sum is, which takes one pass
    if _finite(list(parts.values())) and _finite([t for p in model.parameters() for t in (p, p.grad) if t is not None]):
        return ""
    for name, part in parts.items():
        if not _finite([part]):
            return "the loss" if name == "loss" else f"the loss's part {name}"
    for name, weight in model.named_parameters():
        if weight.grad is not None and not _finite([weight.grad]):
            return f"the gradient of {name}"
    return next(f"the weight {name}" for name, weight in model.named_parameters() if not _finite([weight]))


@torch.no_grad()
def _finite(tensors: list[Tensor]) -> bool:
    return bool(torch.stack([t.sum(dtype=torch.float32) for t in tensors]).isfinite().all())
