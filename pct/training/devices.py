"""Training on several devices: every pass of the model is divided by rows, and all processes hold the same weights.

Each process has the whole mini-batch, draws the same random numbers, and computes the same loss. Only the body of the
model, which is nearly all of the work, runs on a part of the rows; its results are gathered with their gradient. So a
method needs to know nothing of it: negatives come from the whole batch, and every mean is over the whole batch.

A tensor that all processes hold alike has its whole gradient in each. A tensor of one process alone has its gradient
times the number of processes, so that the mean over processes is the sum that is wanted; this holds for the weights,
too: `average_gradients`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pct.models import TextModel
from pct.models.base import PASSES, Features

LinearMap = Callable[[Tensor], Tensor]


def world() -> int:
    """The number of processes that train together; 1 without `torch.distributed`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process writes the files and shows the progress."""
    return world() == 1 or dist.get_rank() == 0


def average_gradients(model: nn.Module) -> None:
    """Replaces the gradient of every weight by its mean over the processes, in one communication."""
    if world() == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world()
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def of_first(value: int) -> int:
    """The value of the first process, in all of them."""
    if world() == 1:
        return value
    shared = torch.tensor(value)
    if dist.get_backend() == "nccl":
        shared = shared.cuda()
    dist.broadcast(shared, 0)
    return int(shared)


class DividedRows:
    """Divides the rows of a model's passes among the processes, until `end`. With one process nothing changes.

    Args:
        model: the same in all processes.
    """

    def __init__(self, model: TextModel) -> None:
        self.model = model
        self.before = {name: vars(model).get(name) for name in PASSES}  # as compiled, or None
        self.inside = False
        self.random = model.dropout_in_body and _has_dropout(model)
        if world() > 1:
            for name in PASSES:
                setattr(model, name, self._divided(getattr(model, name)))

    def end(self) -> None:
        """Restores the model's own methods."""
        if world() > 1:
            for name, own in self.before.items():
                delattr(self.model, name)
                if own is not None:
                    setattr(self.model, name, own)

    def _divided(self, compute: Callable[..., Features]) -> Callable[..., Features]:
        def divided(shared: Tensor, *rows: Tensor) -> Features:
            # one of the methods may call the other
            if self.inside or not len(rows[-1]):
                return compute(shared, *rows)
            count = len(rows[-1])
            size = -(-count // world())
            first = dist.get_rank() * size
            # the last parts are filled up with the last row, since all parts must have one size
            part = torch.arange(first, first + size, device=rows[-1].device).clamp(max=count - 1)
            shared = _applied(shared, _to_each, _mean)
            own = (shared, *(row[part] for row in rows)) if len(rows) > 1 else (shared[part], rows[0][part])
            self.inside = True
            try:
                random = self.random and self.model.training
                with _own_random_numbers(rows[-1].device) if random else nullcontext():
                    pooled, representation = compute(*own)
            finally:
                self.inside = False
            whole = _gathered(pooled, count)
            return Features(whole, whole if representation is pooled else _gathered(representation, count))

        return divided


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Dropout that differs among the processes, while their common random numbers stay in step."""
    seed = int(torch.randint(2**62, ())) + dist.get_rank()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _has_dropout(model: nn.Module) -> bool:
    if any(module.p > 0 for module in model.modules() if isinstance(module, nn.Dropout)):
        return True
    configs = [getattr(module, "config", None) for module in model.modules()]
    values = [vars(config) for config in configs if hasattr(config, "to_dict")]
    return any("drop" in name and isinstance(x, float) and x > 0 for own in values for name, x in own.items())


def _gathered(own: Tensor, count: int) -> Tensor:
    """The first `count` rows of all parts."""
    return _applied(own, _gather, _own_part)[:count]


def _applied(tensor: Tensor, linear: LinearMap, adjoint: LinearMap) -> Tensor:
    return _WithAdjoint.apply(tensor, linear, adjoint)  # type: ignore[no-untyped-call]


class _WithAdjoint(torch.autograd.Function):
    """A linear map whose gradient is its adjoint, and that of the adjoint the map: it can be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, linear: LinearMap, adjoint: LinearMap) -> Tensor:
        ctx.maps = adjoint, linear
        return linear(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _applied(gradient, *ctx.maps), None, None


def _to_each(shared: Tensor) -> Tensor:
    """A tensor that all processes hold alike, for use in each alone."""
    return shared.view_as(shared)


def _mean(own: Tensor) -> Tensor:
    """The mean over the processes."""
    total = own.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total / world()


def _gather(own: Tensor) -> Tensor:
    """The parts of all processes, one after the other."""
    parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(world())]
    dist.all_gather(parts, own.contiguous())
    return torch.cat(parts)


def _own_part(shared: Tensor) -> Tensor:
    """The own part of a tensor that all processes hold alike, times their number."""
    size = len(shared) // world()
    first = dist.get_rank() * size
    return shared[first : first + size] * world()
