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

from pct.commands.options import (
    MODEL_HELP,
    add_own_settings,
    add_pairs,
    given_own,
    note_single_texts,
    open_given,
    typed_pairs,
)
from pct.commands.parser import CommandParser
from pct.explaining.zero_shot import HYPOTHESIS, entailment_class, hypotheses
from pct.saliency import saliencies
from pct.saliency.defaults import default_saliency
from pct.settings import SALIENCIES
from pct.text.encodings import encoding_hint, marked_encoding
from pct.text.lines import printable, split_lines

if TYPE_CHECKING:
    from pct.classifier import Classifier
    from pct.onnx.predictor import OnnxPredictor

HOW = ("order", "removal", "remove")  # the settings that may differ from the model's own


def main(arguments: Sequence[str] | None = None) -> int:
    """Explains the texts of the command line, of standard input (one per line), or of a file."""
    from pct.commands.file_job import add_file_options, check_files, check_text_or_file

    parser = CommandParser(
        prog="pct explain",
        description="Shades the words by saliency, and shows the confidence as the most and the least salient words "
        "are removed. Trust the saliency if the first curve falls and the second does not.",
        epilog='example: pct explain runs/mr-lstm-pct-1a2b3c4d "a moving and often funny film"; '
        "pct explain runs/mr-lstm-pct-1a2b3c4d --data reviews.csv --output explained.html",
    )
    parser.add_argument(
        "model",
        help=MODEL_HELP,
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
    add_own_settings(parser, *HOW)
    add_pairs(parser)
    parser.add_argument(
        "--zero-shot", metavar="LABELS",
        help="labels separated by commas: an entailment model explains, for each text and label, why the text entails "
        f'"{HYPOTHESIS.format("LABEL")}"; words of the text alone are removed, unless --remove says otherwise',
    )  # fmt: skip
    parser.add_argument("--saliency", default="", help=f"{', '.join(SALIENCIES)} (default: the best one for the model)")
    add_own_settings(parser, "opening")
    parser.add_argument("--json", action="store_true", help="print JSON, a list of explanations")
    add_file_options(parser, ".parquet, .jsonl or .html")
    options = parser.parse_intermixed_args(arguments)
    if options.saliency:
        saliencies.check(options.saliency)
    check_text_or_file(parser, options)
    if options.data:
        check_files(options)
        return _explain_file(options)
    texts = typed_pairs(options.text or _typed_texts(options.encoding), options.text_pair)
    labels = [label.strip() for label in (options.zero_shot or "").split(",") if label.strip()]
    if options.zero_shot is not None and not labels:
        raise ValueError("--zero-shot has no labels: separate them by commas")
    if labels and (options.text_pair or options.target):
        raise ValueError("--zero-shot sets the second texts and the class: leave --text-pair and --target out")
    if not texts:
        raise ValueError(
            "there is no text to explain: give one as an argument, on standard input, or in a file by --data"
        )

    from pct.explaining.explain import explain
    from pct.output.terminal import render

    classifier = open_given(options)
    if labels:
        texts = [*hypotheses([str(text) for text in texts], labels)]
        options.target, options.remove = entailment_class(classifier.classes), options.remove or "first"
    target = _target(options.target, classifier)
    targets = None if target is None else [target] * len(texts)
    note_single_texts(classifier, isinstance(texts[0], tuple))
    explanations = explain(classifier, texts, target=targets, **_how(options, classifier))
    if options.json:
        print(json.dumps([e.to_dict() for e in explanations], indent=2))
        return 0
    for start in range(0, len(explanations), len(labels)) if labels else ():
        scores = [(e.confidence, label) for e, label in zip(explanations[start:], labels, strict=False)]
        ranked = ", ".join(f"{label} {confidence:.3f}" for confidence, label in sorted(scores, reverse=True))
        print(printable(f"{ranked}  {explanations[start].text}\n"))
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print("\n\n".join(render(e, colour, _has_blocks(sys.stdout)) for e in explanations))
    return 0


def _explain_file(options: argparse.Namespace) -> int:
    if options.text:
        raise ValueError("give texts, or a file by --data, not both")
    if options.zero_shot:
        raise ValueError(
            "--zero-shot is for texts of the command line: for a file, write the hypotheses into a column, and name it "
            "by --text-pair-column"
        )

    from pct.commands.file_job import run_file_job, run_ray_job
    from pct.output.files import explanation_rows, explanation_schema, write_explanations

    classifier = open_given(options)
    how = {**_how(options, classifier), "target": _target(options.target, classifier)}
    about = {"job": "explain", **how, "saliency": options.saliency or default_saliency(classifier).name}
    if options.ray:
        schema = explanation_schema(classifier, bool(options.text_pair_column))
        print(run_ray_job(options, classifier, partial(explanation_rows, **how), schema, about))
        return 0
    title = f"{Path(options.data).name}, explained by {Path(options.model).name}"
    run_file_job(options, classifier, write_explanations, about, title=title, **how)
    return 0


def _how(options: argparse.Namespace, classifier: Classifier | OnnxPredictor) -> dict[str, Any]:
    """The arguments of `pct.explain`."""
    own = {"max_steps": options.max_steps, **classifier.settings.evaluation_options}
    return {**own, **given_own(options, *HOW), "saliency": options.saliency or None}


def _target(names: str, classifier: Classifier | OnnxPredictor) -> str | list[str] | None:
    """The class to explain, of several labels a list of labels. Raises ValueError for another name."""
    several = classifier.task.several and names not in classifier.classes
    given = [name.strip() for name in names.split(",")] if several else [names]
    if names and (unknown := [name for name in given if name not in classifier.classes]):
        raise ValueError(f"target {', '.join(map(repr, unknown))} is not one of {', '.join(classifier.classes)}")
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
