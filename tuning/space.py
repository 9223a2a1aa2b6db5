"""The search space: a range for each setting around the paper's value, and how ranges are written on a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from pct.settings import Settings

# The weight of each method's own term, for every model.
WEIGHTS = {
    "entropy_weight": "loguniform(0.0001, 1.0)",  # 1e-3
    "guided_weight": "loguniform(0.1, 10.0)",  # 1
    "rationale_weight": "loguniform(0.01, 10.0)",  # 0.1
    "margin_weight": "loguniform(0.05, 2.0)",  # 0.3
    "margin_bound": "uniform(0.5, 4.0)",  # 2
    "keep_weight": "loguniform(0.1, 4.0)",  # 1
    "random_weight": "loguniform(0.1, 4.0)",  # 1
    "comp_weight": "loguniform(0.05, 2.0)",  # 0.5
    "suff_weight": "loguniform(0.05, 2.0)",  # 0.5
    "mask_weight": "loguniform(0.01, 1.0)",  # 0.1
}
# The paper's settings lie inside each range; its Tables 3 to 5 show how wide a range is useful.
SMALL = {
    "alpha": "loguniform(0.02, 1.0)",  # the paper's 0.1
    "temperature": "uniform(0.05, 1.2)",  # 0.7
    "batch_size": "choice(16, 32, 64, 96, 128)",  # 64
    "p_important": "uniform(0.05, 0.3)",  # 0.1
    "p_unimportant": "uniform(0.05, 0.3)",  # 0.1
    "lr": "loguniform(0.0001, 0.003)",  # 5e-4
    **WEIGHTS,
}
LARGE = SMALL | {
    "alpha": "loguniform(0.1, 3.0)",  # 1.2
    "batch_size": "choice(16, 32, 64)",  # 64
    "lr": "loguniform(0.00001, 0.0001)",  # 3e-5
    "margin_bound": "uniform(1.0, 8.0)",  # 4
}
RANGES: dict[str, dict[str, str]] = {
    "textcnn": SMALL,
    "lstm": SMALL,
    "bert": LARGE,
    # 0.15 and 0.15
    "distilbert": LARGE | {"alpha": "loguniform(0.02, 1.5)", "temperature": "uniform(0.05, 1.0)"},
}
# The settings that a method uses; the other ranges would be noise.
USED = {
    "normal": ("batch_size", "lr"),
    "entropy": ("entropy_weight", "batch_size", "p_unimportant", "lr"),
    "pct": ("alpha", "temperature", "batch_size", "p_important", "p_unimportant", "lr"),
    "masked": ("batch_size", "lr"),
    "saliency_guided": ("guided_weight", "batch_size", "p_unimportant", "lr"),
    "rationale": ("rationale_weight", "batch_size", "lr"),
    "removal_margin": (
        "margin_weight", "margin_bound", "keep_weight", "random_weight", "batch_size", "p_important", "p_unimportant",
        "lr",
    ),
    "unirex": ("comp_weight", "suff_weight", "batch_size", "lr"), "vmask": ("mask_weight", "batch_size", "lr"),
}  # fmt: skip
SHORT = {  # the names of settings in tables, which --set understands too
    "temperature": "tau", "batch_size": "batch", "p_important": "p_i", "p_unimportant": "p_u",
    "entropy_weight": "lambda",
}  # fmt: skip
ALIASES = {short: name for name, short in SHORT.items()} | {"learning_rate": "lr"}
# Only these may vary within a sweep: the others change what is measured, the tokens or the length of a trial.
TUNABLE = (
    *USED["pct"], *WEIGHTS, "method", "seed", "dropout", "optimizer", "weight_decay", "warmup", "schedule",
    "gradient_clip", "class_weights", "contrast_steps", "contrast_every",
    "comp_bound", "suff_bound", "train_removal",
)  # fmt: skip
FORMS = "a value, uniform(low, high), loguniform(low, high) or choice(a, b, ...)"


@dataclass(frozen=True)
class Range:
    """The values of one setting: between two (`uniform`, `loguniform`), or one of several (`choice`)."""

    kind: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.values))})"

    def holds(self, value: Any) -> bool:
        """Whether a value lies in the range."""
        if self.kind == "choice":
            return value in self.values
        return bool(self.values[0] <= value <= self.values[1])

    def distribution(self) -> Any:
        """The range as Optuna's distribution."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.kind == "choice":
            return CategoricalDistribution(self.values)
        low, high = self.values
        log = self.kind == "loguniform"
        return IntDistribution(low, high, log) if isinstance(low, int) else FloatDistribution(low, high, log)


def setting_name(name: str) -> str:
    """A setting's name from what is written: tau, p_i, p_u, lambda and dashes are understood. Raises ValueError."""
    written = name.strip().replace("-", "_")
    setting = ALIASES.get(written, written)
    if setting not in [f.name for f in fields(Settings)]:
        raise ValueError(f"unknown setting {name.strip()!r}; a sweep varies {', '.join(TUNABLE)}")
    return setting


def read_range(name: str, text: str, base: Settings) -> Range | Any:
    """A range or a fixed value, as it is written for a setting: `loguniform(0.05, 1.5)`, `choice(32, 64)`, `0.1`.

    Every bound is checked as the setting itself would be. Raises ValueError, naming the setting, the text and the
    forms that are understood.
    """
    match = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", text)
    if match is None:
        if not text.strip() or "(" in text or ")" in text:
            raise ValueError(f"{name}={text!r} is no range; write {FORMS}")
        return setting_value(name, text.strip(), text, base)
    kind, inside = match[1], [part.strip() for part in match[2].split(",")]
    if kind not in ("uniform", "loguniform", "choice") or not all(inside):
        raise ValueError(f"{name}={text!r} is no range; write {FORMS}")
    if name not in TUNABLE:
        raise ValueError(
            f"{name}={text!r}: {name} must be one value in a sweep, for it changes what is measured or how long a "
            f"trial is; ranges are for {', '.join(TUNABLE)}"
        )
    values = tuple(setting_value(name, part, text, base) for part in inside)
    if kind == "choice":
        if len(set(values)) != len(values):
            raise ValueError(f"{name}={text!r} names a value twice")
        return Range(kind, values)
    if len(values) != 2 or not all(isinstance(v, int | float) for v in values):
        raise ValueError(f"{name}={text!r}: {kind} takes two numbers, low and high; else write {FORMS}")
    low, high = values
    if not low < high:
        raise ValueError(f"{name}={text!r}: low must be below high")
    if kind == "loguniform" and low <= 0:
        raise ValueError(f"{name}={text!r}: loguniform needs low > 0; take uniform")
    return Range(kind, values)


def setting_value(name: str, part: str, text: str, base: Settings) -> Any:
    """A setting's value from what is written. text: all that was written, for the message. Raises ValueError."""
    try:
        # as a trial would have it: measured with shares of its own, so that a share of 0 is allowed
        changes = {"measure_important": 0.1, "measure_unimportant": 0.1, name: part}
        value = getattr(Settings.from_dict({**base.to_dict(), **changes}), name)
    except ValueError as problem:
        raise ValueError(f"{name}={text!r}: {problem}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}={text!r}: {part} is not a finite number")
    return value


def split_sets(given: Sequence[str]) -> list[str]:
    """NAME=VALUE of each --set; several may stand in one with semicolons between."""
    return [part for text in given for part in text.split(";")]


def read_sets(given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE of each --set, or of several in one with semicolons between, by the setting's name; the last one
    counts. Raises ValueError for a malformed one."""
    values = {}
    for one in split_sets(given):
        name, equals, text = one.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"--set takes NAME=VALUE, got {one!r}; VALUE is {FORMS}")
        values[setting_name(name)] = text.strip()
    return values


def make_space(base: Settings, fixed: Sequence[str], sets: dict[str, str]) -> tuple[Settings, dict[str, Range]]:
    """The settings that all trials share, and the ranges of the others.

    fixed: settings that were given on the command line: their ranges fall away. sets: what --set says stands above
    both. Raises ValueError where nothing is left to search.
    """
    read = {name: read_range(name, text, base) for name, text in sets.items()}
    values = {name: value for name, value in read.items() if not isinstance(value, Range)}
    base = base.replace(**{name: getattr(base, name) for name in fixed} | values)
    model = base.model if base.model in RANGES else "distilbert" if "distilbert" in base.model.lower() else "bert"
    method = read.get("method")
    methods = method.values if isinstance(method, Range) else (base.method,)
    # a method of another package: what every method looks at
    used = [name for name in RANGES[model] if any(name in USED.get(m, USED["normal"]) for m in methods)]
    ranges = {n: read_range(n, RANGES[model][n], base) for n in used if n not in fixed and n not in values}
    ranges |= {name: value for name, value in read.items() if isinstance(value, Range)}
    if not ranges:
        raise ValueError(f"nothing is left to search: every setting of method {base.method} is fixed; see --set")
    return base, ranges
