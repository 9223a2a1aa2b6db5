"""NaN and infinity, noticed where they arise."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def not_finite(model: nn.Module, parts: dict[str, Tensor]) -> str:
    """What is NaN or infinite after a step: a part of the loss, a gradient or a weight; empty where all is well."""
    # a sum is finite where all that it sums is, and takes one pass over it
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
