"""The optimizers Adam and AdamW, their steps, the learning rate of each, and the detection of NaN and infinity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pct.methods.base import Batch, Method
from pct.models import TextModel
from pct.settings import Settings
from pct.training.devices import average_gradients


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


def train_step(
    model: TextModel, method: Method, optimizer: torch.optim.Optimizer, batch: Batch, settings: Settings
) -> dict[str, Tensor]:
    """Runs one step of the optimizer. Returns the loss and its parts, detached."""
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        step = method(model, batch)
    step.loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(model)
    if settings.gradient_clip:
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimizer.step()
    return {"loss": step.loss.detach(), **step.parts}


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
