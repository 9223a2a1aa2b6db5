"""The paper's grid, or any part of it, by one command: pct reproduce --corpora mr --models textcnn lstm."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pct.commands.errors import in_one_line
from pct.commands.options import add_settings, read_settings
from pct.methods import methods
from pct.settings import Settings
from pct.training.grid import make_grid, run_cell, run_grid
from pct.training.paper_tables import TABLES
from pct.training.runs import Run, default_folder, is_finished, load_run
from pipelines.connection import TrackingError
from pipelines.job import ERROR, NOT_UPLOADED, OK, run_job
from tuning import sweep
from tuning.plan import Resources

PAPER = ("mr", "ag_news", "imdb")
FAST = ("textcnn", "lstm")
EXPERIMENT = "pct-reproduce"


def main(argv: Sequence[str] | None = None) -> int:
    """Trains the cells that are not trained yet, and tracks them; returns the exit code, as `tuning.sweep.main`."""
    options = parser().parse_args(argv)

    def job() -> int:
        return _run(read_cells(options), sweep.read_resources(options, Resources()), options)

    return run_job(job, "stopped; the same command goes on from the last epoch")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="pct reproduce",
        description="Trains and measures the paper's grid or a part of it: every corpus, model, method and seed a run "
        "in its own folder, with the paper's learning rate, alpha and tau. Cells that are finished are not run again. "
        "pct report makes tables, claims and figures of them.",
        epilog="example: pct reproduce --corpora mr --models textcnn lstm --glove glove.6B.300d.txt --epochs 5",
    )
    own = [name for name in methods.own if name != "rationale"]
    made.add_argument("--corpora", nargs="+", default=list(PAPER), help=f"default: {' '.join(PAPER)}")
    made.add_argument("--models", nargs="+", default=list(FAST), help=f"default: {' '.join(FAST)}")
    made.add_argument("--methods", nargs="+", default=own, help=f"default: {' '.join(own)}")
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    made.add_argument(
        "--table",
        choices=TABLES,
        help="the rows of this ablation in place of --methods (Tables 3 to 5; the paper: mr, textcnn)",
    )
    made.add_argument(
        "--runs", default="runs/reproduce", help="where the run folders are made (default: runs/reproduce)"
    )
    made.add_argument("--dry-run", "--dry_run", action="store_true", help="tell which cells are left, and train none")
    made.add_argument("--no-tracking", "--no_tracking", action="store_true", help="no MLflow; pct track uploads later")
    made.add_argument("--experiment", default=EXPERIMENT, help=f"the MLflow experiment (default: {EXPERIMENT})")
    made.add_argument("--quiet", action="store_true", help="no progress bars")
    sweep.add_resources(made)
    add_settings(made, leave_out=("corpus", "model", "method", "seed"))
    return made


def read_cells(options: argparse.Namespace) -> list[Settings]:
    """The settings of the cells that the options ask for. Raises ValueError as `Settings`."""
    base = read_settings(options)
    if not options.table:
        return make_grid(base, options.corpora, options.models, options.methods, options.seeds)
    # all rows are measured with the same shares, whatever they are trained with
    base = base.replace(measure_important=base.measured_shares[0], measure_unimportant=base.measured_shares[1])
    rows = [cell.changes for cell in TABLES[options.table].cells]
    return make_grid(base, options.corpora, options.models, ["pct"], options.seeds, rows)


def _run(cells: list[Settings], resources: Resources, options: argparse.Namespace) -> int:
    left = [s for s in cells if not is_finished(default_folder(s, options.runs))]
    print(f"{len(cells) - len(left)} of {len(cells)} cells are finished in {options.runs}", file=sys.stderr)
    if options.dry_run:
        print("\n".join(str(default_folder(s, options.runs)) for s in left))
        return OK
    problems: list[str] = []

    def tell(settings: Settings, problem: Exception) -> None:
        problems.append(f"{default_folder(settings, options.runs)}: {in_one_line(problem)}")
        print(f"failed {problems[-1]}", file=sys.stderr, flush=True)

    # one at a time in this process, unless told otherwise: it needs no Ray, and a busy machine no second training
    by_ray = bool(left) and (resources.workers > 1 or resources.address != "local")
    runs = (
        _by_ray(cells, resources, options, tell) if by_ray else run_grid(cells, options.runs, tell, not options.quiet)
    )
    not_sent = []
    for number, run in enumerate(runs, 1):
        s = run.settings
        print(f"{number} of {len(cells)}  {s.corpus} {s.model_name} {s.method} {s.seed}  {_brief(run)}", flush=True)
        if not options.no_tracking and (why := _track(run, options.experiment)):
            not_sent.append(why)
    if problems:
        print(f"error: {len(problems)} of {len(cells)} cells failed, the first is {problems[0]}", file=sys.stderr)
        return ERROR
    if not_sent:
        print(f"error: {not_sent[0]}\nsend them later with the same command", file=sys.stderr)
        return NOT_UPLOADED
    return OK


def _brief(run: Run) -> str:
    found = {"acc": run.test.acc, **run.test.gaps}
    return ", ".join(f"{name} {value:.3f}" for name, value in found.items())


def _track(run: Run, experiment: str) -> str:
    """Uploads a run that is not in MLflow yet; returns why it could not be, if so."""
    from pipelines.mlflow_runs import is_uploaded
    from pipelines.upload import upload_run

    if is_uploaded(run.folder):
        return ""
    try:
        upload_run(run.folder, experiment=experiment, registers=False)
    except TrackingError as problem:
        return str(problem)
    return ""


def _by_ray(cells: list[Settings], resources: Resources, options: argparse.Namespace, tell: Any) -> Iterator[Run]:
    """The cells as the points of a Ray Tune run. The run folders must lie where all nodes see them."""
    from ray import tune

    from tuning.cluster import connected

    root = Path(options.runs).absolute()
    point = partial(run_point, cells=[s.to_dict() for s in cells], root=str(root))
    with connected(resources):
        tuner = tune.Tuner(
            tune.with_resources(point, resources.a_trial),
            param_space={"cell": tune.grid_search(list(range(len(cells))))},
            tune_config=tune.TuneConfig(max_concurrent_trials=resources.workers or None, reuse_actors=True),
            run_config=tune.RunConfig(name="ray", storage_path=str(root), verbose=0),
        )
        results = tuner.fit()
    for place, result in enumerate(results):
        why = result.error or (result.metrics or {}).get("error")
        if why:
            tell(cells[place], RuntimeError(str(why).strip().splitlines()[-1]))
        else:
            yield load_run(default_folder(cells[place], options.runs))


def run_point(config: dict[str, Any], cells: list[dict[str, Any]], root: str) -> None:
    """One cell on a worker. What goes wrong is reported: Ray would start it again, and it would go wrong again."""
    from ray import tune

    try:
        run = run_cell(Settings.from_dict(cells[config["cell"]]), root)
        tune.report({**run.test.metrics, **run.test.gaps})
    except Exception as problem:
        tune.report({"error": f"{type(problem).__name__}: {problem}"})


if __name__ == "__main__":
    sys.exit(main())
