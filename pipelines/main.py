"""The main job: train, measure, track and register by one command.

python -m pipelines.main --method pct --corpus planted
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pct.commands.options import add_settings, read_settings
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import COMPANIONS, Report
from pct.settings import Settings
from pct.training import runs
from pipelines.champion import MARGIN, check_margin
from pipelines.connection import TrackingError, how_to_view
from pipelines.job import NOT_UPLOADED, OK, run_job

if TYPE_CHECKING:
    from pipelines.upload import UploadedRun


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 where the upload failed, 130 when stopped."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options), "stopped; the same command continues from the last epoch")


def _run(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    check_margin(options.champion_margin)
    folder = Path(options.run_dir) if options.run_dir else runs.default_folder(settings)
    from pipelines import mlflow_runs
    from pipelines.registry import check_name

    check_name(options.name)
    mlflow_runs.check_connection(folder)
    with runs.folder_lock(folder):
        return _run_alone(options, settings, folder)


def _run_alone(options: argparse.Namespace, settings: Settings, folder: Path) -> int:
    from pipelines import mlflow_runs, upload

    finished, epochs = runs.is_finished(folder), len(runs.read_history(folder))
    mlflow_run = mlflow_runs.open_run(folder, options.experiment, name=mlflow_runs.run_name(settings))
    if finished:
        print(f"{folder} holds this run, which is finished: it is not trained again")
    elif epochs:
        print(f"{folder} holds {epochs} of {settings.epochs} epochs of this run: training continues from there")
    with mlflow_runs.ended_on_failure(mlflow_run):
        upload.log_settings(mlflow_run, settings)
        live = upload.EpochLogger(mlflow_run, say=lambda text: print(text, file=sys.stderr))
        with mlflow_runs.system_metrics(mlflow_run):
            run = runs.run(settings, folder, live, progress=not options.quiet)
    print(report_table(run.test, f"{settings.method} on {settings.corpus}, test split"))
    try:
        tracked = upload.upload_run(folder, options.champion_margin, mlflow_run=mlflow_run, name=options.name)
    except TrackingError as problem:
        print(f"error: {problem}\nupload them later with: pct track {folder}", file=sys.stderr)
        return NOT_UPLOADED
    print(upload_summary(tracked, folder))
    return OK


def report_table(report: Report, title: str) -> str:
    """The core metrics with their standard errors, and the others in brief."""
    lines = [title, f"{'metric':<12}{'mean':>10}{'± s.e.':>10}"]
    lines += [f"{name:<12}{report.metrics[name]:>10.4f}{report.errors[name]:>10.4f}" for name in CORE_METRICS]
    lines += [", ".join(f"{name} {value:.4f}" for name, value in report.gaps.items()) + " (larger is healthier)"]
    rest = [name for name in report.metrics if name not in CORE_METRICS]
    lines += [", ".join(f"{name} {report.metrics[name]:.4f}" for name in rest if name in COMPANIONS)]
    lines += [", ".join(f"{name} {report.metrics[name]:.4f}" for name in rest if name not in COMPANIONS)]
    return "\n".join(line for line in lines if line)


def upload_summary(tracked: UploadedRun, folder: Path) -> str:
    """Where the run is: its folder, its model, whether that is the champion, and how to look at it."""
    registered, mlflow_run = tracked.registered, tracked.mlflow_run
    model = tracked.model_uri
    if registered:
        state = "is @champion" if registered.champion else "is not @champion"
        model = f"{registered.uri} {state}: {registered.reason}"
    return "\n".join(
        [
            f"results     {folder}",
            f"model       {model}",
            f"look at it  {how_to_view(mlflow_run.uri, mlflow_run.experiment_id, mlflow_run.run_id)}",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.main",
        description="Trains a classifier, measures its explanations, tracks it in MLflow and registers the model.",
        epilog="example: python -m pipelines.main --method pct --corpus planted --epochs 4",
    )
    parser.add_argument("--run-dir", "--run_dir", default="", help="the run's folder (default: runs/<its settings>)")
    parser.add_argument("--experiment", default="", help="the MLflow experiment (default: pct)")
    parser.add_argument(
        "--champion-margin", "--champion_margin", type=float, default=MARGIN,
        help=f"accuracy that a champion may lose against the best version (default: {MARGIN})",
    )  # fmt: skip
    parser.add_argument(
        "--name", default="", help="the registered model of the version (default: pct-<corpus>-<model>)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    add_settings(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
