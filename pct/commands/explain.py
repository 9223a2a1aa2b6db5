"""pct explain: one text's words, shaded by saliency in the terminal, and what their removal does to the confidence."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pct.settings import ORDERS

if TYPE_CHECKING:
    from pct.explaining.explanation import Curve, Explanation

# backgrounds of the 256-colour palette, from nothing to a full red; black letters stay readable on all of them
SHADES = (None, 224, 217, 210, 203)
BARS = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Explains the texts given, or one a line from standard input."""
    parser = argparse.ArgumentParser(
        prog="pct explain",
        description="Which words decided: the words shaded by saliency, and the confidence as the most and the least "
        "salient ones are removed. Trust the saliency where the first curve falls and the second does not.",
        epilog='example: pct explain runs/mr-lstm-pct-1a2b3c4d "a moving and often funny film"',
    )
    parser.add_argument(
        "model", help="a run's, a model's or an exported folder, runs:/<id>/model or models:/<name>@champion"
    )
    parser.add_argument("text", nargs="*", help="texts; read from standard input, one a line, where none is given")
    parser.add_argument("--max-steps", type=int, default=15, help="words removed at most, on each side (default: 15)")
    parser.add_argument("--target", default="", help="the class to explain, by name (default: the predicted one)")
    parser.add_argument("--order", choices=ORDERS, help="rank once, or again after each removal")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON, a list of explanations")
    options = parser.parse_intermixed_args(arguments)
    texts = options.text or [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not texts:
        raise ValueError("no text to explain: give it as an argument or on standard input")

    from pct.commands.models import open_model
    from pct.explaining.explanation import explain

    classifier = open_model(options.model, options.device)
    classes = None
    if options.target:
        if options.target not in classifier.classes:
            raise ValueError(f"target {options.target!r} is not one of {', '.join(classifier.classes)}")
        classes = [classifier.classes.index(options.target)] * len(texts)
    order = options.order or classifier.settings.order
    found = explain(classifier, texts, options.max_steps, classes, order)
    if options.json:
        print(json.dumps([e.to_dict() for e in found], indent=2))
        return 0
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print("\n\n".join(render(e, colour) for e in found))
    return 0


def render(explanation: Explanation, colour: bool) -> str:
    """An explanation for a terminal. Without colour, a word's shade is a row of marks below it."""
    head = f"{explanation.label_name}  {explanation.confidence:.3f}"
    if explanation.truncated:
        head += f"  (cut: {explanation.truncated} words beyond the model's length)"
    shades = shade(explanation)
    if colour:
        words = [w if s is None else f"\x1b[48;5;{s}m\x1b[30m{w}\x1b[0m" for w, s in _coloured(explanation, shades)]
        body = [" ".join(words)]
    else:
        body = [" ".join(f"{w}{'*' * s}" for w, s in zip(explanation.words, shades, strict=True))]
    sides = (("most salient first", explanation.important), ("least salient first", explanation.unimportant))
    for title, curve in sides:
        body += ["", f"words removed, {title}", *_curve(explanation, curve)]
    return "\n".join([head, *body])


def shade(explanation: Explanation) -> list[int]:
    """0..4 for each word: where its saliency's size lies between the text's smallest and largest."""
    sizes = [abs(float(x)) for x in explanation.saliency]
    least, most = min(sizes), max(sizes)
    return [min(int(5 * (x - least) / (most - least)), 4) if most > least else 0 for x in sizes]


def _coloured(explanation: Explanation, shades: list[int]) -> list[tuple[str, int | None]]:
    return [(w, SHADES[s]) for w, s in zip(explanation.words, shades, strict=True)]


def _curve(explanation: Explanation, curve: Curve) -> list[str]:
    removed = ["(none)", *(explanation.words[i] for i in curve.removed)]
    width = min(max(len(w) for w in removed), 24)
    lines = []
    for step, (word, confidence) in enumerate(zip(removed, curve.confidences, strict=True)):
        bar = "█" * round(BARS * confidence)
        flip = "  the prediction changes" if step and step == curve.flips_at else ""
        lines.append(f"{step:>3}  {word[:width]:<{width}}  {confidence:.3f} {bar}{flip}".rstrip())
    return lines
