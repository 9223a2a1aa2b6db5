"""Copies to a device, and sizes that depend on the data, without waiting for a GPU.

A GPU works through a queue. To read a number from it, the host waits until the queue is empty, and then the GPU waits
for the host. So a training step reads nothing: what the host knows stays there too, and a bound takes the place of a
size that only the GPU knows. On a CPU reading costs nothing, and sizes are exact.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on a device. The host does not wait for the copy to a GPU, whose source is pinned memory."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def reading_is_free(device: torch.device) -> bool:
    """Whether the host can read from the device without waiting."""
    return device.type == "cpu"


def largest(values: Tensor, bound: int) -> int:
    """The largest of some integers; the bound where reading it would wait."""
    return int(values.max()) if reading_is_free(values.device) else bound
