"""The optimizers Adam and AdamW, and the learning rate of each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from pct.settings import Settings


def make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019), whose decay is not scaled by the gradients.

    AdamW decays matrices only, not biases and the scales of layer norms, as is usual for encoders. Frozen weights are
    left out.
    """
    assert settings.lr is not None  # Settings fills both
    assert settings.weight_decay is not None
    trained = [p for p in model.parameters() if p.requires_grad]
    if settings.optimizer == "adam":
        return torch.optim.Adam(trained, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    matrices = [p for p in trained if p.ndim > 1]
    rest = [p for p in trained if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.lr, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, settings: Settings, done: int, total: int) -> None:
    """Sets the learning rate of the next step after `done` of `total` steps."""
    s = settings
    assert s.lr is not None  # Settings fills all three
    assert s.warmup is not None
    assert s.schedule is not None
    for group in optimizer.param_groups:
        group["lr"] = s.lr * lr_factor(s.schedule, s.warmup, done, total)


def lr_factor(schedule: str, warmup: float, done: int, total: int) -> float:
    """The factor of the learning rate: a linear warm-up, then the schedule.

    Args:
        schedule: constant, linear (to zero at the end) or cosine (likewise).
        warmup: the share of warm-up steps.
        done: steps before this one.
        total: steps of the whole run.

    Returns:
        A number in (0, 1].
    """
    rise = round(warmup * total)
    if done < rise:
        return (done + 1) / (rise + 1)
    progress = (done - rise) / max(total - rise, 1)
    return {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[schedule]
