"""The paper's Tables 3, 4 and 5 from runs that differ in one setting, with plots and claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pct.output.plots import FAINT, IMPORTANT, INK, UNIMPORTANT, bare, new_figure, put_titles
from pct.output.report.claims import LEARNED, Effect, Verdict, decide, decide_within, format_interval
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
from pct.output.report.tables import Table, format_number, format_spread, spaced
from pct.settings import Settings
from pct.training.paper_tables import TABLES, PaperRow

ABLATED = ("method", "batch_size", "p_important", "p_unimportant", "temperature", "alpha")
FULL = {"contrast_steps": "all", "contrast_every": 1}  # of pct: the paper's, not a cheap form
PAPER = ("mr", "textcnn")  # of which the tables are
FEWEST = 3  # cells of a table: two are there wherever normal and pct were compared
TOLERANCE = 0.02  # of confidence: a gap that moves less does not depend on the share removed
SMALL, LARGE = (4, 8), (128, 96, 64)  # batches, the ones to take first

Place = tuple[str, str]  # corpus, model


@dataclass(frozen=True)
class MeasuredRow:
    """A cell of a table and the group that ran it. normal: normal training beside it, where that was run."""

    cell: PaperRow
    group: Group
    normal: Group | None

    @property
    def gain(self) -> dict[int, Doubles]:
        """Seed -> (texts,) comp - suff less that of normal training; none where it is the group, or there is none."""
        if self.normal is None or self.normal is self.group:
            return {}
        return difference_by_seed(self.group.values(GAP), self.normal.values(GAP))


def ablation_rows(groups: Sequence[Group], name: str) -> dict[Place, list[MeasuredRow]]:
    """Corpus and model -> the cells of a table that were run: groups that differ in nothing but what a cell names.

    Of several sets of such groups (two learning rates, say) the one of the most cells, the first of equals.
    """
    sets: dict[tuple[Place, tuple[Any, ...]], list[MeasuredRow]] = {}
    for cell in TABLES[name].cells:
        for group in groups:
            s = group.settings
            rows = sets.setdefault((group.place, settings_beside(s, "batch_size")), [])
            if _runs_cell(cell, s) and not any(row.cell is cell for row in rows):
                rows.append(MeasuredRow(cell, group, matching_baseline(group, groups)))
    found: dict[Place, list[MeasuredRow]] = {}
    for (place, _), rows in sets.items():
        if len(rows) > len(found.get(place, [])):
            found[place] = rows
    return found


def _runs_cell(cell: PaperRow, settings: Settings) -> bool:
    paper = Settings(model=settings.model)
    wanted = {key: cell.changes.get(key, getattr(paper, key)) for key in ABLATED}
    if settings.method == "normal":  # the others do nothing there
        wanted = {key: wanted[key] for key in ("method", "batch_size")}
    else:
        wanted |= FULL
    return all(getattr(settings, key) == value for key, value in wanted.items())


def ablation_table(groups: Sequence[Group], effects: Sequence[Effect], name: str) -> Table | None:
    """One of the tables, the paper's numbers beneath each row; None where too few cells were run."""
    columns, gains = TABLES[name].columns, {id(effect.group): effect.changes[GAP] for effect in effects}
    cells, marked = [], set()
    for place, rows in _shown(groups, name).items():
        for row in rows:
            values = [format_spread(*row.group.spread(metric)) for metric in (*columns, GAP)]
            gain = gains.get(id(row.group))
            cells.append((*place, row.cell.label, str(len(row.group.runs)), *values,
                          "" if gain is None else format_interval(gain)))  # fmt: skip
            if place == PAPER:
                marked.add(len(cells))
                paper = (*row.cell.paper, row.cell.paper[2] - row.cell.paper[3])
                cells.append((*place, f"{row.cell.label}, the paper", "3", *map(format_number, paper), ""))
    return Table(
        name.replace("_", "-"), TABLES[name].title,
        ("corpus", "model", "cell", "seeds", *columns, spaced(GAP), "less normal's"), tuple(cells),
        "Test split, mean ± standard deviation over seeds. Less normal's: comp − suff less that of normal training "
        "under the same other settings, with its 95 % interval.", frozenset(marked),
    ) if cells else None  # fmt: skip


def ablation_claims(groups: Sequence[Group]) -> Table | None:
    """What the paper says of its ablations, and what a sceptic asks of them, decided as its other claims; None where
    none was run."""
    rows = []
    for text, (name, decided) in CLAIMS.items():
        for place, cells in ablation_rows(groups, name).items():
            verdict = decided({row.cell.label: row for row in cells if not row.group.at_chance})
            if verdict is not None:
                rows.append((*place, text, str(verdict)))
    columns = ("corpus", "model", "claim", "verdict")
    title = "The paper's claims on its settings"
    return Table("ablation-claims", title, columns, tuple(rows), LEARNED.strip()) if rows else None


def ablation_figure(groups: Sequence[Group], name: str) -> Any | None:
    """Accuracy and comp - suff over the cells, with the paper's and normal training's; None where too few were run."""
    shown = _shown(groups, name)
    if not shown:
        return None
    figure = new_figure(10.5, 4.4 * len(shown))
    axes = figure.subplots(len(shown), 2, squeeze=False)
    for panels, (place, rows) in zip(axes, shown.items(), strict=True):
        for ax, metric in zip(panels, ("acc", GAP), strict=True):
            places = np.arange(len(rows))
            means, deviations = np.array([row.group.spread(metric) for row in rows]).T
            normal = [row.normal.spread(metric)[0] if row.normal else np.nan for row in rows]
            ax.errorbar(
                places, means, np.nan_to_num(deviations), color=UNIMPORTANT, marker="o", capsize=3, label="measured"
            )
            if np.isfinite(normal).any():
                ax.plot(places, normal, color=FAINT, marker="^", markersize=4.5, label="normal training beside it")
            if place == PAPER:
                paper = [r.cell.paper[0] if metric == "acc" else r.cell.paper[2] - r.cell.paper[3] for r in rows]
                ax.plot(places, paper, color=IMPORTANT, marker="s", markersize=4.5, linestyle="--", label="the paper")
            ax.set_xticks(places, [row.cell.label for row in rows], rotation=30, ha="right")
            ax.set_title(f"{' '.join(place)}: {spaced(metric)}", fontsize=11, color=INK)
            ax.legend(frameon=False, fontsize=9)
            bare(ax)
    put_titles(figure, TABLES[name].title, "test split; bars: standard deviation over seeds")
    return figure


def _shown(groups: Sequence[Group], name: str) -> dict[Place, list[MeasuredRow]]:
    return {place: rows for place, rows in ablation_rows(groups, name).items() if len(rows) >= FEWEST}


def _alpha(rows: dict[str, MeasuredRow]) -> Verdict | None:
    pair = rows.get("0.1"), rows.get("1.2")
    return decide(paired_difference(pair[0].group, pair[1].group, "acc")) if pair[0] and pair[1] else None


def _shares(rows: dict[str, MeasuredRow]) -> Verdict | None:
    small, large = (rows.get(f"p_u = p_i = {share}") for share in (0.1, 0.3))
    return decide_within(paired_difference(large.group, small.group, GAP), TOLERANCE) if small and large else None


def _sizes(rows: dict[str, MeasuredRow]) -> tuple[MeasuredRow, MeasuredRow] | None:
    small, large = (next((rows[str(n)] for n in sizes if str(n) in rows), None) for sizes in (SMALL, LARGE))
    return (small, large) if small and large else None


def _batch(rows: dict[str, MeasuredRow]) -> Verdict | None:
    found = _sizes(rows)
    return decide(paired_difference(found[1].group, found[0].group, GAP)) if found else None


def _gain_by_batch(rows: dict[str, MeasuredRow]) -> Verdict | None:
    found = _sizes({label: row for label, row in rows.items() if row.gain})
    return decide(stacked_difference(found[1].gain, found[0].gain)) if found else None


CLAIMS: dict[str, tuple[str, Callable[[dict[str, MeasuredRow]], Verdict | None]]] = {
    "a large alpha (1.2) costs accuracy against 0.1": ("alpha", _alpha),
    f"comp − suff moves less than {TOLERANCE} between the shares 0.1 and 0.3": ("shares", _shares),
    "a batch of 64 or more gives a larger comp − suff than one of 4 or 8": ("batch_size", _batch),
    "beyond the paper: a batch of 64 or more gains more over its own normal training than one of 4 or 8": (
        "batch_size",
        _gain_by_batch,
    ),
}
