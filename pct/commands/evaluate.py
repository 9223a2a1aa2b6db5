"""pct evaluate: the metrics of a saved model on a corpus or a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.commands.file_job import add_ray, check_ray, run_ray_job
from pct.commands.options import (
    add_measured_texts,
    add_own_settings,
    conditions_of,
    measured_texts,
    open_given,
    refuse_given,
)
from pct.commands.parser import CommandParser
from pct.corpora.rows import Chunk
from pct.corpora.splits import Split
from pct.output.records import pyarrow
from pct.text.plurals import plural
from pct.writing import check_file

if TYPE_CHECKING:
    from pct.metrics.report import Report


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures a model and prints the metrics."""
    from pct.metrics import metrics
    from pct.metrics.cost import cost_table
    from pct.metrics.evaluation import evaluate
    from pct.saliency import saliencies

    costs = cost_table(list(metrics.own))
    parser = CommandParser(
        prog="pct evaluate",
        description="Accuracy and the pathology metrics of a model, with standard errors over the texts.",
        epilog=f"example: pct evaluate runs/mr-lstm-pct-1a2b3c4d --data reviews.csv --json\n\n{costs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_measured_texts(parser)
    add_own_settings(parser, "conditions")
    cost = "only these, or all; the table below has the cost of each"
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", help=cost)
    add_own_settings(parser, "opening")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--per-text", default="", metavar="FILE", help="a file for the values of each text (Parquet)")
    cluster = parser.add_argument_group("files of any size on a cluster")
    cluster.add_argument("--output", default="", metavar="FOLDER", help="with --ray: for the values of each text")
    add_ray(cluster)
    options = parser.parse_args(arguments)
    check_ray(parser, options)
    if not options.ray:
        refuse_given(parser, options, ("output",), "without --ray")
    if options.per_text:
        if not options.per_text.endswith(".parquet"):
            raise ValueError(f"--per-text writes Parquet: its name must end in .parquet, got {options.per_text!r}")
        check_file(options.per_text)
        pyarrow("--per-text")
    if options.saliency:
        saliencies.check(options.saliency)

    classifier = open_given(options)
    s = classifier.settings
    how = conditions_of(options, s) | {"metrics": options.metrics}
    if options.ray:
        return _evaluate_on_ray(options, classifier, how)
    texts, source, notes = measured_texts(options, classifier, s.corpus_seed)
    bar = sys.stderr.isatty() and not options.json
    report = replace(evaluate(classifier, texts, **how, progress=bar), data=notes)
    if options.per_text:
        report.to_parquet(options.per_text)
    _print(report, source, options)
    return 0


def _print(report: Report, source: str, options: argparse.Namespace) -> None:
    title = f"{options.model} on {source}, {plural(report.texts, 'text')}"
    print(report.to_json() if options.json else f"{title}\n{report.table()}")


def _evaluate_on_ray(options: argparse.Namespace, classifier: Any, how: dict[str, Any]) -> int:
    """Measures the texts of Parquet files in parts, and summarises the values of each text."""
    from pct.metrics.evaluation import summarise

    if options.limit or options.per_text or options.corpus:
        raise ValueError("--ray measures all texts of --data into --output: leave out --limit, --per-text and --corpus")
    pa, task = pyarrow("Parquet"), classifier.task
    one = [[False] * len(classifier.classes)] if task.several else [0.0] if task.number else [0]
    text: Any = "a b c" if how["remove"] == "both" else ("a b c", "a b c")
    schema = pa.Table.from_pylist(evaluation_rows(classifier, Chunk([text], np.array(one), [0]), **how)).schema
    run_ray_job(options, classifier, partial(evaluation_rows, **how), schema, {"job": "evaluate", **how}, labelled=True)
    columns = read_columns(options.output, schema.names)
    names = ("metrics", "p_important", "p_unimportant", "seed", "saliency")
    report = summarise(classifier, columns, **{name: how[name] for name in names if name in how})
    _print(report, options.data, options)
    return 0


def evaluation_rows(predictor: Any, chunk: Chunk, **how: Any) -> list[dict[str, Any]]:
    """The values of each text of a chunk, or of each explained label of a text.

    Args:
        predictor: the model.
        chunk: texts with labels.
        **how: of `pct.evaluate`.

    Raises:
        ValueError: the texts have no labels.
    """
    from pct.metrics.evaluation import evaluate

    if chunk.labels is None:
        raise ValueError("the texts have no labels: set --label-column")
    columns = evaluate(predictor, Split(list(chunk.texts), chunk.labels), **how).columns
    index = columns["index"]
    values = {name: column.tolist() for name, column in columns.items() if name != "index"}
    return [
        {"row": chunk.numbers[text], **{name: column[i] for name, column in values.items()}}
        for i, text in enumerate(index.tolist())
    ]


def read_columns(folder: str, names: Sequence[str]) -> dict[str, Any]:
    """The columns of `evaluation_rows` in a folder of Parquet files, (rows,) each, with `index`, a number per text.

    names: those columns, `row` among them; the others of the files are not read.
    """
    values = [name for name in names if name != "row"]
    table = pyarrow("Parquet").dataset.dataset(folder, format="parquet").to_table(["row_hash", "error", *values])
    errors = table["error"].drop_null()
    if len(errors):
        print(f"{plural(len(errors), 'row')} with an error in {folder}, the first: {errors[0]}", file=sys.stderr)
    table = table.filter(table["error"].is_null())
    if not table.num_rows:
        raise ValueError(f"{folder} has no row that could be measured; remove it, and correct the data or the options")
    index = np.unique(table["row_hash"].to_numpy(), return_inverse=True)[1]
    return {"index": index, **{name: table[name].to_numpy() for name in values}}
