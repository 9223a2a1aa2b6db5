"""Tables as Markdown, CSV and LaTeX, and the report's tables of metrics and controls."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pct.metrics.names import CORE_METRICS, GAPS, gaps_of
from pct.output.numbers import for_json, number
from pct.output.report.groups import Group, mean_and_deviation
from pct.training.paper import RESULTS

CONTROLS = ("margin", "suff_margin", "win", "naopc_comp", "naopc_suff", "naopc-gap", "tau_loo", "separation")
LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "±": r"$\pm$", "α": r"$\alpha$", "τ": r"$\tau$", "−": "$-$"}


@dataclass(frozen=True)
class ReportTable:
    """A table of the report.

    Attributes:
        name: of its files.
        title: above the table.
        columns: the names of the columns.
        rows: cells as text, one per column.
        note: below the title.
        marked: the indices of the rows with the paper's numbers, which are shown in grey.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    marked: frozenset[int] = frozenset()

    def markdown(self) -> str:
        """A Markdown table with its title."""
        lines = [f"## {self.title}", "", *([self.note, ""] if self.note else [])]
        lines += ["| " + " | ".join(self.columns) + " |", "| --- " * len(self.columns) + "|"]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in self.rows)]) + "\n"

    def csv(self) -> str:
        """Comma-separated values with a header."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()

    def latex(self) -> str:
        """A LaTeX table, for a document that loads booktabs."""
        lines = [rf"\begin{{table}}\caption{{{_latex(self.title)}}}\label{{tab:{self.name}}}"]
        lines += [rf"\begin{{tabular}}{{{'l' * min(2, len(self.columns))}{'r' * (len(self.columns) - 2)}}}\toprule"]
        lines += [" & ".join(map(_latex, self.columns)) + r" \\\midrule"]
        lines += [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        return "\n".join([*lines, r"\bottomrule\end{tabular}", rf"% {_latex(self.note)}", r"\end{table}", ""])


def main_table(groups: Sequence[Group]) -> ReportTable:
    """Tables 1 and 2 of the paper: the eight metrics and the gaps over seeds, with the paper's numbers below."""
    rows: list[tuple[str, ...]] = []
    marked = set()
    for group in groups:
        s = group.settings
        cells = [format_spread(*group.spread(name)) for name in (*CORE_METRICS, *GAPS)]
        rows.append((s.corpus, s.model_name, group.label, str(len(group.runs)), *cells))
        paper = RESULTS.get(s.corpus, {}).get(s.model_name, {}).get(s.method)
        if paper and group.label == s.method:
            gaps = gaps_of(dict(zip(CORE_METRICS, paper, strict=True))).values()
            marked.add(len(rows))
            rows.append((s.corpus, s.model_name, f"{s.method}, the paper", "3", *map(format_number, (*paper, *gaps))))
    return ReportTable(
        "metrics", "Accuracy and the metrics of pathology (Tables 1 and 2)",
        ("corpus", "model", "method", "seeds", *CORE_METRICS, *map(spaced, GAPS)), tuple(rows),
        "Test split, mean ± standard deviation over seeds. Larger gaps are healthier.", frozenset(marked),
    )  # fmt: skip


def metric_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The main table as plain JSON types, not rounded: mean and standard deviation of every metric and gap over the
    seeds; None for NaN."""
    rows = []
    for group in groups:
        values = [run.test.metrics | run.test.gaps for run in group.runs]
        metrics = {name: [v[name] for v in values] for name in values[0]}
        corpus, model = group.corpus_model
        rows.append({
            "corpus": corpus, "model": model, "method": group.settings.method, "label": group.label,
            "runs": len(values),
            "metrics": {
                name: dict(zip(("mean", "deviation"), map(for_json, mean_and_deviation(x)), strict=True))
                for name, x in metrics.items()
            },
        })  # fmt: skip
    return rows


def controls_table(groups: Sequence[Group]) -> ReportTable | None:
    """The controls of each group; None where no run has controls."""
    measured = [g for g in groups if any(np.isfinite(g.spread(name)[0]) for name in CONTROLS)]
    if not measured:
        return None
    rows = tuple(
        (g.settings.corpus, g.settings.model_name, g.label, str(len(g.runs)),
         format_spread(*g.spread("comp")), *(format_spread(*g.spread(name)) for name in CONTROLS))
        for g in measured
    )  # fmt: skip
    return ReportTable(
        "controls", "Controls: comparison with random orders of removal",
        ("corpus", "model", "method", "seeds", "comp", *CONTROLS), rows,
        "margin: comp less comp of random orders. naopc: AOPC scaled between the least and the largest AOPC of any "
        "order in a text (300 texts), so that a less confident model has no advantage. tau_loo: Kendall's tau of "
        "saliency and leave-one-out. separation: cosine of representations after unimportant less after important "
        "removals.",
    )  # fmt: skip


def spaced(name: str) -> str:
    """A gap's name with spaces: comp − suff."""
    return name.replace("-", " − ")


def format_spread(mean: float, deviation: float) -> str:
    """A mean with its deviation: 0.123 ± 0.004; a dash for NaN."""
    if not np.isfinite(mean):
        return "–"
    return format_number(mean) + (f" ± {format_number(deviation)}" if np.isfinite(deviation) else "")


def format_number(value: float) -> str:
    """A number with three decimals below one, one above ten, else two, and with a typographic minus."""
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
    return number(value, digits).replace("-", "−")


def verdict_of(cell: str) -> str:
    """The verdict with which a cell begins; empty where it begins with none."""
    return next((kind for kind in ("not held", "held", "undecided", "not run") if cell.startswith(kind)), "")


def _latex(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in text)
