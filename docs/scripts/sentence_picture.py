"""Draws docs/sentence.png: one sentence, two explanations of it, and what removing their top words does.

python docs/scripts/sentence_picture.py MODEL "the film is a slow but moving and often funny story"
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import pct
from pct.opening import open_model

SHOWN = {"grad_x_input": ("gradient × input", "#b2182b"), "frozen_grad_x_input": ("frozen gradient × input", "#2166ac")}
STEPS, ORDERS = 5, 200
GREY = "#8d98a3"


def main(model: str, text: str) -> None:
    """The curves of both saliencies and of random orders; above them the sentence, shaded by each."""
    classifier = open_model(model, "cpu")
    explained = {name: pct.explain(classifier, [text], saliency=name, max_steps=STEPS)[0] for name in SHOWN}
    first = next(iter(explained.values()))
    chance = random_curves(classifier, first.words, first.label)
    figure, ax = plt.subplots(figsize=(8.6, 3.9))
    figure.subplots_adjust(left=0.09, right=0.78, top=0.72, bottom=0.14)
    steps = np.arange(STEPS + 1)
    ax.fill_between(steps, *np.quantile(chance, [0.1, 0.9], axis=0), color=GREY, alpha=0.25, lw=0)
    ax.plot(steps, chance.mean(0), color=GREY)
    ends = [("random words\n(80 % of the orders)", GREY, chance.mean(0)[-1])]
    for place, (name, (title, colour)) in enumerate(SHOWN.items()):
        curve = explained[name].important.confidences[: STEPS + 1]
        ax.plot(curve, "o-", color=colour, ms=5)
        ends.append((title, colour, curve[-1]))
        write_words(figure, ax, explained[name], 0.93 - 0.09 * place, colour)
    for title, colour, end in ends:
        ax.annotate(title, (STEPS, end), (8, 0), textcoords="offset points", color=colour, va="center", fontsize=9)
    ax.axhline(0.5, color="#22262b", lw=0.8, ls=":")
    ax.set(ylim=(0, 1), xlabel="words removed, most salient first", ylabel=f"confidence: {first.label_name}")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).parents[1] / "sentence.png", dpi=130)
    plt.close(figure)


def random_curves(classifier: pct.Predictor, words: list[str], label: int) -> np.ndarray:
    """(orders, steps + 1) the confidence as words go in random orders."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(words)) for _ in range(ORDERS)]
    texts = [
        " ".join(word for place, word in enumerate(words) if place not in set(order[:step].tolist()))
        for order in orders
        for step in range(STEPS + 1)
    ]
    return np.asarray(classifier.predict(texts))[:, label].reshape(ORDERS, STEPS + 1)


def write_words(figure: plt.Figure, ax: plt.Axes, explanation: pct.Explanation, y: float, colour: str) -> None:
    """The sentence in one line, each word the darker the more it speaks for the class."""
    strongest = max(max(explanation.saliency), 1e-12)
    x = 0.09
    for word, value in zip(explanation.words, explanation.saliency, strict=True):
        shade = max(float(value) / strongest, 0.0)
        drawn = figure.text(
            x, y, word, fontsize=12, va="center",
            bbox={"boxstyle": "round,pad=.18", "fc": (*matplotlib.colors.to_rgb(colour), 0.75 * shade), "ec": "none"},
        )  # fmt: skip
        box = drawn.get_window_extent(figure.canvas.get_renderer())
        x = figure.transFigure.inverted().transform((box.x1, 0))[0] + 0.014


if __name__ == "__main__":
    main(*sys.argv[1:])
