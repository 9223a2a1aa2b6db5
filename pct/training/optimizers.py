"""The optimizers Adam and AdamW, their steps, the learning rate of each, and the detection of NaN and infinity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pct.methods.base import Batch, Method
from pct.models import TextModel
from pct.models.transfer import reading_is_free
from pct.settings import Settings
from pct.training.devices import average_gradients

READ_EVERY = 10  # steps, after which numbers are read from a GPU


def make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019), whose decay is not scaled by the gradients.

    AdamW decays matrices only, not biases and the scales of layer norms, as is usual for encoders. Frozen weights are
    left out.
    """
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
    with torch.autocast(model.device.type, torch.bfloat16, enabled=in_bf16(settings, model.device)):
        step = method(model, batch)
    step.loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(model)
    if settings.gradient_clip:
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimizer.step()
    return {"loss": step.loss.detach(), **step.parts}


def in_bf16(settings: Settings, device: torch.device) -> bool:
    """Whether steps on a device run in bf16: with `precision=auto` on a GPU that has it."""
    if settings.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return settings.precision == "bf16"


class FiniteSteps:
    """Detects the first step after which a loss, a gradient or a weight is not finite.

    On a CPU each step is checked at once. On a GPU the results stay there, and are read after `READ_EVERY` steps and
    before weights are written.

    Args:
        model: the model that is trained.
    """

    def __init__(self, model: TextModel) -> None:
        self.model = model
        self.every = 1 if reading_is_free(model.device) else READ_EVERY
        self.finite: list[Tensor] = []  # of the steps that were not read yet

    def check(self, step: int, parts: dict[str, Tensor], read: bool) -> None:
        """Adds a step.

        Args:
            step: its number.
            parts: of its loss.
            read: whether to read the results now in any case.

        Raises:
            FloatingPointError: a step was not finite; the message says what, and the number of the step.
        """
        weights = [t for p in self.model.parameters() for t in (p, p.grad) if t is not None]
        self.finite.append(_finite([*parts.values(), *weights]))
        if len(self.finite) < self.every and not read:
            return
        finite, self.finite = torch.stack(self.finite).tolist(), []
        if not all(finite):
            first = step - len(finite) + 1 + finite.index(False)
            what = not_finite(self.model, parts) or "a part of the loss or a gradient"
            raise FloatingPointError(f"{what} is not finite in step {first}")


def not_finite(model: nn.Module, parts: dict[str, Tensor]) -> str:
    """The first part of the loss, gradient or weight that is not finite after a step; empty if all are finite."""
    named = [("the loss" if name == "loss" else f"the loss's part {name}", part) for name, part in parts.items()]
    weights = list(model.named_parameters())
    named += [(f"the gradient of {name}", weight.grad) for name, weight in weights if weight.grad is not None]
    named += [(f"the weight {name}", weight) for name, weight in weights]
    return next((what for what, tensor in named if not _finite([tensor])), "")


@torch.no_grad()
def _finite(tensors: list[Tensor]) -> Tensor:
    # a tensor is finite if its sum is, which takes one pass
    return torch.stack([t.sum(dtype=torch.float32) for t in tensors]).isfinite().all()
