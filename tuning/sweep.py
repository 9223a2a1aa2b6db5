"""The search by one command: pct sweep --corpus mr --model textcnn --trials 40 (python -m tuning.sweep)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pct.commands.options import add_settings, read_settings
from pct.settings import Settings
from pct.training.cells import measured_alike
from pipelines.champion import MARGIN, check_margin
from pipelines.connection import how_to_view
from pipelines.force import add_force
from pipelines.job import INTERRUPTED, NOT_UPLOADED, OK, run_job
from tuning.plan import MODES, PLAN, Plan, Resources, check_cpus
from tuning.record_copy import bring_back
from tuning.resource_options import add_resources, add_storage, read_resources
from tuning.space import FORMS, make_space, read_range, read_sets
from tuning.storage import storage_of

if TYPE_CHECKING:
    from tuning.driver import Outcome

SWEPT_ELSEWHERE = ("measure_important", "measure_unimportant")
LATEST = "latest"
DEFAULT_TRIALS = 40
# options that are part of a plan, and their field in it; None or False: not given
PLAN_OPTIONS = {"mode": "mode", "margin": "margin", "sweep_seed": "seed", "sweep_baseline": "sweep_baseline"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the sweep; returns the exit code: 0, 1 for an error, 3 when results wait on disk for MLflow, 130 stopped."""
    options = parser().parse_args(argv)
    return run_job(lambda: run(*read(options), options))


def run(plan: Plan, resources: Resources, folder: Path, options: argparse.Namespace) -> int:
    """Runs a plan, and prints the result. Raises what `pipelines.job.run_job` reports."""
    check_margin(options.champion_margin)
    # ray and mlflow take seconds to import: a wrong option is reported before that
    from tuning import driver

    try:
        done = driver.run(plan, resources, folder, options.experiment, options.champion_margin, options.quiet,
                          options.force)  # fmt: skip
    except KeyboardInterrupt:
        print(f"stopped; continue with: pct sweep --resume {folder}", file=sys.stderr)
        return INTERRUPTED
    print(outcome_text(done, folder))
    if done.not_uploaded:
        print(f"error: {done.not_uploaded}\nsend it later with: pct sweep --resume {folder}", file=sys.stderr)
        return NOT_UPLOADED
    return OK


def outcome_text(done: Outcome, folder: Path) -> str:
    """What is printed at the end of a sweep."""
    lines = [done.text, f"results     {folder}"]
    if done.uploaded is not None and done.uploaded.registered is not None:
        registered = done.uploaded.registered
        state = "is @champion" if registered.champion else "is not @champion"
        lines.append(f"model       {registered.uri} {state}: {registered.reason}")
    lines.append(
        f"look at it  {how_to_view(done.mlflow_run.uri, done.mlflow_run.experiment_id, done.mlflow_run.run_id)}"
    )
    return "\n".join(lines)


def read(options: argparse.Namespace) -> tuple[Plan, Resources, Path]:
    """The plan, the resources and the folder: of the options, or of the sweep that is resumed.

    Raises ValueError or FileNotFoundError, naming the option and the remedy.
    """
    if options.resume:
        folder = latest(Path(options.runs)) if options.resume == LATEST else Path(options.resume)
        if options.storage:
            bring_back(folder, storage_of(Resources(storage=options.storage), folder))
        plan, resources = Plan.load(folder)
        check_unchanged(options, plan, folder)
        trials = max(options.trials or 0, plan.trials)
        return replace(plan, trials=trials), read_resources(options, resources), folder
    plan, resources = make_plan(options), read_resources(options, Resources())
    folder = Path(options.folder) if options.folder else plan.default_folder(options.runs)
    if resources.storage and bring_back(folder, storage_of(resources, folder)):
        print(f"{folder} is restored from {storage_of(resources, folder)}", file=sys.stderr)
    if (folder / PLAN).is_file():
        before, _ = Plan.load(folder)
        if replace(before, trials=plan.trials) != plan:
            raise ValueError(f"{folder} holds another sweep; give another --folder, or continue with --resume {folder}")
        plan = replace(plan, trials=max(before.trials, plan.trials))
    return plan, resources, folder


def check_unchanged(options: argparse.Namespace, plan: Plan, folder: Path) -> None:
    """Raises ValueError where an option differs from the plan of the sweep that is resumed: a plan is kept."""
    given = read_settings(options).to_dict()
    base = plan.base.to_dict()
    wanted = {name: given[name] for name in given_settings(options) if name not in plan.ranges}
    has = {name: base[name] for name in wanted}
    ranges = {n: str(read_range(n, text, plan.base)) for n, text in read_sets(getattr(options, "set", [])).items()}
    wanted |= ranges
    has |= {n: plan.ranges.get(n, str(base[n])) for n in ranges}
    for option, field in PLAN_OPTIONS.items():
        if getattr(options, option, None) not in (None, False):
            wanted[option], has[option] = getattr(options, option), getattr(plan, field)
    for name, value in wanted.items():
        if value != has[name]:
            raise ValueError(
                f"{name} is {has[name]} in {folder}, and {value} was given: a sweep that is resumed keeps its plan; "
                f"leave {name} out, or start another sweep without --resume"
            )


def make_plan(options: argparse.Namespace) -> Plan:
    """The plan that the options ask for."""
    base = comparable(read_settings(options), options.cpus_per_trial or 1)
    base, ranges = make_space(base, given_settings(options), read_sets(options.set))
    texts = {name: str(found) for name, found in ranges.items()}
    trials = DEFAULT_TRIALS if options.trials is None else options.trials
    mode = options.mode or MODES[0]
    return Plan(
        base, texts, trials, mode, MARGIN if options.margin is None else options.margin, options.sweep_seed or 0,
        baseline=not options.no_baseline, stop_early=mode == "single" and not options.no_early_stopping,
        sweep_baseline=options.sweep_baseline,
    )  # fmt: skip


def given_settings(options: argparse.Namespace) -> list[str]:
    """The names of the settings that are given on the command line."""
    return [f.name for f in fields(Settings) if getattr(options, f.name, None) not in (None, "")]


def comparable(base: Settings, cpus: float) -> Settings:
    """The base with all trials measured by the same shares, and trained on as many threads as a trial has CPUs, so that
    a result does not depend on the machine."""
    check_cpus(cpus)
    return measured_alike(base).replace(threads=base.threads or max(1, int(cpus)))


def latest(root: Path) -> Path:
    """The folder of the sweep that ran last. Raises FileNotFoundError where there is none."""
    found = sorted(root.glob(f"*/{PLAN}"), key=lambda p: max(q.stat().st_mtime for q in p.parent.iterdir()))
    if not found:
        raise FileNotFoundError(f"{root} holds no sweep to continue; name its folder: pct sweep --resume FOLDER")
    return found[-1].parent


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="pct sweep",
        description="Searches settings by Ray Tune and Optuna: accuracy and comp - suff on the validation split, at "
        "once or as one objective. Every trial is a nested MLflow run; the choice is evaluated on test and registered.",
        epilog="example: pct sweep --corpus mr --model textcnn --trials 40 --set 'alpha=loguniform(0.05,1.5)'",
    )
    made.add_argument(
        "--trials", type=int, help=f"how many (default: {DEFAULT_TRIALS}); a larger number extends a sweep"
    )
    made.add_argument(
        "--mode",
        choices=MODES,
        help="pareto (default): accuracy and gap at once; single: the gap, at the baseline's accuracy",
    )
    made.add_argument("--margin", type=float, help=f"accuracy that the choice may lose (default: {MARGIN})")
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a setting's range: {FORMS}; tau, p_i, p_u and lambda are understood",
    )
    made.add_argument("--sweep-seed", "--sweep_seed", type=int, help="of the search (default: 0)")
    made.add_argument("--no-baseline", "--no_baseline", action="store_true", help="train no normal baseline (pareto)")
    made.add_argument(
        "--sweep-baseline",
        "--sweep_baseline",
        action="store_true",
        help="search the normal baseline as well, with as many trials (learning rate, batch size)",
    )
    add_force(made, "register the search's choice even where the normal baseline is better")
    made.add_argument("--no-early-stopping", "--no_early_stopping", action="store_true", help="no ASHA (single)")
    made.add_argument(
        "--resume",
        nargs="?",
        const=LATEST,
        default="",
        metavar="FOLDER",
        help="continue a sweep that was stopped (default: the latest); its plan is kept",
    )
    made.add_argument("--folder", default="", help="of the sweep (default: runs/<its plan>)")
    made.add_argument("--runs", default="runs", help="where the sweeps' folders are made (default: runs)")
    made.add_argument("--experiment", default="", help="the MLflow experiment (default: MLflow's own)")
    made.add_argument(
        "--champion-margin",
        "--champion_margin",
        type=float,
        default=MARGIN,
        help=f"accuracy that a registered champion may lose (default: {MARGIN})",
    )
    made.add_argument("--quiet", action="store_true", help="no live table")
    add_resources(made, "as many as the cluster holds")
    add_storage(made)
    add_settings(made, leave_out=SWEPT_ELSEWHERE)
    return made


if __name__ == "__main__":
    sys.exit(main())
