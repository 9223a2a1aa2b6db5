"""Uploads a finished run that is not in MLflow yet: python -m pipelines.track RUN_DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pct.commands.parser import CommandParser
from pipelines.job import OK, run_job
from pipelines.main import add_upload_options, check_upload_options, upload_summary


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the upload; returns the exit code."""
    parser = CommandParser(
        prog="pct track",
        description="Uploads a finished run to MLflow; what is logged already is not logged again.",
        epilog="example: pct track runs/planted-textcnn-pct-1a2b3c4d",
    )
    parser.add_argument("run_dir", type=Path, help="the run's folder")
    parser.add_argument("--experiment", default="", help="the MLflow experiment of a new run (default: pct)")
    add_upload_options(parser)
    options = parser.parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_upload_options(options)
    from pipelines import upload

    done = upload.upload_run(options.run_dir, options.champion_margin, options.experiment, name=options.name)
    print(upload_summary(done, options.run_dir))
    return OK


if __name__ == "__main__":
    sys.exit(main())
