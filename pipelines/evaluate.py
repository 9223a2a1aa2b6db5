"""Measures a model on a corpus or a file, in an MLflow run: python -m pipelines.evaluate --model MODEL."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pct.classifier import Classifier, load
from pct.commands.options import add_measured_texts, add_own_settings, given_own, measured_texts
from pct.commands.parser import CommandParser
from pct.corpora.splits import Split
from pct.layout import PER_TEXT, REPORT
from pct.metrics.evaluation import evaluate
from pct.metrics.report import Report
from pct.text.plurals import plural
from pipelines.data_sets import log_measured_data
from pipelines.job import OK, add_job_options, run_job
from pipelines.logged_model import register_classifier
from pipelines.metric_names import as_metrics, report_metrics
from pipelines.mlflow_runs import MlflowRun, ended_on_failure, start_run, upload_of_results
from pipelines.registry import RegisteredVersion, check_name


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 where the report could not be logged."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_name(options.register)
    mlflow_run = start_run(f"evaluate {options.model}", options.experiment)
    with ended_on_failure(mlflow_run):
        classifier = load(options.model, **given_own(options, "opening"))
        s = classifier.settings
        texts, source, notes = measured_texts(options, classifier, s.corpus_seed, needs_labels=bool(options.register))
        bar = sys.stderr.isatty() and not options.quiet
        report = replace(evaluate(classifier, texts, **s.evaluation_options, progress=bar), data=notes)
    print(f"{options.model} on {source}, {plural(len(texts), 'text')}\n{report.table()}")
    with upload_of_results(mlflow_run):
        registered = _log(mlflow_run, options, classifier, texts, source, report)
    if registered is not None:
        print(f"model       {registered}")
    print(f"look at it  {mlflow_run.how_to_view}")
    return OK


def _log(
    mlflow_run: MlflowRun, options: argparse.Namespace, classifier: Classifier, texts: Split, source: str,
    report: Report,
) -> RegisteredVersion | None:  # fmt: skip
    values = {"model": options.model, "data": source, "texts": len(texts)}
    mlflow_run.log_params(values | {f"model.{k}": value for k, value in classifier.settings.to_dict().items()})
    notes = {**report.data, "cut_texts": report.cut_texts}
    of = log_measured_data(mlflow_run, texts, classifier.classes, source, notes)
    mlflow_run.log_metrics(as_metrics(report_metrics("data" if options.data else options.split, report), 0, of=of))
    mlflow_run.log_files({PER_TEXT: partial(report.to_parquet, texts=texts.texts), REPORT: report.to_json()})
    registered = None
    if options.register:
        registered = register_classifier(
            mlflow_run, options.register, classifier, texts, report, options.split, options.limit
        )
    mlflow_run.end()
    return registered


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m pipelines.evaluate",
        description="Measures a model's accuracy and explanations on a corpus or a file, and logs them to MLflow.",
        epilog="example: python -m pipelines.evaluate --model models:/pct-planted-textcnn@champion --limit 200",
    )
    add_measured_texts(parser, "--model")
    parser.add_argument(
        "--register", default="", metavar="NAME",
        help="make it a version of this registered model; it may become the champion if the texts, also those of "
        "--data, are its validation split: --split validation",
    )  # fmt: skip
    add_own_settings(parser, "opening")
    add_job_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
