"""Uploads a finished run that is not in MLflow yet: python -m pipelines.track RUN_DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.champion import MARGIN, check_margin
from pipelines.job import OK, run_job
from pipelines.registry import check_name


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the upload; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.track",
        description="Uploads a finished run to MLflow; what is logged already is not logged again.",
        epilog="example: python -m pipelines.track runs/planted-textcnn-pct-1a2b3c4d",
    )
    parser.add_argument("run_dir", type=Path, help="the run's folder")
    parser.add_argument("--experiment", default="", help="the MLflow experiment of a new run (default: pct)")
    parser.add_argument("--champion-margin", "--champion_margin", type=float, default=MARGIN)
    parser.add_argument("--name", default="", help="the registered model (default: pct-<corpus>-<model>)")
    options = parser.parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_margin(options.champion_margin)
    check_name(options.name)
    from pipelines import upload
    from pipelines.main import upload_summary

    done = upload.upload_run(options.run_dir, options.champion_margin, options.experiment, name=options.name)
    print(upload_summary(done, options.run_dir))
    return OK


if __name__ == "__main__":
    sys.exit(main())
