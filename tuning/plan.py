"""The plan of a sweep: what is searched, and on which resources. It is kept as JSON in the sweep's folder."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pct.settings import Settings
from pct.writing import write_text
from tuning.space import USED, Range, read_range

PLAN = "sweep.json"
# fields of plans until 0.1.0, as a sweep had them
FORMER: dict[str, Any] = {"kind": "sweep", "split": "validation", "points": (), "name": ""}
MODES = ("pareto", "single")
KIND = "sweep"


def check_cpus(cpus: float) -> None:
    """Raises ValueError for an impossible number of CPUs."""
    if not 0 < cpus < math.inf:
        raise ValueError(f"cpus must be > 0 and finite, got {cpus}")


@dataclass(frozen=True)
class Resources:
    """What a sweep runs on. address: "local", "auto" or a head node's host:port. workers: trials at a time, 0 as many
    as the cluster holds. storage: of the checkpoints, a folder that all nodes see or an s3:// or gs:// URI; the
    sweep's own folder where empty. retries: how often a trial whose worker died starts again from its checkpoint.
    custom: Ray's custom resources that a trial needs. loggers: Ray's own, which write beside the checkpoints."""

    address: str = "local"
    workers: int = 0
    cpus: float = 1
    gpus: float = 0
    storage: str = ""
    retries: int = 3
    custom: dict[str, float] = field(default_factory=dict)
    loggers: tuple[str, ...] = ()

    @property
    def a_trial(self) -> dict[str, float]:
        """What Ray reserves for a trial, by Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus, **self.custom}

    def __post_init__(self) -> None:
        if self.address.startswith("ray://"):
            raise ValueError(
                f"address {self.address} is Ray's client, which a sweep cannot use; start the sweep on a node of the "
                "cluster with RAY_ADDRESS=auto (ray job submit does), or give the head's host:port"
            )
        check_cpus(self.cpus)
        for name in ("workers", "gpus", "retries"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")
        object.__setattr__(self, "loggers", tuple(self.loggers))  # JSON has lists
        for name, amount in self.custom.items():
            if not 0 < amount < math.inf:
                raise ValueError(f"the custom resource {name} must be > 0 and finite, got {amount}")


@dataclass(frozen=True)
class Plan:
    """What is searched.

    base: the settings that all trials share. ranges: those of the others, as they are written. trials: how many.
    mode: "pareto" (accuracy and gap at once) or "single" (the gap, with accuracy kept within `margin` of the normal
    baseline). sweep_baseline: normal training is searched as well, with as many trials, over its own settings in
    `ranges`.
    """

    base: Settings
    ranges: dict[str, str] = field(default_factory=dict)
    trials: int = 40
    mode: str = "pareto"
    margin: float = 0.01
    seed: int = 0
    baseline: bool = True
    stop_early: bool = False
    sweep_baseline: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if self.seed < 0:
            raise ValueError(f"sweep_seed must be >= 0, got {self.seed}")
        if self.trials < 1:
            raise ValueError(f"trials must be >= 1, got {self.trials}")
        if not 0 <= self.margin <= 1:
            raise ValueError(f"margin must be in [0, 1] (0.01 is one point of accuracy), got {self.margin}")
        if self.sweep_baseline and not self.baseline_ranges():
            raise ValueError(
                "the baseline has nothing to sweep: lr and batch_size are fixed; leave one of --lr and --batch-size out"
            )
        if self.mode == "single" and not (self.baseline and self.base.evaluate_epochs):
            raise ValueError(
                "mode single needs the normal baseline and --evaluate-epochs true: trials are judged by both"
            )

    def read_ranges(self) -> dict[str, Range]:
        """The ranges, parsed."""
        return {name: read_range(name, text, self.base) for name, text in self.ranges.items()}

    def baseline_ranges(self) -> dict[str, Range]:
        """The ranges of the settings that normal training uses."""
        return {name: found for name, found in self.read_ranges().items() if name in USED["normal"]}

    def settings(self, config: dict[str, Any]) -> Settings:
        """The settings of a trial: base with the trial's values."""
        return Settings.from_dict({**self.base.to_dict(), **config})

    def default_folder(self, root: str | Path = "runs") -> Path:
        """runs/sweep-<corpus>-<model>-<method>-<mode>-<hash>, without the number of trials: a sweep can be extended."""
        label = f"{self.base.corpus}-{self.base.model_name}-{self.base.method}-{self.mode}"
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{KIND}-{label}")
        about = {**asdict(replace(self, trials=1)), **FORMER}  # folders of earlier versions are found again
        if not self.sweep_baseline:
            del about["sweep_baseline"]
        return Path(root) / f"{name}-{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]}"

    def save(self, folder: Path, resources: Resources) -> None:
        """Writes sweep.json."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / PLAN, json.dumps({"plan": asdict(self), "resources": asdict(resources)}, indent=2))

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, Resources]:
        """Reads sweep.json. Raises FileNotFoundError for a folder without one, ValueError for a damaged one."""
        path = folder / PLAN
        if not path.is_file():
            raise FileNotFoundError(f"{folder} holds no sweep: {PLAN} is missing; give the folder that pct sweep named")
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            kind = about["plan"].get("kind", KIND)
            values = {name: value for name, value in about["plan"].items() if name not in FORMER}
            values["base"] = Settings.from_saved(values["base"])
            plan, resources = cls(**values), Resources(**about.get("resources", about.get("means")))  # until 0.1.0
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError(f"{path} is damaged ({problem}); start the sweep in another folder") from problem
        if kind != KIND:
            raise ValueError(f"{folder} holds an ablation of an earlier version; run pct reproduce --table instead")
        return plan, resources
