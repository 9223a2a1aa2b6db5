"""The paper's Tables 3, 4 and 5 from runs that differ in one setting, with a plot and a claim each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.output.plots import IMPORTANT, INK, UNIMPORTANT, bare, new_figure, put_titles
from pct.output.report.claims import Verdict, decide, decide_within
from pct.output.report.groups import Group, differences
from pct.output.report.tables import Table, format_number, format_spread
from pct.settings import Settings
from pct.training.paper_tables import TABLES, Cell

ABLATED = ("method", "batch_size", "p_important", "p_unimportant", "temperature", "alpha")
FEWEST = 3  # cells of a table: two are there wherever normal and pct were compared
TOLERANCE = 0.02  # of confidence: a gap that moves less does not depend on the share removed

Rows = list[tuple[Cell, Group]]


def ablation_rows(groups: Sequence[Group], name: str) -> Rows:
    """The cells of a table that were run, each with its group: the settings of the cell, all else as the paper's."""
    found = []
    for cell in TABLES[name].cells:
        for group in groups:
            s = group.settings
            paper = Settings(model=s.model)
            wanted = {key: cell.changes.get(key, getattr(paper, key)) for key in ABLATED}
            if all(getattr(s, key) == value for key, value in wanted.items() if not _idle(key, s)):
                found.append((cell, group))
                break
    return found


def _idle(key: str, settings: Settings) -> bool:
    """Whether a setting does nothing under the method."""
    return settings.method == "normal" and key not in ("method", "batch_size")


def ablation_table(groups: Sequence[Group], name: str) -> Table | None:
    """One of the tables, the paper's numbers beneath each row; None where too few cells were run."""
    rows = ablation_rows(groups, name)
    if len(rows) < FEWEST:
        return None
    columns = TABLES[name].columns
    cells, marked = [], set()
    for cell, group in rows:
        values = [format_spread(*group.spread(metric)) for metric in (*columns, "comp-suff")]
        cells.append((cell.label, str(len(group.runs)), *values))
        marked.add(len(cells))
        paper = (*cell.paper, cell.paper[2] - cell.paper[3])
        cells.append((f"{cell.label}, the paper", "3", *map(format_number, paper)))
    return Table(
        name.replace("_", "-"), TABLES[name].title, ("cell", "seeds", *columns, "comp − suff"), tuple(cells),
        "Test split, mean ± standard deviation over seeds.", frozenset(marked),
    )  # fmt: skip


def ablation_claims(groups: Sequence[Group]) -> Table | None:
    """What the paper says of its ablations, decided as its other claims; None where none was run."""
    verdicts = {
        "a large alpha (1.2) costs accuracy against 0.1": _alpha(groups),
        f"comp − suff moves less than {TOLERANCE} between the shares 0.1 and 0.3": _shares(groups),
        "a batch of 64 or more gives a larger comp − suff than one of 4 or 8": _batch(groups),
    }
    rows = tuple((text, str(verdict)) for text, verdict in verdicts.items() if verdict is not None)
    return Table("ablation-claims", "The paper's claims on its settings", ("claim", "verdict"), rows) if rows else None


def ablation_figure(groups: Sequence[Group], name: str) -> Any | None:
    """Accuracy and comp - suff over the cells, with the paper's; None where too few cells were run."""
    rows = ablation_rows(groups, name)
    if len(rows) < FEWEST:
        return None
    figure = new_figure(10.5, 4.4)
    places = np.arange(len(rows))
    for ax, metric in zip(figure.subplots(1, 2), ("acc", "comp-suff"), strict=True):
        means, deviations = np.array([group.spread(metric) for _, group in rows]).T
        paper = [cell.paper[0] if metric == "acc" else cell.paper[2] - cell.paper[3] for cell, _ in rows]
        ax.errorbar(
            places, means, np.nan_to_num(deviations), color=UNIMPORTANT, marker="o", capsize=3, label="measured"
        )
        ax.plot(places, paper, color=IMPORTANT, marker="s", markersize=4.5, linestyle="--", label="the paper")
        ax.set_xticks(places, [cell.label for cell, _ in rows], rotation=30, ha="right")
        ax.set_title(metric.replace("-", " − "), fontsize=11, color=INK)
        ax.legend(frameon=False, fontsize=9)
        bare(ax)
    put_titles(figure, TABLES[name].title, "test split; bars: standard deviation over seeds")
    return figure


def _alpha(groups: Sequence[Group]) -> Verdict | None:
    found = {cell.label: group for cell, group in ablation_rows(groups, "alpha")}
    return decide(differences(found["0.1"], found["1.2"], "acc")) if {"0.1", "1.2"} <= set(found) else None


def _shares(groups: Sequence[Group]) -> Verdict | None:
    found = {cell.label: group for cell, group in ablation_rows(groups, "shares")}
    pair = [found.get(f"p_u = p_i = {share}") for share in (0.1, 0.3)]
    if pair[0] is None or pair[1] is None:
        return None
    return decide_within(differences(pair[1], pair[0], "comp-suff"), TOLERANCE)


def _batch(groups: Sequence[Group]) -> Verdict | None:
    found = {int(cell.label): group for cell, group in ablation_rows(groups, "batch_size")}
    small, large = (next((found[n] for n in sizes if n in found), None) for sizes in ((4, 8), (128, 96, 64)))
    return None if small is None or large is None else decide(differences(large, small, "comp-suff"))
