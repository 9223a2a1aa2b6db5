"""The paper's Tables 3, 4 and 5 from runs that differ in one setting, with plots and claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pct.output.plots import FAINT, IMPORTANT, INK, UNIMPORTANT, bare, new_figure, put_titles
from pct.output.report.claims import LEARNED, ClaimVerdict, Effect, decide, decide_within, format_interval
from pct.output.report.groups import (
    GAP,
    Doubles,
    Group,
    difference_by_seed,
    matching_baseline,
    paired_difference,
    settings_beside,
    stacked_difference,
)
from pct.output.report.tables import ReportTable, format_number, format_spread, spaced
from pct.settings import Settings
from pct.training.paper_tables import TABLES, PaperRow

ABLATED = ("method", "batch_size", "p_important", "p_unimportant", "temperature", "alpha")
FULL = {"contrast_steps": "all", "contrast_every": 1}  # the paper's form of pct, without its cheaper variants
PAPER = ("mr", "textcnn")  # the corpus and model of the paper's tables
FEWEST = 3  # cells of a table; two exist wherever normal and pct were compared
TOLERANCE = 0.02  # of confidence: a smaller change of a gap counts as none
SMALL, LARGE = (4, 8), (128, 96, 64)  # batch sizes, in order of preference

CorpusModel = tuple[str, str]


@dataclass(frozen=True)
class MeasuredRow:
    """A cell of a table and the group that ran it. normal: the matching normal training, where it was run."""

    cell: PaperRow
    group: Group
    normal: Group | None

    @property
    def gain(self) -> dict[int, Doubles]:
        """Seed -> (texts,) comp - suff less that of normal training; empty without another group of normal training."""
        if self.normal is None or self.normal is self.group:
            return {}
        return difference_by_seed(self.group.values(GAP), self.normal.values(GAP))


def ablation_rows(groups: Sequence[Group], name: str) -> dict[CorpusModel, list[MeasuredRow]]:
    """Corpus and model -> the cells of a table that were run: groups that differ only in the settings of a cell.

    Of several sets of such groups (for example of two learning rates), the one with the most cells is taken.
    """
    sets: dict[tuple[CorpusModel, tuple[Any, ...]], list[MeasuredRow]] = {}
    for cell in TABLES[name].cells:
        for group in groups:
            s = group.settings
            rows = sets.setdefault((group.corpus_model, settings_beside(s, "batch_size")), [])
            if _runs_cell(cell, s) and not any(row.cell is cell for row in rows):
                rows.append(MeasuredRow(cell, group, matching_baseline(group, groups)))
    largest: dict[CorpusModel, list[MeasuredRow]] = {}
    for (corpus_model, _), rows in sets.items():
        if len(rows) > len(largest.get(corpus_model, [])):
            largest[corpus_model] = rows
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
    for text, (name, decided) in CLAIMS.items():
        for corpus_model, cells in ablation_rows(groups, name).items():
            verdict = decided({row.cell.label: row for row in cells if not row.group.at_chance})
            if verdict is not None:
                rows.append((*corpus_model, text, str(verdict)))
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


def _alpha(rows: dict[str, MeasuredRow]) -> ClaimVerdict | None:
    pair = rows.get("0.1"), rows.get("1.2")
    return decide(paired_difference(pair[0].group, pair[1].group, "acc")) if pair[0] and pair[1] else None


def _shares(rows: dict[str, MeasuredRow]) -> ClaimVerdict | None:
    small, large = (rows.get(f"p_u = p_i = {share}") for share in (0.1, 0.3))
    return decide_within(paired_difference(large.group, small.group, GAP), TOLERANCE) if small and large else None


def _sizes(rows: dict[str, MeasuredRow]) -> tuple[MeasuredRow, MeasuredRow] | None:
    small, large = (next((rows[str(n)] for n in sizes if str(n) in rows), None) for sizes in (SMALL, LARGE))
    return (small, large) if small and large else None


def _batch(rows: dict[str, MeasuredRow]) -> ClaimVerdict | None:
    pair = _sizes(rows)
    return decide(paired_difference(pair[1].group, pair[0].group, GAP)) if pair else None


def _gain_by_batch(rows: dict[str, MeasuredRow]) -> ClaimVerdict | None:
    pair = _sizes({label: row for label, row in rows.items() if row.gain})
    return decide(stacked_difference(pair[1].gain, pair[0].gain)) if pair else None


CLAIMS: dict[str, tuple[str, Callable[[dict[str, MeasuredRow]], ClaimVerdict | None]]] = {
    "a large alpha (1.2) costs accuracy against 0.1": ("alpha", _alpha),
    f"comp − suff moves less than {TOLERANCE} between the shares 0.1 and 0.3": ("shares", _shares),
    "a batch of 64 or more gives a larger comp − suff than one of 4 or 8": ("batch_size", _batch),
    "beyond the paper: a batch of 64 or more gains more over its own normal training than one of 4 or 8": (
        "batch_size",
        _gain_by_batch,
    ),
}
