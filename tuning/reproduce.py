"""The paper's grid, or a part of it, by one command: pct reproduce --corpora mr --models textcnn lstm."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pct.methods import methods
from tuning import compare

PAPER = compare.Preset(
    "reproduce",
    "Trains and measures the paper's grid or a part of it: every corpus, model, method and seed a run in a folder of "
    "its own, with the paper's learning rate, alpha and tau, or the rows of one of its Tables 3 to 5. Cells that are "
    "finished are not run again. It ends in a report: tables beside the paper's, claims, figures.",
    "pct reproduce --corpora mr --models textcnn lstm --glove glove.6B.300d.txt --epochs 5",
    ("mr", "ag_news", "imdb"),
    ("textcnn", "lstm"),
    tuple(name for name in methods.own if name != "rationale"),
    "runs/reproduce",
    True,
    "pct-reproduce",
)


def main(argv: Sequence[str] | None = None) -> int:
    """`pct compare` with the paper's grid; returns its exit code."""
    return compare.main(argv, PAPER)


if __name__ == "__main__":
    sys.exit(main())
