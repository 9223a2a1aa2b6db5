"""The change between two models measured on the same texts, and whether it is an improvement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pct.corpora.splits import index_of_classes
from pct.metrics.bootstrap import FEWEST_TEXTS, Interval, paired_bootstrap
from pct.metrics.column_files import Column
from pct.metrics.label_sets import names_of, sets_of
from pct.metrics.names import CORE_METRICS, GAPS, gaps_of
from pct.metrics.number_errors import NUMBER, TRUE_NUMBER
from pct.metrics.report import Report
from pct.output.numbers import for_json, number
from pct.text.plurals import plural

CONTROLS = ("margin", "win")
CLAIM = "comp-suff"  # must be larger in an improved model
# must not be smaller in an improved model; i_var - u_var grows with the number of words and is only reported
GUARDED = {"ur-ir": "ur-ir", "margin": "the margin of comp over a random order"}
# of accuracy; of a number, the growth of its mean absolute error in standard deviations of the true numbers
LARGEST_LOSS = 0.01
SMALLEST_GAIN = 0.01  # of comp - suff


@dataclass(frozen=True)
class Change:
    """The change between two models.

    Attributes:
        before: the report of the first model.
        after: the report of the second model on the same texts.
        differences: for each of the eight metrics, each gap and each control that both reports have, after - before
            with its 95 % interval (paired bootstrap over the texts). Of several labels, a text has the mean over its
            explained labels, here and in `rows`: the two models may explain different labels.
        changed: the number of texts whose predicted class differs; 0 for numbers, also for the next two.
        repaired: the number of texts that only the second model predicts correctly.
        broken: the number of texts that only the first model predicts correctly.
    """

    before: Report
    after: Report
    differences: dict[str, Interval]
    changed: int
    repaired: int
    broken: int

    @property
    def reasons_against(self) -> list[str]:
        """Why the second model is not an improvement; empty where it is.

        It is an improvement where comp - suff is significantly larger (its interval lies above zero) and by at least a
        point, neither ur - ir nor the margin of comp over a random order is significantly smaller, and accuracy is at
        most a point lower (of numbers: the mean absolute error grows by at most a hundredth of their standard
        deviation). Without the margin a model that merely became more sensitive to any removal would pass. Fewer than
        `FEWEST_TEXTS` texts are not judged.
        """
        reasons, gained = [], self.differences.get(CLAIM)
        texts = int(np.isfinite(self.before.by_text.get("comp", [])).sum())
        if texts < FEWEST_TEXTS:
            reasons.append(f"{plural(texts, 'text')} of two words or more, fewer than {FEWEST_TEXTS}")
        if "mae" in self.differences:
            loss = self.differences["mae"].value
            if not loss <= LARGEST_LOSS * float(np.std(self.before.columns[TRUE_NUMBER])):
                reasons.append(f"the error grew by {loss:.3g}, more than {LARGEST_LOSS} of the numbers' deviation")
        elif "acc" not in self.differences:
            reasons.append("accuracy was not measured")
        elif not (loss := -self.differences["acc"].value) <= LARGEST_LOSS + 1e-9:
            reasons.append(f"accuracy lost {loss:.3f}, more than {LARGEST_LOSS}")
        if gained is None or not gained.low > 0:
            reasons.append(f"{CLAIM} did not become significantly larger")
        elif gained.value < SMALLEST_GAIN:
            reasons.append(f"{CLAIM} grew by {gained.value:.2g}, less than {SMALLEST_GAIN}")
        lost = {name: x for name in GUARDED if (x := self.differences.get(name)) is not None and x.high < 0}
        reasons += [f"{GUARDED[name]} became smaller by {-x.value:.3f}" for name, x in lost.items()]
        if "margin" not in self.differences:
            reasons.append(f"{GUARDED['margin']} was not measured")
        return reasons

    @property
    def improved(self) -> bool:
        """Whether the second model is an improvement."""
        return not self.reasons_against

    @property
    def verdict(self) -> str:
        """The judgement in one sentence."""
        if against := self.reasons_against:
            return f"not improved: {'; '.join(against)}"
        loss = f"accuracy lost at most {LARGEST_LOSS}"
        if "mae" in self.differences:
            loss = f"the error grew by at most {LARGEST_LOSS} of the numbers' deviation"
        guarded = " and ".join(GUARDED)
        return f"improved: {CLAIM} is significantly larger, {guarded} are not significantly smaller, and {loss}"

    def rows(self) -> list[tuple[str, float, float, Interval]]:
        """(name, before, after, difference) of every metric, gap and control."""
        values = [_means(r) for r in (self.before, self.after)]
        return [(name, values[0][name], values[1][name], x) for name, x in self.differences.items()]

    def cells(self) -> list[tuple[str, str, str, str, str]]:
        """`rows` as text: name, before, after, change, interval."""
        return [
            (name, number(a, 4), number(b, 4), number(x.value, 4, signed=True),
             f"{number(x.low, 4, signed=True)} .. {number(x.high, 4, signed=True)}")
            for name, a, b, x in self.rows()
        ]  # fmt: skip

    def table(self) -> str:
        """The change for a terminal."""
        lines = [f"{'metric':<14}{'before':>10}{'after':>10}{'change':>10}{'95 % interval':>22}"]
        lines += [f"{name:<14}{a:>10}{b:>10}{change:>10}{ends:>22}" for name, a, b, change, ends in self.cells()]
        if self.before.saliency != self.after.saliency:
            lines.append(f"words ranked by {self.before.saliency} before, by {self.after.saliency} after")
        return "\n".join([*lines, self.predictions, self.verdict])

    def __repr__(self) -> str:
        """The table: the values of each text are in the reports."""
        return self.table()

    def _repr_html_(self) -> str:
        from pct.output.html import change_html

        return change_html(self)

    def markdown(self) -> str:
        """The change for a model card."""
        lines = ["| metric | before | after | change | 95 % interval |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(cells)} |" for cells in self.cells()]
        return "\n".join([*lines, "", f"{self.predictions}. {self.verdict[0].upper()}{self.verdict[1:]}."])

    @property
    def predictions(self) -> str:
        """The changed predictions in one sentence."""
        texts = self.before.texts
        if "mae" in self.differences:
            return f"{texts} numbers were given"
        other = self.changed - self.repaired - self.broken
        return (
            f"{self.changed} of {texts} predictions changed: {self.repaired} repaired, {self.broken} broken, "
            f"{other} wrong both times"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; NaN is written as null."""
        rows = {
            name: {k: for_json(v) for k, v in {"before": a, "after": b, **x._asdict()}.items()}
            for name, a, b, x in self.rows()
        }
        about = {k: getattr(self, k) for k in ("changed", "repaired", "broken", "improved", "reasons_against")}
        return {"texts": self.before.texts, **about, "metrics": rows}


def _means(report: Report) -> dict[str, float]:
    """Metrics and gaps as means over texts, also of several labels."""
    if not report.of_pairs:
        return report.metrics | report.gaps
    columns = report.by_text
    means = {n: float(np.nanmean(columns[n])) for n in report.metrics if n in columns}
    return means | gaps_of(means)


def check_same_classes(first: Sequence[str], second: Sequence[str]) -> None:
    """Raises ValueError unless two models have the same classes, in any order, in upper or lower case."""
    if sorted(map(str.casefold, first)) != sorted(map(str.casefold, second)):
        raise ValueError(
            f"the models have different classes: {', '.join(first)}, and {', '.join(second)}; name them alike "
            "(id2label in the config.json of a transformers model)"
        )


def _in_order_of(classes: Sequence[str], report: Report) -> dict[str, Column]:
    """`Report.by_text` of a model whose classes may have another order, with its classes in this order."""
    columns, own = report.by_text, report.classes
    if "label" not in columns or own == list(classes):
        return columns
    check_same_classes(classes, own)
    index = index_of_classes(own, classes)
    labels = {name: columns[name] for name in ("label", "predicted")}
    if report.of_pairs:
        return columns | {
            name: names_of(sets_of(v.tolist(), own)[:, np.argsort(index)], classes) for name, v in labels.items()
        }
    return columns | {name: index[v] for name, v in labels.items()}


def compare_reports(before: Report, after: Report, seed: int = 0) -> Change:
    """The change between two reports of the same texts.

    Args:
        before: the report of the first model, with its columns.
        after: the report of the second model.
        seed: of the bootstrap.

    Raises:
        ValueError: the reports are not of the same texts, or of other classes.
    """
    first, second = before.by_text, _in_order_of(before.classes, after)
    if not {"label", TRUE_NUMBER} & first.keys():
        raise ValueError("two models are compared on labelled texts, and these have no labels: set label_column")
    names = ("label", "predicted") if "label" in first else (TRUE_NUMBER, NUMBER)
    if not np.array_equal(first[names[0]], second[names[0]]):
        raise ValueError("the two reports are not of the same texts: measure both models on one split")
    pairs = {
        name: (first[name], second[name])
        for name in ("mae", *CORE_METRICS, *CONTROLS)
        if name in first and name in second
    }
    gaps = {
        gap: (first[a] - first[b], second[a] - second[b]) for gap, (a, b) in GAPS.items() if a in pairs and b in pairs
    }
    controls = {name: pairs.pop(name) for name in CONTROLS if name in pairs}
    differences = {name: paired_bootstrap(*pair, seed=seed) for name, pair in (pairs | gaps | controls).items()}
    if names[1] == NUMBER:
        return Change(before, after, differences, 0, 0, 0)
    was_right, is_right = (columns["predicted"] == columns["label"] for columns in (first, second))
    changed = first["predicted"] != second["predicted"]
    return Change(
        before,
        after,
        differences,
        int(changed.sum()),
        int((~was_right & is_right).sum()),
        int((was_right & ~is_right).sum()),
    )
