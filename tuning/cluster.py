"""Starts Ray on this machine, on loopback alone, without a dashboard and usage reports; or joins a cluster."""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pct.commands.errors import JobError
from pct.output.workers import available_cores
from pipelines.job import first_line, terminate_as_interrupt
from tuning.resources import Resources

SECONDS_TO_ANSWER = 5
STARTS = 3  # of a local Ray: its own limit is 30 seconds, which a busy machine may exceed
STORE = 256 * 2**20  # bytes of object store, besides the corpus


class ClusterError(JobError):
    """Ray is not available; the message says why and what to do."""


@contextmanager
def connected(
    resources: Resources,
    corpus_bytes: int = 0,
    unit: str = "trial",
    options: str = "--cpus-per-trial, --gpus-per-trial and --custom-per-trial",
) -> Iterator[None]:
    """Connects to Ray for the block. A local Ray that the process has already is used, and stays.

    unit, options: for the error where Ray is too small: what takes these resources, and the options that set them.

    Raises ClusterError.
    """
    import ray

    already = ray.is_initialized()
    try:
        if not already or resources.address != "local":
            _join(resources, corpus_bytes)
    except ClusterError:
        ray.shutdown()
        raise
    except Exception as problem:  # Ray raises many types, Exception itself among them
        if not already:
            ray.shutdown()
        raise ClusterError(_remedy(resources.address, first_line(problem, 300))) from problem
    try:
        _check_size(resources, unit, options)
        with terminate_as_interrupt():  # Ray has replaced the handler of the terminate signal
            yield
    finally:
        if not already:
            ray.shutdown()


def _join(resources: Resources, corpus_bytes: int) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if resources.address == "local":
        _start(resources, STORE + 2 * corpus_bytes, **quiet)
        return
    host, colon, port = resources.address.rpartition(":")
    answers = bool(colon) and port.isdecimal()
    if answers:  # Ray itself retries for minutes
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    try:
        ray.init(address=resources.address, runtime_env=_code(), **quiet)
    except ConnectionError as problem:
        if not answers:
            raise
        raise ClusterError(_locked_out(resources.address)) from problem


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray's processes that start in the block listen on loopback.

    `ray.init` has no option for this: it replaces a loopback address by that of the network, unless it knows that there
    are no other nodes, as on macOS.
    """
    from ray._private import ray_constants

    before = getattr(ray_constants, "ENABLE_RAY_CLUSTER", True)  # a private name: a later Ray may lack it
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _start(resources: Resources, store: int, **quiet: Any) -> None:
    """Starts a local Ray; one that was too slow to start is started again."""
    import ray

    cores = max(os.cpu_count() or 1, math.ceil(resources.workers * resources.cpus))
    for left in reversed(range(STARTS)):
        try:
            with _on_loopback():
                ray.init(address="local", num_cpus=cores, include_dashboard=False, object_store_memory=store, **quiet)
            return
        except Exception as problem:
            if not left or "timed out" not in str(problem).lower():
                raise
            ray.shutdown()


def _remedy(address: str, why: str) -> str:
    if address == "local":
        return f"Ray did not start on this machine: {why} Try again when the machine is less busy"
    return (
        f"no Ray at {address}: {why}; start one with ray start --head (or ray up cluster/ray.yaml), or unset "
        "RAY_ADDRESS to run on this machine alone"
    )


def _locked_out(address: str) -> str:
    """The message where something listens and Ray's first request was refused. Ray reports a missing token in its own
    log only: `ray start` requires one wherever there is a ~/.ray/auth_token, and the first local sweep creates it."""
    here = Path.home() / ".ray" / "auth_token"
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        remedy = "the token of this process is not the cluster's: take the head's (ray get-auth-token there) and set "
        remedy += "RAY_AUTH_TOKEN to it"
    elif here.is_file() or "RAY_AUTH_TOKEN" in os.environ:
        remedy = "set RAY_AUTH_MODE=token, and the token of this machine is sent"
    else:
        remedy = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the head's token (ray get-auth-token there)"
    return (
        f"{address} answers, but does not let this process in; where it is a Ray of another version, install that; "
        f"where it asks for a token, {remedy}"
    )


def _code() -> dict[str, Any]:
    """Sends this code to the nodes with the job: driver and workers agree, whatever version is installed there."""
    import pct
    import pipelines
    import tuning

    return {"py_modules": [pct, pipelines, tuning]}


def note_shared_cores(resources: Resources, cpus: float) -> None:
    """Prints a note if trainings on this machine take more CPUs than it has cores."""
    if resources.address == "local" and cpus > (cores := available_cores()):
        note = f"note: {cpus:g} CPUs are used, and this machine has {cores}: processes wait for each other"
        print(note, file=sys.stderr)


def slots(resources: Resources) -> int:
    """How many trials the cluster runs at a time with its present resources; at least one."""
    import ray

    total = ray.cluster_resources()
    return max(
        1, int(min(total.get(name, 0.0) / amount for name, amount in resources.a_trial.items() if amount) + 1e-9)
    )


def _check_size(resources: Resources, unit: str, options: str) -> None:
    import ray

    wanted = resources.a_trial
    nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    if resources.address != "local" or any(all(n.get(k, 0) >= v for k, v in wanted.items()) for n in nodes):
        return  # a cluster may grow when trials wait
    here = {name: max(n.get(name, 0) for n in nodes) for name in wanted}
    raise ClusterError(
        f"one {unit} needs {_amounts(wanted)}, Ray on this machine has {_amounts(here)}; ask for less by {options}"
    )


def _amounts(resources: dict[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items())
