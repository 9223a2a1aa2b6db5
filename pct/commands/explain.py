"""pct explain: one text's words, shaded by saliency in the terminal, and what their removal does to the confidence."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from pct.settings import ORDERS


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
    from pct.output.terminal import render

    classifier = open_model(options.model, options.device)
    classes = None
    if options.target:
        if options.target not in classifier.classes:
            raise ValueError(f"target {options.target!r} is not one of {', '.join(classifier.classes)}")
        classes = [classifier.classes.index(options.target)] * len(texts)
    order = options.order or classifier.settings.order
    found = explain(classifier, texts, options.max_steps, classes, order, *classifier.settings.measured_shares)
    if options.json:
        print(json.dumps([e.to_dict() for e in found], indent=2))
        return 0
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print("\n\n".join(render(e, colour, _has_blocks(sys.stdout)) for e in found))
    return 0


def _has_blocks(stream: TextIO) -> bool:
    """Whether the stream's encoding has block characters: a terminal of code page 1252 has none."""
    try:
        "█".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
