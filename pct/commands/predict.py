"""pct predict: the classes of texts or of a file of texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pct.commands.options import MODEL_HELP, add_own_settings, add_pairs, note_single_texts, open_given, typed_pairs
from pct.commands.parser import CommandParser
from pct.text.lines import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Predicts the classes of the texts of the command line or of a file."""
    from pct.commands.file_job import add_file_options, check_text_or_file, run_file_job, run_ray_job

    parser = CommandParser(
        prog="pct predict",
        description="Predicts the classes, with confidence, of texts or of a file of any length. An interrupted job on "
        "a file resumes when the same command is run again.",
        epilog="example: pct predict models:/pct-mr-lstm@champion --data reviews.csv --output predictions.parquet",
    )
    parser.add_argument("model", help=MODEL_HELP)
    parser.add_argument("text", nargs="*", help="texts, if no file is given")
    add_pairs(parser)
    add_own_settings(parser, "opening")
    parser.add_argument("--json", action="store_true", help="print JSON, a list of predictions of the texts")
    add_file_options(parser, ".csv, .jsonl or .parquet")
    parser.add_argument(
        "--raw-cells", action="store_true",
        help="do not escape cells of a .csv output; by default, cells that begin with = + - or @, which Excel would "
        "run as formulas, get an apostrophe before them",
    )  # fmt: skip
    options = parser.parse_intermixed_args(arguments)
    if options.text_pair and not (options.text or options.data):
        raise ValueError("--text-pair is the second text of a text of the command line: give that, too")
    if bool(options.text) == bool(options.data):
        raise ValueError("give either texts or a file by --data")
    check_text_or_file(parser, options)

    from pct.explaining.prediction import predict
    from pct.output.files import prediction_rows, prediction_schema, write_predictions

    predictor = open_given(options)
    if options.data:
        about: dict[str, Any] = {"job": "predict"}
        if options.ray:
            schema = prediction_schema(predictor, bool(options.text_pair_column))
            print(run_ray_job(options, predictor, prediction_rows, schema, about))
            return 0
        about["escaped"] = not options.raw_cells
        run_file_job(options, predictor, write_predictions, about, escaped=not options.raw_cells)
        return 0
    texts = typed_pairs(options.text, options.text_pair)
    note_single_texts(predictor, bool(options.text_pair))
    predictions = predict(predictor, texts)
    if options.json:
        print(json.dumps([one.given | one.to_dict() for one in predictions], indent=2))
        return 0
    for one in predictions:
        head = f"{one.label}  {one.confidence if one.value is None else one.value:.3f}"
        if one.labels is not None:
            assigned = one.labels or [one.label]
            head = ", ".join(f"{name} {one.probabilities[name]:.3f}" for name in assigned)
            head = head if one.labels else f"none ({head})"
        print(printable(f"{head}  {one.text}" if one.text_pair is None else f"{head}  {one.text}  |  {one.text_pair}"))
    return 0
