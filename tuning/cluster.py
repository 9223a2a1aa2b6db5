"""Ray: started on this machine where none is named, else joined. Loopback only, no dashboard, no usage reports."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tuning.plan import Resources

SECONDS_TO_ANSWER = 5
STARTS = 3  # of a local Ray: it gives itself 30 seconds, which a busy machine may not keep
STORE = 256 * 2**20  # bytes of object store beside what the corpus takes


class ClusterError(Exception):
    """Ray cannot be had; the message says why and what to do."""


@contextmanager
def connected(resources: Resources, corpus_bytes: int = 0) -> Iterator[None]:
    """Ray, for as long as the block runs; a local one that the process has already is used, and stays.

    Raises ClusterError.
    """
    import ray

    already = ray.is_initialized()
    try:
        if not already or resources.address != "local":
            _join(resources, corpus_bytes)
    except Exception as problem:  # Ray raises many types, a bare Exception among them
        if not already:
            ray.shutdown()
        why = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:300]
        if resources.address == "local":
            raise ClusterError(f"Ray did not start on this machine: {why} Try again when it is less busy") from problem
        raise ClusterError(
            f"no Ray at {resources.address}: {why}; start one with ray start --head (or ray up cluster/ray.yaml), or "
            "unset RAY_ADDRESS to run on this machine alone"
        ) from problem
    try:
        _check_size(resources)
        yield
    finally:
        if not already:
            ray.shutdown()


def _join(resources: Resources, corpus_bytes: int) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if resources.address == "local":
        _start(resources, STORE + 2 * corpus_bytes, **quiet)
    else:
        host, colon, port = resources.address.rpartition(":")
        if colon and port.isdecimal():  # Ray itself asks for minutes whether it has come yet
            socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
        ray.init(address=resources.address, runtime_env=_code(), **quiet)


def _start(resources: Resources, store: int, **quiet: Any) -> None:
    """A Ray of this machine's own; one that was too slow to start is started again."""
    import ray

    cores = max(os.cpu_count() or 1, math.ceil(resources.workers * resources.cpus))
    for left in reversed(range(STARTS)):
        try:
            ray.init(
                address="local", num_cpus=cores, include_dashboard=False, object_store_memory=store,
                _node_ip_address="127.0.0.1", **quiet,
            )  # fmt: skip
            return
        except Exception as problem:
            if not left or "timed out" not in str(problem):
                raise
            ray.shutdown()


def _code() -> dict[str, Any]:
    """This code goes to the nodes with the job: whatever version is installed there, driver and workers agree."""
    import pct
    import pipelines
    import tuning

    return {"py_modules": [pct, pipelines, tuning]}


def slots(resources: Resources) -> int:
    """How many trials the cluster holds at a time, by what it has now; at least one."""
    import ray

    there = ray.cluster_resources()
    fits = [there.get("CPU", 0.0) / resources.cpus]
    if resources.gpus:
        fits.append(there.get("GPU", 0.0) / resources.gpus)
    return max(1, int(min(fits) + 1e-9))


def _check_size(resources: Resources) -> None:
    import ray

    nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    fits = [n for n in nodes if n.get("CPU", 0) >= resources.cpus and n.get("GPU", 0) >= resources.gpus]
    if not fits and resources.address == "local":
        best = max(nodes, key=lambda n: (n.get("GPU", 0), n.get("CPU", 0)))
        raise ClusterError(
            f"a trial takes {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, this machine has "
            f"{best.get('CPU', 0):g} and {best.get('GPU', 0):g}; ask for less with --cpus-per-trial and "
            "--gpus-per-trial"
        )
