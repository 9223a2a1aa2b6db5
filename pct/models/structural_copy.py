"""A copy of a model that shares its weights, so that modes, hooks and modules can differ from the original's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def structural_copy(module: M, device: torch.device | None = None) -> M:
    """A copy of a module tree whose parameters and buffers are the original's own tensors.

    What belongs to a module object is separate: training mode, registered hooks, submodules, configuration. What
    belongs to a tensor is shared: values, gradients, `requires_grad`. Hooks are called by both.

    Args:
        module: the original. It is not changed.
        device: where the copy's tensors are. None shares the tensors; so does the device that they are on.

    Returns:
        The copy.
    """
    # deepcopy takes what its memo holds as copied already. The list keeps every key's object alive.
    kept: list[Any] = list(_shared(module))
    memo = {id(x): _moved(x, device) if isinstance(x, Tensor) else x for x in kept}
    return copy.deepcopy(module, memo)


def _shared(module: nn.Module) -> Iterator[Any]:
    """Parameters, buffers, tensors that are plain attributes, and hooks, of the whole tree."""
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor):
                yield value
        for name, value in vars(part).items():
            if isinstance(value, dict) and (name in ("_parameters", "_buffers") or name.endswith("_hooks")):
                yield from (x for x in value.values() if x is not None)


def _moved(tensor: Tensor, device: torch.device | None) -> Tensor:
    if device is None or tensor.device == device:
        return tensor
    moved = tensor.detach().to(device)
    return nn.Parameter(moved, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else moved
