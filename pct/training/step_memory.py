"""How many tokens fit into a device's memory while their graph is kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pct.models.base import TextModel
from pct.text.tokens import Tokens

# What the graphs of reduced texts may take: beside them stand the weights, the optimizer and the originals' graph, and
# on a CPU the rest of the machine. Of the whole memory, not of what is free: a run's numbers must not depend on that.
SHARE = {"cpu": 1 / 8, "cuda": 1 / 2}
CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def fitting_tokens(model: TextModel, tokens: Tokens) -> int:
    """The tokens whose graph fits into the share of the device's memory that is for it.

    Args:
        model: on its device.
        tokens: the training texts; the longest is tried.

    Returns:
        At least 1.
    """
    device = model.device
    room = device_memory(device) * SHARE.get(device.type, SHARE["cpu"])
    return max(int(room / bytes_per_token(model, tokens)), 1)


def bytes_per_token(model: TextModel, tokens: Tokens) -> float:
    """What the graph of one token more keeps, measured on the longest text, once and twice in a batch."""
    longest = int(np.argmax(tokens.lengths))
    ids, words = (torch.from_numpy(x).to(model.device) for x in tokens.rows(np.array([longest])))
    once, twice = (_graph_bytes(model, ids.repeat(n, 1), words.repeat(n, 1) > -2) for n in (1, 2))
    return max(twice - once, 1) / ids.shape[1]


def _graph_bytes(model: TextModel, ids: Tensor, mask: Tensor) -> int:
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = model.encode(model.embed(ids), mask)  # alive until all is counted: no memory is counted twice
    del kept
    return sum(sizes.values())


def device_memory(device: torch.device) -> float:
    """The whole memory of a device in bytes; of the machine, or of the container that this runs in, for a CPU."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):  # Windows
        found = [8 * 2**30]
    limits = [path.read_text().strip() for path in CGROUPS if path.is_file()]
    return float(min(found + [int(x) for x in limits if x.isdigit()]))
