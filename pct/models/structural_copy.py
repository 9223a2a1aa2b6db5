"""A copy of a model that shares its weights, so that modes, hooks and modules can differ from the original's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def structural_copy(module: M, device: torch.device | None = None) -> M:
    """A copy of a module tree that shares the original's parameters and buffers.

    The state of module objects is separate: training mode, registered hooks, submodules, configuration. The state of
    tensors is shared: values, gradients, `requires_grad`. Both call the same hook functions.

    Args:
        module: the original. It is not changed.
        device: the device of the copy's tensors. Tensors are shared if it is None or their own device.

    Returns:
        The copy.
    """
    # deepcopy does not copy the objects of its memo. The list keeps them alive.
    shared_objects: list[Any] = list(_shared(module))
    memo = {id(x): _on_device(x, device) if isinstance(x, Tensor) else x for x in shared_objects}
    return copy.deepcopy(module, memo)


def _shared(module: nn.Module) -> Iterator[Any]:
    """The parameters, buffers, tensor attributes and hooks of the whole tree."""
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor):
                yield value
        for name, value in vars(part).items():
            if isinstance(value, dict) and (name in ("_parameters", "_buffers") or name.endswith("_hooks")):
                yield from (x for x in value.values() if x is not None)


def _on_device(tensor: Tensor, device: torch.device | None) -> Tensor:
    if device is None or tensor.device == device:
        return tensor
    copied = tensor.detach().to(device)
    return nn.Parameter(copied, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied
