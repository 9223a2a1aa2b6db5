"""The figures of a run, as PNG files in its folder."""

from __future__ import annotations

from pct.runs import Run

FIGURES = "figures"


def draw_figures(run: Run) -> None:
    """Draws them where they are missing."""
    (run.folder / FIGURES).mkdir(exist_ok=True)
