"""Processes for tests that are copies of one that has imported what is slow."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any

import torch.multiprocessing as mp


def copies() -> ForkServerContext:
    """Its processes start at once, but for the first one."""
    multiprocessing.set_forkserver_preload(["transformers.models.bert.modeling_bert", "pct.training.trainer"])
    return multiprocessing.get_context("forkserver")


def start(function: Callable[..., None], arguments: tuple[Any, ...], processes: int) -> None:
    """Runs a function in several processes, given the rank, and waits for them."""
    copies()
    mp.start_processes(function, arguments, processes, start_method="forkserver")
