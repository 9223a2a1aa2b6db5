"""pct explain: a text's words shaded by saliency, and the confidence as words are removed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pct.commands.options import add_model, open_given
from pct.saliency import saliencies
from pct.saliency.defaults import default_saliency
from pct.settings import ORDERS, REMOVALS, SALIENCIES
from pct.text.encodings import encoding_hint, marked_encoding
from pct.text.lines import split_lines

if TYPE_CHECKING:
    from pct.classifier import Classifier
    from pct.onnx.predictor import OnnxPredictor


def main(arguments: Sequence[str] | None = None) -> int:
    """Explains the texts of the command line, of standard input (one per line), or of a file."""
    from pct.commands.file_job import add_file_options, check_files

    parser = argparse.ArgumentParser(
        prog="pct explain",
        description="Shades the words by saliency, and shows the confidence as the most and the least salient words "
        "are removed. Trust the saliency if the first curve falls and the second does not.",
        epilog='example: pct explain runs/mr-lstm-pct-1a2b3c4d "a moving and often funny film"; '
        "pct explain runs/mr-lstm-pct-1a2b3c4d --data reviews.csv --output explained.html",
    )
    parser.add_argument(
        "model",
        help="a run's, a model's or an exported folder, a transformers classifier by its folder or hub name, runs:/.. "
        "or models:/<name>@champion",
    )
    parser.add_argument("text", nargs="*", help="texts (default: standard input, one text per line)")
    parser.add_argument(
        "--max-steps", type=int, default=15, help="the largest number of words to remove on each side (default: 15)"
    )
    parser.add_argument(
        "--target", default="",
        help="the class to explain, by name (default: the predicted one); of several labels also names separated by "
        "commas (default: those that are assigned)",
    )  # fmt: skip
    parser.add_argument("--order", choices=ORDERS, help="rank words once, after each removal, or by a beam of five")
    parser.add_argument("--removal", choices=REMOVALS, help="delete words, or replace them by that token")
    parser.add_argument("--saliency", default="", help=f"{', '.join(SALIENCIES)} (default: the best one for the model)")
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, a list of explanations")
    add_file_options(parser, ".parquet, .jsonl or .html")
    options = parser.parse_intermixed_args(arguments)
    if options.saliency:
        saliencies.check(options.saliency)
    if options.data or options.output:
        check_files(options)
        return _explain_file(options)
    texts = options.text or _typed_texts(options.encoding)
    if not texts:
        raise ValueError("there is no text to explain: give one as an argument or on standard input")

    from pct.explaining.explain import explain
    from pct.output.terminal import render

    classifier = open_given(options)
    target = _target(options.target, classifier)
    targets = None if target is None else [target] * len(texts)
    explanations = explain(classifier, texts, target=targets, **_how(options, classifier))
    if options.json:
        print(json.dumps([e.to_dict() for e in explanations], indent=2))
        return 0
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print("\n\n".join(render(e, colour, _has_blocks(sys.stdout)) for e in explanations))
    return 0


def _explain_file(options: argparse.Namespace) -> int:
    if options.text:
        raise ValueError("give texts, or a file by --data, not both")

    from pct.commands.file_job import run_file_job, run_ray_job
    from pct.output.files import explanation_rows, explanation_schema, write_explanations

    classifier = open_given(options)
    how = {**_how(options, classifier), "target": _target(options.target, classifier)}
    about = {"job": "explain", **how, "saliency": options.saliency or default_saliency(classifier).name}
    if options.ray:
        print(run_ray_job(options, classifier, partial(explanation_rows, **how), explanation_schema(classifier), about))
        return 0
    title = f"{Path(options.data).name}, explained by {Path(options.model).name}"
    run_file_job(options, classifier, write_explanations, about, title=title, **how)
    return 0


def _how(options: argparse.Namespace, classifier: Classifier | OnnxPredictor) -> dict[str, Any]:
    """The arguments of `pct.explain`."""
    given = {name: value for name in ("order", "removal") if (value := getattr(options, name))}
    given["saliency"] = options.saliency or None
    return {"max_steps": options.max_steps, **classifier.settings.evaluation_options, **given}


def _target(names: str, classifier: Classifier | OnnxPredictor) -> str | list[str] | None:
    """The class to explain, of several labels a list of labels. Raises ValueError for another name."""
    several = classifier.task.several and names not in classifier.classes
    given = [name.strip() for name in names.split(",")] if several else [names]
    for name in given:
        if names and name not in classifier.classes:
            raise ValueError(f"target {name!r} is not one of {', '.join(classifier.classes)}")
    return (given if several else names) if names else None


def _typed_texts(encoding: str) -> list[str]:
    """The non-empty lines of standard input."""
    if not hasattr(sys.stdin, "buffer"):
        return [line for line in split_lines(sys.stdin.read()) if line.strip()]
    content = sys.stdin.buffer.read()
    try:
        text = content.decode(encoding or marked_encoding(content))
    except UnicodeDecodeError as problem:
        raise ValueError(f"standard input is not {problem.encoding}: {encoding_hint(content)}") from None
    return [line for line in split_lines(text) if line.strip()]


def _has_blocks(stream: TextIO) -> bool:
    """Whether the stream's encoding has block characters; code page 1252 has none."""
    try:
        "█".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
