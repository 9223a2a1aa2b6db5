"""Draws docs/pathology.png: the mean confidence as words are removed, for runs of several methods.

python docs/scripts/pathology_picture.py runs/mr-lstm-normal-1a2b3c4d runs/mr-lstm-pct-5e6f7a8b
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import pct
from pct.corpora.loading import load_splits
from pct.training.runs import load_run

STEPS = 15
IMPORTANT, UNIMPORTANT = "#b2182b", "#2166ac"


def mean_curves(folder: str) -> tuple[str, np.ndarray, np.ndarray, int]:
    """A run's title, its mean confidence after 0..15 removals on each side, and over how many texts."""
    run = load_run(folder)
    texts = [t for t in load_splits(run.settings).splits["test"].texts if len(t.split()) > STEPS]
    found = pct.explain(run.classifier(), texts, max_steps=STEPS)
    sides = [np.mean([getattr(e, side).confidences for e in found], 0) for side in ("important", "unimportant")]
    title = f"{run.settings.method}   accuracy {run.test.acc:.3f}, comp − suff {run.test.gaps['comp-suff']:+.3f}"
    return title, sides[0], sides[1], len(found)


def main(folders: list[str]) -> None:
    """One panel a run, beside each other, on one scale."""
    curves = [mean_curves(folder) for folder in folders]
    figure, axes = plt.subplots(1, len(curves), figsize=(4.6 * len(curves), 3.6), sharey=True, layout="constrained")
    for ax, (title, important, unimportant, texts) in zip(np.atleast_1d(axes), curves, strict=True):
        ax.plot(important, "o-", color=IMPORTANT, ms=4, label="most salient words first")
        ax.plot(unimportant, "s--", color=UNIMPORTANT, ms=4, label="least salient words first")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel(f"words removed (mean over {texts:,} texts)")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("confidence in the first prediction")
    np.atleast_1d(axes)[0].legend(frameon=False, loc="lower left")
    figure.savefig(Path(__file__).parents[1] / "pathology.png", dpi=130)


if __name__ == "__main__":
    main(sys.argv[1:])
