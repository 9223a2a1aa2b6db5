"""Measures a model on a corpus or a file, in an MLflow run: python -m pipelines.evaluate --model MODEL."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pct.classifier import Classifier, load
from pct.commands.options import add_reading, reading_settings
from pct.corpora.loading import SPLITS, Split, choose_texts
from pct.layout import PER_TEXT, REPORT
from pct.metrics.evaluation import evaluate
from pct.metrics.report import Report
from pct.settings import CORPORA
from pipelines.connection import how_to_view, without_password
from pipelines.job import NOT_UPLOADED, OK, run_job
from pipelines.main import report_table

if TYPE_CHECKING:
    from pipelines.mlflow_runs import MlflowRun
    from pipelines.registry import RegisteredVersion


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 where the report could not be logged."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from pipelines import mlflow_runs
    from pipelines.registry import check_name

    check_name(options.register)
    mlflow_run = mlflow_runs.start_run(f"evaluate {options.model}", options.experiment)
    with mlflow_runs.ended_on_failure(mlflow_run):
        classifier = load(options.model, options.device)
        s = classifier.settings
        texts, source, notes = choose_texts(
            reading_settings(options, s), classifier.classes, options.corpus, options.data, options.split, options.limit
        )
        bar = sys.stderr.isatty() and not options.quiet
        report = replace(evaluate(classifier, texts, **s.evaluation_options, progress=bar), data=notes)
    print(report_table(report, f"{options.model} on {source}, {len(texts)} texts"))
    try:
        with mlflow_runs.ended_on_failure(mlflow_run):
            registered = _log(mlflow_run, options, classifier, texts, source, report)
    except Exception as problem:  # a server or its driver raises many types
        first = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        print(f"error: not logged to {without_password(mlflow_run.uri)}: {first[:200]}", file=sys.stderr)
        return NOT_UPLOADED
    if registered is not None:
        state = "is @champion" if registered.champion else "is not @champion"
        print(f"model       {registered.uri} {state}: {registered.reason}")
    print(f"look at it  {how_to_view(mlflow_run.uri, mlflow_run.experiment_id, mlflow_run.run_id)}")
    return OK


def _log(
    mlflow_run: MlflowRun,
    options: argparse.Namespace,
    classifier: Classifier,
    texts: Split,
    source: str,
    report: Report,
) -> RegisteredVersion | None:
    from pipelines.data_sets import as_input, measured_data_set
    from pipelines.logged_model import register_classifier
    from pipelines.metric_names import as_metrics, report_metrics
    from pipelines.upload import log_missing, log_params, noted

    s = classifier.settings
    values = {
        "model": options.model,
        "data": source,
        "texts": len(texts),
        **{f"model.{name}": value for name, value in s.to_dict().items()},
    }
    log_params(mlflow_run, values)
    for name, value in noted({**report.data, "cut_texts": report.cut_texts}):
        mlflow_run.client.set_tag(mlflow_run.run_id, f"data.{name}", value)
    data = measured_data_set(texts, classifier.classes, source)
    mlflow_run.client.log_inputs(mlflow_run.run_id, [as_input(data, "evaluation")])
    split = "data" if options.data else options.split
    of = {"dataset_name": data.name, "dataset_digest": data.digest}
    log_missing(mlflow_run, as_metrics(report_metrics(split, report), 0, **of))
    with tempfile.TemporaryDirectory() as folder:
        columns = {"index": report.columns["index"], "text": np.array(texts.texts, dtype=object)}
        replace(report, columns=columns | report.columns).to_parquet(Path(folder) / PER_TEXT)
        (Path(folder) / REPORT).write_text(report.to_json(), encoding="utf-8")
        mlflow_run.client.log_artifacts(mlflow_run.run_id, folder)
    registered = (
        register_classifier(mlflow_run, options.register, classifier, texts, report) if options.register else None
    )
    mlflow_run.client.set_terminated(mlflow_run.run_id, "FINISHED")
    return registered


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.evaluate",
        description="Measures a model's accuracy and explanations on a corpus or a file, and logs them to MLflow.",
        epilog="example: python -m pipelines.evaluate --model models:/pct-planted-textcnn@champion --limit 200",
    )
    parser.add_argument("--model", required=True, help="a run's folder, an MLflow URI, or a classifier of transformers")
    parser.add_argument(
        "--corpus", default="", help=f"{', '.join(CORPORA)} or hub:OWNER/NAME (default: the model's own)"
    )
    parser.add_argument("--data", default="", help="a file instead: .csv .tsv .jsonl .json .parquet .arrow (.gz too)")
    add_reading(parser)
    parser.add_argument("--split", default="test", choices=SPLITS, help="of the corpus (default: test)")
    parser.add_argument("--limit", type=int, default=0, help="at most so many texts; 0 takes all")
    parser.add_argument("--register", default="", metavar="NAME", help="make it a version of this registered model")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--experiment", default="", help="the MLflow experiment (default: pct)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())
