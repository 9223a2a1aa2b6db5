"""The search by one command: pct sweep --corpus mr --model textcnn --trials 40 (python -m tuning.sweep)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pct.commands.options import add_settings, given_settings, read_settings
from pct.commands.parser import CommandParser
from pct.training.grid import measured_alike
from pipelines.champion import MARGIN, check_margin
from pipelines.job import INTERRUPTED, NOT_UPLOADED, OK, add_force, add_job_options, run_job
from tuning.plan import MODES, PLAN, Plan
from tuning.resources import Resources, add_resources, add_storage, read_resources
from tuning.space import FORMS, make_space, read_range, read_sets
from tuning.storage import bring_back, storage_of

if TYPE_CHECKING:
    from tuning.driver import Outcome

SWEPT_ELSEWHERE = ("measure_important", "measure_unimportant")
LATEST = "latest"
DEFAULT_TRIALS = 40


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
        print(f"interrupted; continue with: pct sweep --resume {folder}", file=sys.stderr)
        return INTERRUPTED
    print(outcome_text(done, folder))
    if done.not_uploaded:
        print(f"error: {done.not_uploaded}\nsend it later with: pct sweep --resume {folder}", file=sys.stderr)
        return NOT_UPLOADED
    return OK


def outcome_text(done: Outcome, folder: Path) -> str:
    """What is printed at the end of a sweep."""
    model = [f"model       {done.uploaded.registered}"] if done.uploaded else []
    lines = [done.text, f"results     {folder}", *model, f"look at it  {done.mlflow_run.how_to_view}"]
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
    resources = read_resources(options, Resources())
    plan = make_plan(options, resources)
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
    wanted = {name: given[name] for name in given_settings(options)}
    has = {name: plan.ranges.get(name, base[name]) for name in wanted}
    ranges = {n: str(read_range(n, text, plan.base)) for n, text in read_sets(options.set).items()}
    wanted |= ranges
    has |= {n: plan.ranges.get(n, str(base[n])) for n in ranges}
    plan_options = {
        "mode": plan.mode, "margin": plan.margin, "sweep_seed": plan.seed, "sweep_baseline": plan.sweep_baseline,
        "no_baseline": not plan.baseline, "no_early_stopping": not plan.stop_early,
    }  # fmt: skip
    for option, own in plan_options.items():
        if (value := getattr(options, option)) not in (None, False):  # it is given
            wanted[option], has[option] = value, own
    for name, value in wanted.items():
        if value != has[name]:
            raise ValueError(
                f"{name} is {has[name]} in {folder}, and {value} was given: a sweep that is resumed keeps its plan; "
                f"leave {name} out, or start another sweep without --resume"
            )


def make_plan(options: argparse.Namespace, resources: Resources) -> Plan:
    """The plan that the options ask for."""
    # all trials are measured by the same shares, and trained on as many threads as a process has CPUs: results do not
    # depend on the machine
    base = measured_alike(read_settings(options))
    base = base.replace(threads=base.threads or max(1, int(resources.cpus / resources.processes)))
    base, ranges = make_space(base, list(given_settings(options)), read_sets(options.set))
    texts = {name: str(values) for name, values in ranges.items()}
    trials = DEFAULT_TRIALS if options.trials is None else options.trials
    mode = options.mode or MODES[0]
    return Plan(
        base, texts, trials, mode, MARGIN if options.margin is None else options.margin, options.sweep_seed or 0,
        baseline=not options.no_baseline, stop_early=mode == "single" and not options.no_early_stopping,
        sweep_baseline=options.sweep_baseline,
    )  # fmt: skip


def latest(root: Path) -> Path:
    """The folder of the sweep that ran last. Raises FileNotFoundError where there is none."""
    plans = sorted(root.glob(f"*/{PLAN}"), key=lambda p: max(q.stat().st_mtime for q in p.parent.iterdir()))
    if not plans:
        raise FileNotFoundError(f"{root} holds no sweep to continue; name its folder: pct sweep --resume FOLDER")
    return plans[-1].parent


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = CommandParser(
        prog="pct sweep",
        description="Searches settings by Ray Tune and Optuna: accuracy and comp - suff on the validation split, at "
        "once or as one objective. Every trial is a nested MLflow run; the choice is evaluated on test and registered.",
        epilog="example: pct sweep --corpus mr --model textcnn --trials 40 --set 'alpha=loguniform(0.05,1.5)'",
    )
    add = result.add_argument
    add("--trials", type=int, help=f"how many (default: {DEFAULT_TRIALS}); a larger number extends a sweep")
    mode = "pareto (default): accuracy and gap at once; single: the gap, at the baseline's accuracy"
    add("--mode", choices=MODES, help=mode)
    add("--margin", type=float, help=f"accuracy that the choice may lose (default: {MARGIN})")
    ranges = f"a setting's range: {FORMS}; tau, p_i, p_u and lambda are understood"
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=ranges)
    add("--sweep-seed", "--sweep_seed", type=int, help="of the search (default: 0)")
    add("--no-baseline", "--no_baseline", action="store_true", help="train no normal baseline (pareto)")
    swept = "search the normal baseline as well, with as many trials (learning rate, batch size)"
    add("--sweep-baseline", "--sweep_baseline", action="store_true", help=swept)
    add_force(result, "register the search's choice even where the normal baseline is better")
    add("--no-early-stopping", "--no_early_stopping", action="store_true", help="no ASHA (single)")
    resume = "continue a sweep that was stopped (default: the latest); its plan is kept"
    add("--resume", nargs="?", const=LATEST, default="", metavar="FOLDER", help=resume)
    add("--folder", default="", help="of the sweep (default: runs/<its plan>)")
    add("--runs", default="runs", help="where the sweeps' folders are made (default: runs)")
    add_job_options(result)
    margin = f"accuracy that a registered champion may lose (default: {MARGIN})"
    add("--champion-margin", "--champion_margin", type=float, default=MARGIN, help=margin)
    add_resources(result, "as many as the cluster holds")
    add_storage(result)
    add_settings(result, leave_out=SWEPT_ELSEWHERE)
    return result


if __name__ == "__main__":
    sys.exit(main())
