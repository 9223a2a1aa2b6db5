"""Where trials and cells run: Ray's address, workers, and what each of them takes; and the options of commands."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from urllib.parse import urlsplit

LOGGERS = ("tensorboard", "csv", "json")


def check_cpus(cpus: float) -> None:
    """Raises ValueError for an impossible number of CPUs."""
    if not 0 < cpus < math.inf:
        raise ValueError(f"cpus must be > 0 and finite, got {cpus}")


def check_uri(text: str) -> None:
    """Raises ValueError for a URI with a query, since names of files are appended to it."""
    if "://" in text and "=" in (query := urlsplit(text).query):
        raise ValueError(
            f"{text} has the query {query!r}, which a folder of files cannot have; leave it out, and set the "
            "environment variables of the storage instead: AWS_ENDPOINT_URL and AWS_REGION for s3"
        )


@dataclass(frozen=True)
class Resources:
    """What a sweep runs on. address: "local", "auto" or a head node's host:port. workers: trials at a time, 0 as many
    as the cluster holds. storage: of the checkpoints, a folder that all nodes see or an s3:// or gs:// URI; the
    sweep's own folder where empty. retries: how often a trial whose worker died starts again from its checkpoint.
    custom: Ray's custom resources that a trial needs. loggers: Ray's own, which write beside the checkpoints. devices:
    processes that train a trial together; if it has several GPUs, their number."""

    address: str = "local"
    workers: int = 0
    cpus: float = 1
    gpus: float = 0
    storage: str = ""
    retries: int = 3
    custom: dict[str, float] = field(default_factory=dict)
    loggers: tuple[str, ...] = ()
    devices: int = 1

    @property
    def a_trial(self) -> dict[str, float]:
        """What Ray reserves for a trial, by Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus, **self.custom}

    @property
    def processes(self) -> int:
        """How many processes train a trial."""
        return max(self.devices, int(self.gpus))

    def __post_init__(self) -> None:
        if self.address.startswith("ray://"):
            raise ValueError(
                f"address {self.address} is Ray's client, which a sweep cannot use; start the sweep on a node of the "
                "cluster with RAY_ADDRESS=auto (ray job submit does), or give the head's host:port"
            )
        check_cpus(self.cpus)
        check_uri(self.storage)
        for name in ("workers", "gpus", "retries"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus must be a share of one GPU or a whole number, got {self.gpus}")
        if self.devices < 1:
            raise ValueError(f"devices must be >= 1, got {self.devices}")
        if self.devices > 1 and self.gpus not in (0, self.devices):
            raise ValueError(f"a trial of {self.devices} devices has {self.devices} GPUs or none, got {self.gpus:g}")
        object.__setattr__(self, "loggers", tuple(self.loggers))  # JSON has lists
        for name, amount in self.custom.items():
            if not 0 < amount < math.inf:
                raise ValueError(f"the custom resource {name} must be > 0 and finite, got {amount}")


def add_resources(parser: argparse.ArgumentParser, workers: str) -> None:
    """Adds the options of `Resources` that sweeps and grids share. workers: the default of --workers, in words."""
    group = parser.add_argument_group("where it runs")
    address = "local, auto, or a head node's host:port (default: RAY_ADDRESS, else local)"
    group.add_argument("--ray", dest="address", default="", metavar="ADDRESS", help=address)
    group.add_argument("--workers", type=int, help=f"trials or cells at a time (default: {workers})")
    for name, what in (("cpus", "CPUs of each (default: 1)"), ("gpus", "GPUs of each, as 0.25 (default: 0)")):
        group.add_argument(f"--{name}-per-trial", f"--{name}_per_trial", dest=name, type=float, help=what)
    group.add_argument(
        "--custom-per-trial", "--custom_per_trial", dest="custom", action="append", metavar="NAME=AMOUNT",
        help="of a custom resource of the cluster, as ray start --resources names it",
    )  # fmt: skip
    group.add_argument("--retries", type=int, help="restarts where a worker dies (default: 3)")


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `Resources` that only Ray Tune has."""
    devices = "processes that train each trial together (default: one for each whole GPU of it, else 1)"
    parser.add_argument("--devices", type=int, help=devices)
    storage = "of checkpoints: a folder that all nodes see, s3://.. (default: the sweep's folder)"
    parser.add_argument("--storage", metavar="FOLDER", help=storage)
    loggers = "Ray Tune's loggers, which write beside the checkpoints (default: none)"
    parser.add_argument("--loggers", nargs="+", choices=LOGGERS, help=loggers)


def read_resources(options: argparse.Namespace, before: Resources) -> Resources:
    """The resources: those given, else RAY_ADDRESS, else `before`. Raises ValueError as `Resources`."""
    given = {f.name: value for f in fields(Resources) if (value := getattr(options, f.name, None)) is not None}
    given["address"] = options.address or os.environ.get("RAY_ADDRESS") or before.address
    if "custom" in given:
        given["custom"] = read_custom(given["custom"])
    resources = replace(before, **given)
    return resources if "cpus" in given else replace(resources, cpus=max(resources.cpus, resources.processes))


def read_custom(given: Sequence[str]) -> dict[str, float]:
    """NAME=AMOUNT of each --custom-per-trial. Raises ValueError for a malformed one."""
    amounts = {}
    for text in given:
        name, _, amount = text.partition("=")
        try:
            amounts[name.strip()] = float(amount)
        except ValueError:
            raise ValueError(f"--custom-per-trial takes NAME=AMOUNT, got {text!r}") from None
    return amounts
