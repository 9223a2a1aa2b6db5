"""The result of an audit: its numbers, its judgement, and its output formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from pct.auditing.gate import Requirement
from pct.auditing.judgement import Judgement
from pct.auditing.plan import CONTROL
from pct.metrics.bootstrap import Interval
from pct.output.numbers import for_json, number, spell
from pct.writing import write_text

FORMAT = 1
PARTS = {"facts": dict, "refused": dict, "curves": dict, "examples": list, "about": dict}  # of the JSON


@dataclass(frozen=True)
class AuditRow:
    """The numbers of a saliency under a removal.

    Attributes:
        saliency: its name.
        removal: delete, mask or unknown.
        signed: whether the saliency is signed.
        passes: the passes per text, the mean over the texts.
        milliseconds: the time per text to compute it; a shared reduced text counts for the first saliency only.
        metrics: by name, with 95 % intervals over the texts.
    """

    saliency: str
    removal: str
    signed: bool
    passes: float
    milliseconds: float
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class Audit:
    """The result of an audit: which explanation of a model can be trusted.

    Attributes:
        judgement: the judgement.
        rows: the numbers of each saliency under each removal.
        texts: the number of texts measured.
        facts: about the model on these texts: accuracy and largest_class (None without labels), confidence, cut_texts,
            windows (only of a model that reads them), shown; of a model that gives a number, errors and number.
        refused: why a saliency was left out, by its name.
        curves: for each "saliency, removal", the mean confidence after 0, 1, 5, 10, 20 and 50 % of the words were
            removed, most salient and least salient first.
        examples: the most pathological texts under the best saliency, as `Explanation.to_dict` gives them.
        about: the model, the data and the options, by name.
    """

    judgement: Judgement
    rows: list[AuditRow]
    texts: int
    facts: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)
    curves: dict[str, list[list[float]]] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The saliency to show; empty where none beats a random order."""
        return self.judgement.best

    @property
    def headline(self) -> str:
        """The judgement in one line."""
        if self.judgement.learned is False:
            return "The model is not significantly better than its most frequent class"
        return f"Best saliency: {self.best}" if self.best else "No saliency beats a random order"

    @property
    def quantity(self) -> str:
        """What is explained: the confidence or a number."""
        return "number" if "number" in self.facts else "confidence"

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self.about.get("model") or "a model")

    @property
    def removals(self) -> list[str]:
        """The removals, the one that decided first."""
        return list(dict.fromkeys([self.judgement.removal, *(row.removal for row in self.rows)]))

    @property
    def verdict(self) -> str:
        """The judgement in sentences."""
        return " ".join(self.judgement.verdict)

    @property
    def advice(self) -> str:
        """What the owner of the model can do."""
        return " ".join(self.judgement.advice)

    def row(self, saliency: str, removal: str = "") -> AuditRow:
        """The row of a saliency; where no removal is named, under the one that decided.

        Raises:
            KeyError: it was not measured.
        """
        wanted = removal or self.judgement.removal
        for row in self.rows:
            if (row.saliency, row.removal) == (saliency, wanted):
                return row
        raise KeyError(f"{saliency} under {wanted} was not measured")

    @property
    def best_metrics(self) -> dict[str, Interval]:
        """The metrics of the best saliency; of a random order where none beats it; `acc` among them."""
        name = self.best or CONTROL
        # some metrics are measured only under the first removal, which need not be the one that decided
        metrics = {**self.row(name, self.rows[0].removal).metrics, **self.row(name).metrics}
        accuracy = self.facts.get("accuracy")
        return metrics if accuracy is None else {**metrics, "acc": Interval(*accuracy)}

    def unmet(self, requirements: Sequence[str]) -> list[str]:
        """The requirements that the best saliency does not meet, by the lower (or upper) end of its interval.

        Args:
            requirements: such as "margin>0.02".

        Raises:
            ValueError: one cannot be parsed, or names a metric that was not measured.
        """
        lines = []
        for text in requirements:
            requirement = Requirement.parse(text)
            # without a best saliency, the numbers are those of the control and meet no requirement but acc
            if self.best or requirement.metric == "acc":
                lines.append(requirement.failure(self.best_metrics))
            else:
                lines.append(f"{text} is not met: no saliency beats a random order")
        return [line for line in lines if line]

    @property
    def table(self) -> str:
        """The rows as a table for a terminal, the largest margin first, with as many metrics as fit its width."""
        from pct.output.audit_table import audit_table

        return audit_table(self)

    def ranked(self, removal: str) -> list[AuditRow]:
        """The rows of a removal, the largest margin first; those without one last."""
        rows = [row for row in self.rows if row.removal == removal]
        return sorted(rows, key=lambda row: -np.nan_to_num(row.metrics["margin"].value, nan=-np.inf))

    def summary(self) -> str:
        """The judgement, the table and what was left out, for a terminal."""
        from textwrap import fill

        from pct.output.audit_table import refused_by_reason, terminal_width

        accuracy = self.facts.get("accuracy")
        correct = "" if accuracy is None else f", accuracy {spell(accuracy)}"
        errors = "".join(f", {name} {number(x)}" for name, x in (self.facts.get("errors") or {}).items())
        head = f"{self.model} on {self.texts} texts{correct}{errors}"
        refused = [f"left out: {', '.join(names)}: {reason}" for reason, names in refused_by_reason(self)]
        note = "95 % intervals over the texts; * the saliency to show; random: the control"
        sentences = [*self.judgement.verdict, *self.judgement.advice]
        wrapped = [fill(line, terminal_width(), break_on_hyphens=False) for line in [head, *sentences]]
        wrapped_refused = [fill(line, terminal_width(), break_on_hyphens=False) for line in refused]
        return "\n".join([*wrapped, "", self.table, "", note, *wrapped_refused])

    def __repr__(self) -> str:
        """The summary."""
        return self.summary()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; NaN as None. `Audit.from_dict` reads it."""
        values = {
            "format": FORMAT, "best": self.best, "verdict": self.verdict, "advice": self.advice,
            "judgement": asdict(self.judgement), "texts": self.texts, "facts": self.facts,
            "rows": [vars(row) for row in self.rows],
            "refused": self.refused, "curves": self.curves, "examples": self.examples, "about": self.about,
        }  # fmt: skip
        return {key: _plain(value) for key, value in values.items()}

    def to_json(self) -> str:
        """`to_dict` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ValueError: the values have another format, or are damaged.
        """
        try:
            if values["format"] != FORMAT:
                raise ValueError(f"the audit has format {values['format']}, not {FORMAT}; audit again")
            rows = [
                AuditRow(**{**row, "metrics": {k: _interval(ends) for k, ends in row["metrics"].items()}})
                for row in values["rows"]
            ]
            for name, kind in PARTS.items():
                if not isinstance(values[name], kind):
                    raise TypeError(f"{name} is {values[name]!r:.40}")
            parts = {name: values[name] for name in PARTS}
            return cls(Judgement(**values["judgement"]), rows, values["texts"], **parts)
        except (KeyError, TypeError) as problem:
            raise ValueError(f"this is not an audit, or it is damaged ({problem}); audit again") from problem

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a JSON file that `save` wrote. Raises as `from_dict`, and FileNotFoundError."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as problem:
            raise ValueError(f"{path} holds no audit ({problem}); audit again") from problem
        return cls.from_dict(values)

    def to_markdown(self) -> str:
        """The judgement and the table for a model card."""
        from pct.output.audit_page import audit_markdown

        return audit_markdown(self)

    def to_html(self) -> str:
        """A fragment with its own style: judgement, intervals, curves and the most pathological texts."""
        from pct.output.audit_page import audit_html

        return audit_html(self)

    _repr_html_ = to_html

    def plot(self) -> Any:
        """A matplotlib figure: margin and win of each saliency with their intervals, one row of panels per removal.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from pct.output.audit_plot import audit_figure

        return audit_figure(self)

    def to_pandas(self) -> Any:
        """A DataFrame with one row per saliency and removal; the ends of each metric's interval as `_low` and `_high`.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.records import pandas

        rows = []
        for row in self.rows:
            flat: dict[str, Any] = {k: v for k, v in vars(row).items() if k != "metrics"}
            for name, x in row.metrics.items():
                flat |= {name: x.value, f"{name}_low": x.low, f"{name}_high": x.high}
            rows.append(flat)
        return pandas().DataFrame(rows)

    def save(self, path: str | Path) -> None:
        """Writes the audit in the format of the file's extension: .html (one page), .md or .json.

        Args:
            path: the file, written atomically.

        Raises:
            ValueError: another extension.
        """
        from pct.output.audit_page import audit_page

        kinds: dict[str, Callable[[Audit], str]] = {
            ".html": audit_page, ".md": Audit.to_markdown, ".json": Audit.to_json
        }  # fmt: skip
        make = kinds.get(Path(path).suffix)
        if make is None:
            raise ValueError(f"an audit is written as {', '.join(kinds)}, got {str(path)!r}")
        write_text(Path(path), make(self))


def _interval(ends: Sequence[float | None]) -> Interval:
    return Interval(*(np.nan if x is None else float(x) for x in ends))


def _plain(value: Any) -> Any:
    """JSON types, with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return for_json(value) if isinstance(value, float) else value
