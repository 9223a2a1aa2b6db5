"""What an ablation found: means and deviations a cell, beside the paper's numbers, as a table and a plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pct.output.plots import IMPORTANT, INK, UNIMPORTANT, bare, new_figure, put_titles, save
from pct.training.paper_tables import CORE_METRICS, TABLES, Cell, Table
from pct.writing import write_text
from pipelines.figures import FIGURES, try_to_draw
from tuning.ledger import FAILED, FINISHED, Ledger
from tuning.objective import GAP
from tuning.plan import Plan

RESULTS, TEXT = "ablation.json", "ablation.md"


def result(plan: Plan, ledger: Ledger) -> dict[str, Any]:
    """Means and standard deviations over the seeds of each cell, beside the paper's, and a table of them as text."""
    table = TABLES[plan.name]
    rows = [row for cell in table.cells if (row := _row(cell, ledger))["planned"]]
    about = f"{plan.base.model_name} on {plan.base.corpus}, test split, {plan.base.epochs} epochs"
    if plan.base.limit:
        about += f", at most {plan.base.limit} texts a split"
    if plan.base.measure_limit:
        about += f", at most {plan.base.measure_limit} of those measured"
    return {
        "table": plan.name, "title": table.title, "about": about, "rows": rows, "text": _text(table, rows, about),
        "failed": {t.name: t.error for t in ledger if t.state == FAILED},
    }  # fmt: skip


def _row(cell: Cell, ledger: Ledger) -> dict[str, Any]:
    """cell's trials: metric -> mean and deviation over those that finished."""
    trials = [t for t in ledger if {k: v for k, v in t.config.items() if k != "seed"} == cell.changes]
    ended = [t.values for t in trials if t.state == FINISHED]
    metrics = {}
    for name in (*CORE_METRICS, GAP) if ended else ():
        values = np.array([v[name] for v in ended])
        metrics[name] = (float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None)
    return {"label": cell.label, "planned": len(trials), "seeds": len(ended), "metrics": metrics, "paper": cell.paper}


def write(folder: Path, found: dict[str, Any], say: Callable[[str], None] = print) -> list[Path]:
    """ablation.json, ablation.md and the plot. Returns their paths."""
    paths = [folder / RESULTS, folder / TEXT]
    write_text(paths[0], json.dumps(found, indent=2) + "\n")
    write_text(paths[1], found["text"] + "\n")
    if not any(row["metrics"] for row in found["rows"]):
        return paths
    return paths + try_to_draw(lambda: _save_figure(folder / FIGURES, found), say)


def _save_figure(target: Path, found: dict[str, Any]) -> list[Path]:
    target.mkdir(exist_ok=True)
    save(draw(found), target / f"{found['table']}.png")
    return [target / f"{found['table']}.png"]


def draw(found: dict[str, Any]) -> Any:
    """Accuracy and comp - suff over the cells: measured, with deviations over the seeds, and the paper's."""
    rows = [row for row in found["rows"] if row["metrics"]]
    figure = new_figure(10.5, 4.6)
    places = np.arange(len(rows))
    for ax, name, title in zip(figure.subplots(1, 2), ("acc", GAP), ("accuracy", "comp − suff"), strict=True):
        means = np.array([row["metrics"][name][0] for row in rows])
        deviations = np.array([row["metrics"][name][1] or 0.0 for row in rows])
        paper = [row["paper"][0] if name == "acc" else row["paper"][2] - row["paper"][3] for row in rows]
        ax.errorbar(
            places, means, deviations, color=UNIMPORTANT, marker="o", capsize=3, linewidth=1.6, label="measured"
        )
        ax.plot(places, paper, color=IMPORTANT, marker="s", markersize=4.5, linewidth=1.2, linestyle=(0, (4, 3)),
                label="the paper")  # fmt: skip
        turned = max(len(row["label"]) for row in rows) > 5
        ax.set_xticks(
            places, [row["label"] for row in rows], rotation=30 if turned else 0, ha="right" if turned else "center"
        )
        ax.set_title(title, fontsize=11, color=INK)
        ax.grid(axis="y", color="#e6e9ec")
        ax.set_axisbelow(True)
        bare(ax)
        ax.legend(frameon=False, fontsize=9)
    put_titles(
        figure, found["title"], f"{found['about']}; bars: standard deviation over seeds; the paper: TextCNN on MR"
    )
    return figure


def _text(table: Table, rows: list[dict[str, Any]], about: str) -> str:
    names = (*table.columns, "comp-suff")
    lines = [f"{table.title} ({about}); beneath each row the paper's", ""]
    lines += ["| cell | seeds | " + " | ".join(names) + " |", "| --- " * (len(names) + 2) + "|"]
    for row in rows:
        m = row["metrics"]
        cells = [_cell(*m[GAP if n == "comp-suff" else n]) if m else "-" for n in names]
        lines.append(f"| {row['label']} | {row['seeds']} | " + " | ".join(cells) + " |")
        paper = [*row["paper"], row["paper"][2] - row["paper"][3]]
        lines.append("| paper | 3 | " + " | ".join(_cell(value, None) for value in paper) + " |")
    return "\n".join(lines)


def _cell(mean: float, deviation: float | None) -> str:
    text = f"{mean:.3f}" if abs(mean) < 1 else f"{mean:.2f}"
    return text if deviation is None else f"{text} ± {deviation:.3f}"
