"""Fine-tunes a classifier in an MLflow run: python -m pipelines.finetune --model MODEL --train_file reviews.csv."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pct.commands.errors import UNMET
from pct.commands.options import OF_FINETUNING, add_settings, given_settings
from pct.commands.parser import CommandParser
from pipelines.job import OK, add_job_options, run_job

if TYPE_CHECKING:
    from pct.training.finetune import Finetuned
    from pipelines.mlflow_runs import MlflowRun


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 for a model that is not improved or not logged, 130
    when stopped."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from pct.classifier import load
    from pct.corpora.loading import load_splits
    from pct.corpora.splits import align_classes
    from pct.metrics.evaluation import evaluate
    from pct.training.finetune import finetune, finetune_settings
    from pct.training.model_card import check_finetuned
    from pipelines import mlflow_runs
    from pipelines.data_sets import log_measured_data
    from pipelines.logged_model import register_classifier
    from pipelines.registry import check_name

    check_name(options.register)
    given = given_settings(options)
    mlflow_run = mlflow_runs.start_run(f"finetune {options.model}", options.experiment)
    with mlflow_runs.ended_on_failure(mlflow_run):
        classifier = load(options.model, given.get("device", "auto"), given.get("head", ""))
        check_finetuned(classifier, options.output, options.model)
        settings = finetune_settings(classifier, **given)
        mlflow_run.log_params({**settings.to_dict(), "model": options.model})
        corpus = align_classes(classifier.classes, load_splits(settings), settings.labels)
        test = corpus.splits["test"]
        log_measured_data(mlflow_run, test, corpus.classes, f"{corpus.name}, test split")
        with mlflow_runs.system_metrics(mlflow_run):
            done = finetune(classifier, corpus, options.run_dir or None, not options.quiet, **given)
        folder = done.save(options.output)
        print(f"{options.model} before, {folder} after {settings.method}\n{done.table()}")
        validation = None
        if options.register and done.change.improved:  # the test split does not choose the champion
            how = {**done.classifier.settings.evaluation_options, "progress": not options.quiet}
            validation = evaluate(done.classifier, corpus.splits["validation"], **how)
    with mlflow_runs.upload_of_results(mlflow_run):
        _log(mlflow_run, done)
        if validation is not None:
            texts = corpus.splits["validation"]
            registered = register_classifier(
                mlflow_run, options.register, done.classifier, texts, validation, "validation"
            )
            print(f"model       {registered}")
        mlflow_run.end()
    print(f"look at it  {mlflow_run.how_to_view}")
    return OK if done.change.improved else UNMET


def _log(mlflow_run: MlflowRun, done: Finetuned) -> None:
    """The before-and-after table: its columns as metrics, the whole as a file and as the run's description."""
    from pipelines.metric_names import as_metrics, in_group, report_metrics
    from pipelines.mlflow_runs import DESCRIPTION

    change = done.change
    values: dict[str, Any] = report_metrics("before", change.before) | report_metrics("after", change.after)
    values |= in_group("change", {name: interval.value for name, interval in change.differences.items()})
    mlflow_run.log_metrics(as_metrics(values, 0))
    mlflow_run.log_files({"change.md": change.markdown() + "\n", "change.json": json.dumps(done.to_dict(), indent=2)})
    mlflow_run.set_tags({DESCRIPTION: change.markdown()})


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m pipelines.finetune",
        description="Goes on training a classifier that exists, as pct finetune does, and logs what changed to MLflow.",
        epilog="example: python -m pipelines.finetune --model FOLDER --train_file reviews.csv --register reviews",
    )
    parser.add_argument("--model", required=True, help="a classifier: folder, hub name, run folder or MLflow URI")
    parser.add_argument("--output", default="finetuned", help="the folder of the result (default: finetuned)")
    parser.add_argument("--run-dir", "--run_dir", default="", help="keep checkpoints here, and go on from them")
    parser.add_argument("--register", default="", metavar="NAME", help="if improved, make it a version of this model")
    add_job_options(parser)
    add_settings(parser, leave_out=("model", "fresh_head"), defaults=OF_FINETUNING)
    return parser


if __name__ == "__main__":
    sys.exit(main())
