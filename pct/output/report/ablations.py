"""The paper's Tables 3, 4 and 5 from runs that differ in one setting, with plots and claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pct.output.plots import FAINT, IMPORTANT, INK, UNIMPORTANT, bare, new_figure, put_titles
from pct.output.report.claims import LEARNED, ClaimVerdict, Effect, decide, format_interval
from pct.output.report.groups import GAP, BySeed, Group, difference, matching_baseline, settings_beside
from pct.output.report.tables import ReportTable, format_number, format_spread, spaced
from pct.settings import Settings
from pct.training.paper import TABLES, PaperRow

ABLATED = ("method", "batch_size", "p_important", "p_unimportant", "temperature", "alpha")
FULL = {"contrast_steps": "all", "contrast_every": 1}  # the paper's form of pct, without its cheaper variants
PAPER = ("mr", "textcnn")  # the corpus and model of the paper's tables
FEWEST = 3  # cells of a table; two exist wherever normal and pct were compared
TOLERANCE = 0.02  # of confidence: a smaller change of a gap counts as none
SMALL, LARGE = ("4", "8"), ("128", "96", "64")  # batch sizes, in order of preference

CorpusModel = tuple[str, str]


@dataclass(frozen=True)
class MeasuredRow:
    """A cell of a table and the group that ran it. normal: the matching normal training, where it was run."""

    cell: PaperRow
    group: Group
    normal: Group | None

    @property
    def gain(self) -> BySeed:
        """comp - suff less that of normal training; empty without another group of normal training."""
        return {} if self.normal is None or self.normal is self.group else self.group.less(self.normal, GAP)


def ablation_rows(groups: Sequence[Group], name: str) -> dict[CorpusModel, list[MeasuredRow]]:
    """Corpus and model -> the cells of a table that were run: groups that differ only in the settings of a cell.

    Of several sets of such groups (for example of two learning rates), the one with the most cells is taken.
    """
    sets: dict[tuple[Any, ...], dict[str, MeasuredRow]] = {}
    for cell in TABLES[name].cells:
        for group in groups:
            if _runs_cell(cell, group.settings):
                rows = sets.setdefault((group.corpus_model, settings_beside(group.settings, "batch_size")), {})
                rows.setdefault(cell.label, MeasuredRow(cell, group, matching_baseline(group, groups)))
    largest: dict[CorpusModel, list[MeasuredRow]] = {}
    for (corpus_model, _), rows in sets.items():
        if len(rows) > len(largest.get(corpus_model, [])):
            largest[corpus_model] = list(rows.values())
    return largest


def _runs_cell(cell: PaperRow, settings: Settings) -> bool:
    paper = Settings(model=settings.model)
    wanted = {key: cell.changes.get(key, getattr(paper, key)) for key in ABLATED}
    if settings.method == "normal":  # the other settings have no effect
        wanted = {key: wanted[key] for key in ("method", "batch_size")}
    else:
        wanted |= FULL
    return all(getattr(settings, key) == value for key, value in wanted.items())


def ablation_table(groups: Sequence[Group], effects: Sequence[Effect], name: str) -> ReportTable | None:
    """One of the tables, with the paper's numbers below each row; None where too few cells were run."""
    columns, gains = TABLES[name].columns, {id(effect.group): effect.changes[GAP] for effect in effects}
    cells, marked = [], set()
    for corpus_model, rows in _shown(groups, name).items():
        for row in rows:
            values = [format_spread(*row.group.spread(metric)) for metric in (*columns, GAP)]
            gain = gains.get(id(row.group))
            cells.append((*corpus_model, row.cell.label, str(len(row.group.runs)), *values,
                          "" if gain is None else format_interval(gain)))  # fmt: skip
            if corpus_model == PAPER:
                marked.add(len(cells))
                paper = (*row.cell.paper, row.cell.paper[2] - row.cell.paper[3])
                cells.append((*corpus_model, f"{row.cell.label}, the paper", "3", *map(format_number, paper), ""))
    return ReportTable(
        name.replace("_", "-"), TABLES[name].title,
        ("corpus", "model", "cell", "seeds", *columns, spaced(GAP), "less normal's"), tuple(cells),
        "Test split, mean ± standard deviation over seeds. Less normal's: comp − suff less that of normal training "
        "with the same other settings, with its 95 % interval.", frozenset(marked),
    ) if cells else None  # fmt: skip


def ablation_claims(groups: Sequence[Group]) -> ReportTable | None:
    """The paper's claims on its ablations, and further ones, judged as its other claims; None where none was run."""
    rows = []
    for claim in CLAIMS:
        for corpus_model, cells in ablation_rows(groups, claim.table).items():
            verdict = claim.judge([row for row in cells if not row.group.at_chance])
            if verdict is not None:
                rows.append((*corpus_model, claim.text, str(verdict)))
    columns = ("corpus", "model", "claim", "verdict")
    title = "The paper's claims on its settings"
    return ReportTable("ablation-claims", title, columns, tuple(rows), LEARNED.strip()) if rows else None


def ablation_figure(groups: Sequence[Group], name: str) -> Any | None:
    """Accuracy and comp - suff over the cells, with those of the paper and of normal training; None where too few cells
    were run."""
    shown = _shown(groups, name)
    if not shown:
        return None
    figure = new_figure(10.5, 4.4 * len(shown))
    axes = figure.subplots(len(shown), 2, squeeze=False)
    for panels, (corpus_model, rows) in zip(axes, shown.items(), strict=True):
        for ax, metric in zip(panels, ("acc", GAP), strict=True):
            x = np.arange(len(rows))
            means, deviations = np.array([row.group.spread(metric) for row in rows]).T
            normal = [row.normal.spread(metric)[0] if row.normal else np.nan for row in rows]
            ax.errorbar(x, means, np.nan_to_num(deviations), color=UNIMPORTANT, marker="o", capsize=3, label="measured")
            if np.isfinite(normal).any():
                ax.plot(x, normal, color=FAINT, marker="^", markersize=4.5, label="matching normal training")
            if corpus_model == PAPER:
                paper = [r.cell.paper[0] if metric == "acc" else r.cell.paper[2] - r.cell.paper[3] for r in rows]
                ax.plot(x, paper, color=IMPORTANT, marker="s", markersize=4.5, linestyle="--", label="the paper")
            ax.set_xticks(x, [row.cell.label for row in rows], rotation=30, ha="right")
            ax.set_title(f"{' '.join(corpus_model)}: {spaced(metric)}", fontsize=11, color=INK)
            ax.legend(frameon=False, fontsize=9)
            bare(ax)
    put_titles(figure, TABLES[name].title, "test split; bars: standard deviation over seeds")
    return figure


def _shown(groups: Sequence[Group], name: str) -> dict[CorpusModel, list[MeasuredRow]]:
    return {corpus_model: rows for corpus_model, rows in ablation_rows(groups, name).items() if len(rows) >= FEWEST}


@dataclass(frozen=True)
class AblationClaim:
    """A claim on two cells of a table: the metric of one less that of the other lies between two bounds.

    Attributes:
        text: of the claim.
        table: the name of the table.
        one: the labels of the first cell, in order of preference.
        other: the labels of the second cell.
        metric: what is compared.
        of_gains: compare the gains over the cells' own normal trainings.
        above: the lower bound.
        below: the upper bound.
    """

    text: str
    table: str
    one: tuple[str, ...]
    other: tuple[str, ...]
    metric: str = GAP
    of_gains: bool = False
    above: float = 0.0
    below: float = math.inf

    def judge(self, rows: Sequence[MeasuredRow]) -> ClaimVerdict | None:
        """The verdict; None where one of the cells was not run."""
        by_label = {row.cell.label: row for row in rows if row.gain or not self.of_gains}
        one, other = (
            next((by_label[label] for label in labels if label in by_label), None) for labels in (self.one, self.other)
        )
        if one is None or other is None:
            return None
        values = difference(one.gain, other.gain) if self.of_gains else one.group.less(other.group, self.metric)
        return decide(values, self.above, self.below)


CLAIMS = (
    AblationClaim("a large alpha (1.2) costs accuracy against 0.1", "alpha", ("0.1",), ("1.2",), "acc"),
    AblationClaim(
        f"comp − suff moves less than {TOLERANCE} between the shares 0.1 and 0.3", "shares", ("p_u = p_i = 0.3",),
        ("p_u = p_i = 0.1",), above=-TOLERANCE, below=TOLERANCE,
    ),
    AblationClaim(
        "a batch of 64 or more gives a larger comp − suff than one of 4 or 8", "batch_size", LARGE, SMALL
    ),
    AblationClaim(
        "beyond the paper: a batch of 64 or more gains more over its own normal training than one of 4 or 8",
        "batch_size", LARGE, SMALL, of_gains=True,
    ),
)  # fmt: skip
