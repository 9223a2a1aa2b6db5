"""The main job: train, measure, track and register by one command.

python -m pipelines.main --method pct --corpus planted
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pct.commands.errors import RESUMABLE
from pct.commands.options import add_devices, add_settings, launch_of, read_settings
from pct.commands.parser import CommandParser
from pct.settings import Settings
from pct.training import runs
from pct.writing import folder_lock
from pipelines.champion import MARGIN, check_margin
from pipelines.connection import TrackingError, requests_to
from pipelines.job import NOT_UPLOADED, OK, add_job_options, run_job

if TYPE_CHECKING:
    from pipelines.upload import UploadedRun


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 where the upload failed, 130 when stopped."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options), RESUMABLE)


def _run(options: argparse.Namespace) -> int:
    settings, launch = read_settings(options), launch_of(options)
    check_upload_options(options)
    folder = Path(options.run_dir) if options.run_dir else runs.default_folder(settings)
    from pipelines import mlflow_runs

    mlflow_runs.check_connection(folder)
    with folder_lock(folder):
        return _run_alone(options, settings, folder, launch)


def _run_alone(options: argparse.Namespace, settings: Settings, folder: Path, launch: runs.Launch | None) -> int:
    from pipelines import mlflow_runs, upload

    finished, epochs = runs.is_finished(folder), len(runs.read_history(folder))
    mlflow_run = mlflow_runs.open_run(folder, options.experiment, name=mlflow_runs.run_name(settings))
    if epochs and not finished:
        print(f"{folder} holds {epochs} of {settings.epochs} epochs of this run: training continues from there")
    with mlflow_runs.ended_on_failure(mlflow_run):
        with requests_to(mlflow_run.uri):
            mlflow_run.log_params(settings.to_dict())
        live = upload.EpochLogger(mlflow_run, say=lambda text: print(text, file=sys.stderr))
        with mlflow_runs.system_metrics(mlflow_run):
            run = runs.run(settings, folder, live, progress=not options.quiet, launch=launch)
    if not run.trained:
        print(f"{folder} holds this finished run: it is not trained again")
    print(f"{settings.method} on {settings.corpus}, test split\n{run.test.table()}")
    try:
        tracked = upload.upload_run(folder, options.champion_margin, mlflow_run=mlflow_run, name=options.name)
    except TrackingError as problem:
        print(f"error: {problem}\nupload them later with: pct track {folder}", file=sys.stderr)
        return NOT_UPLOADED
    print(upload_summary(tracked, folder))
    return OK


def upload_summary(tracked: UploadedRun, folder: Path) -> str:
    """Where the run is: its folder, its model, whether that is the champion, and how to look at it."""
    model, where = tracked.registered or tracked.model_uri, tracked.mlflow_run.how_to_view
    return f"results     {folder}\nmodel       {model}\nlook at it  {where}"


def add_upload_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of an upload: the champion's margin, and the name of the registered model."""
    parser.add_argument(
        "--champion-margin", "--champion_margin", type=float, default=MARGIN,
        help=f"accuracy that a champion may lose against the best version (default: {MARGIN})",
    )  # fmt: skip
    parser.add_argument(
        "--name", default="", help="the registered model of the version (default: pct-<corpus>-<model>)"
    )


def check_upload_options(options: argparse.Namespace) -> None:
    """Raises ValueError for a margin that is no share of accuracy, and for a name that MLflow would refuse."""
    from pipelines.registry import check_name

    check_margin(options.champion_margin)
    check_name(options.name)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="pct run",
        description="Trains a classifier, measures its explanations, tracks it in MLflow and registers the model.",
        epilog="example: pct run --method pct --corpus planted --epochs 4",
    )
    parser.add_argument("--run-dir", "--run_dir", default="", help="the run's folder (default: runs/<its settings>)")
    add_job_options(parser)
    add_upload_options(parser)
    add_devices(parser)
    add_settings(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
