"""The number of tokens whose autograd graph fits into a device's memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pct.models.base import TextModel
from pct.text.tokens import Tokens

# The share of memory for the graphs of reduced texts. The rest is for weights, the optimizer and the graph of the
# original texts, and on a CPU for other programs. It is a share of the total, not of the free memory, so that the
# numbers of a run are reproducible.
SHARE = {"cpu": 1 / 8, "cuda": 1 / 2}
CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def fitting_tokens(model: TextModel, tokens: Tokens) -> int:
    """The number of tokens, at least 1, whose graph fits into its share of the device's memory.

    Args:
        model: on its device.
        tokens: the training texts; the longest one is measured.
    """
    device = model.device
    budget = device_memory(device) * SHARE.get(device.type, SHARE["cpu"])
    return max(int(budget / bytes_per_token(model, tokens)), 1)


def bytes_per_token(model: TextModel, tokens: Tokens) -> float:
    """The memory of the graph per token, measured on batches with the longest text once and twice."""
    longest = int(np.argmax(tokens.lengths))
    ids, words = (torch.from_numpy(x).to(model.device) for x in tokens.rows(np.array([longest])))
    once, twice = (_graph_bytes(model, ids.repeat(n, 1), words.repeat(n, 1) > -2) for n in (1, 2))
    return max(twice - once, 1) / ids.shape[1]


def _graph_bytes(model: TextModel, ids: Tensor, mask: Tensor) -> int:
    sizes: dict[int, int] = {}

    def record(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        encoding = model.encode(model.embed(ids), mask)  # alive until here, so that no address is reused
    del encoding
    return sum(sizes.values())


def device_memory(device: torch.device) -> float:
    """The total memory of a device in bytes; for a CPU, that of the machine or its container."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):  # Windows
        sizes = [8 * 2**30]
    limits = [path.read_text().strip() for path in CGROUPS if path.is_file()]
    return float(min(sizes + [int(x) for x in limits if x.isdigit()]))
