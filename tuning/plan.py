"""The plan of a sweep: what is searched. It is kept as JSON in the sweep's folder, with the resources."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pct.settings import Settings
from pct.writing import write_text
from tuning.resources import Resources
from tuning.space import USED, Range, read_range

PLAN = "sweep.json"
# fields of plans until 0.1.0, as a sweep had them
FORMER: dict[str, Any] = {"kind": "sweep", "split": "validation", "points": (), "name": ""}
MODES = ("pareto", "single")
KIND = "sweep"


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
        if self.base.has_number:
            raise ValueError("a sweep compares accuracies, and a number has none: leave head value out")
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
        return {name: values for name, values in self.read_ranges().items() if name in USED["normal"]}

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
