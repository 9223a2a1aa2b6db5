"""The options of where trials and cells run, as the command line has them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace

from tuning.plan import Resources

LOGGERS = ("tensorboard", "csv", "json")


def add_resources(parser: argparse.ArgumentParser, workers: str) -> None:
    """Adds the options of `Resources` that sweeps and grids share.

    Args:
        parser: a command's.
        workers: the default of --workers, in words.
    """
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="local, auto, or a head node's host:port (default: RAY_ADDRESS, else local)",
    )
    group.add_argument("--workers", type=int, help=f"trials or cells at a time (default: {workers})")
    group.add_argument("--cpus-per-trial", "--cpus_per_trial", type=float, help="CPUs of each (default: 1)")
    group.add_argument("--gpus-per-trial", "--gpus_per_trial", type=float, help="GPUs of each, as 0.25 (default: 0)")
    group.add_argument(
        "--custom-per-trial",
        "--custom_per_trial",
        action="append",
        metavar="NAME=AMOUNT",
        help="of a custom resource of the cluster, as ray start --resources names it",
    )
    group.add_argument("--retries", type=int, help="restarts where a worker dies (default: 3)")


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `Resources` that only Ray Tune has."""
    parser.add_argument(
        "--storage",
        metavar="FOLDER",
        help="of checkpoints: a folder that all nodes see, s3://.. (default: the sweep's folder)",
    )
    parser.add_argument(
        "--loggers",
        nargs="+",
        choices=LOGGERS,
        help="Ray Tune's loggers, which write beside the checkpoints (default: none)",
    )


def read_resources(options: argparse.Namespace, before: Resources) -> Resources:
    """The resources: those given, else RAY_ADDRESS, else `before`. Raises ValueError as `Resources`."""
    address = options.ray or os.environ.get("RAY_ADDRESS") or before.address
    given = {
        "workers": options.workers,
        "cpus": options.cpus_per_trial,
        "gpus": options.gpus_per_trial,
        "storage": getattr(options, "storage", None),
        "retries": options.retries,
        "custom": read_custom(options.custom_per_trial),
        "loggers": getattr(options, "loggers", None),
    }
    return replace(before, address=address, **{k: v for k, v in given.items() if v is not None})


def read_custom(given: Sequence[str] | None) -> dict[str, float] | None:
    """NAME=AMOUNT of each --custom-per-trial; None where none is given. Raises ValueError for a malformed one."""
    if given is None:
        return None
    amounts = {}
    for text in given:
        name, _, amount = text.partition("=")
        try:
            amounts[name.strip()] = float(amount)
        except ValueError:
            raise ValueError(f"--custom-per-trial takes NAME=AMOUNT, got {text!r}") from None
    return amounts
