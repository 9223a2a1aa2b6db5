"""A grid of runs by one command: pct compare --corpus mr --models textcnn lstm. `pct reproduce` is a preset of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.commands.errors import RESUMABLE, one_line_message
from pct.commands.options import add_settings, read_settings
from pct.commands.parser import CommandParser
from pct.settings import Settings
from pct.training.grid import check_distinct, make_grid, measured_alike
from pct.training.paper import METHODS, TABLES
from pct.writing import check_file, check_folder, write_text
from pipelines.job import ERROR, NOT_UPLOADED, OK, run_job
from tuning.resources import Resources, add_resources, read_resources
from tuning.space import setting_name, setting_value, split_sets

if TYPE_CHECKING:
    from pct.training.runs import Run

AXES = {"corpus": "corpora", "model": "models", "method": "methods", "seed": "seeds"}  # setting -> its option
REPORT = "report"  # the folder of the report, in that of the runs


@dataclass(frozen=True)
class Preset:
    """A command that runs grids, by what it does where an option is not given.

    Attributes:
        name: of the command.
        description: its help.
        example: a command line.
        corpora: their names; empty for the one of --corpus.
        models: their names.
        methods: their names.
        runs: the folder of the run folders.
        tracked: whether the runs go into MLflow.
        experiment: of MLflow.
    """

    name: str
    description: str
    example: str
    corpora: tuple[str, ...]
    models: tuple[str, ...]
    methods: tuple[str, ...]
    runs: str
    tracked: bool
    experiment: str


COMPARE = Preset(
    "compare",
    "Trains every model by every method under every seed, each a run in a folder of its own, measures it on the test "
    "split, and writes a report: means and deviations beside the paper's, differences to normal training with "
    "intervals, LaTeX, figures. Runs that are finished are read, not run again.",
    "pct compare --corpus mr --models textcnn lstm --seeds 0 1 2 --epochs 4 --set alpha=0.1,0.3",
    (), ("textcnn",), METHODS, "runs", False, "",
)  # fmt: skip


def main(argv: Sequence[str] | None = None, preset: Preset = COMPARE) -> int:
    """Trains the cells that are not trained yet, and reports on all; returns the exit code: 0, 1 for an error, 3 when
    results wait on disk for MLflow, 130 when it was stopped."""
    options = parser(preset).parse_args(argv)

    def job() -> int:
        resources = read_resources(options, Resources())
        if resources.processes > 1:
            raise ValueError(f"gpus must be at most 1, got {resources.gpus:g}: a cell trains in one process")
        return _run(preset, read_cells(options), resources, options)

    return run_job(job, RESUMABLE)


def parser(preset: Preset = COMPARE) -> argparse.ArgumentParser:
    """The command line."""
    result = CommandParser(
        prog=f"pct {preset.name}", description=preset.description, epilog=f"example: {preset.example}"
    )
    add = result.add_argument
    corpora, models, methods = (" ".join(names) for names in (preset.corpora, preset.models, preset.methods))
    add(
        "--corpora", nargs="+", default=list(preset.corpora),
        help=f"corpora to train on (default: {corpora or 'that of --corpus'})",
    )  # fmt: skip
    add("--models", nargs="+", default=list(preset.models), help=f"models to train (default: {models})")
    add("--methods", nargs="+", default=list(preset.methods), help=f"training methods (default: {methods})")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of each cell, a run each (default: 0 1 2)")
    values = "a setting that takes several values, each a cell; of several such options every combination"
    add("--set", action="append", default=[], metavar="NAME=VALUE,VALUE", help=values)
    table = "the rows of this table of the paper in place of --methods (Tables 3 to 5; the paper: mr, textcnn)"
    add("--table", choices=TABLES, help=table)
    add("--cells", nargs="+", default=[], metavar="LABEL", help="only these rows of --table")
    add("--runs", default=preset.runs, help=f"the folder of the run folders (default: {preset.runs})")
    add("--dry-run", "--dry_run", action="store_true", help="list the cells that are left; train none")
    add("--out", default="", help=f"the folder of the report (default: {REPORT} in --runs)")
    add("--no-report", "--no_report", action="store_true", help="print the table, and write no report")
    add("--json", default="", metavar="FILE", help="write the table as JSON too")
    add("--track", action="store_true", default=preset.tracked, help="upload the runs to MLflow")
    untracked = "no MLflow; pct track uploads later"
    add("--no-tracking", "--no_tracking", dest="track", action="store_false", help=untracked)
    experiment = preset.experiment or "pct"
    add("--experiment", default=preset.experiment, help=f"the MLflow experiment (default: {experiment})")
    add("--quiet", action="store_true", help="no progress bars")
    add_resources(result, "1, which needs no Ray")
    add_settings(result, leave_out=("model", "method", "seed", *(("corpus",) if preset.corpora else ())))
    return result


def read_cells(options: argparse.Namespace) -> list[Settings]:
    """The settings of the cells that the options ask for. Raises ValueError as `Settings`."""
    base = read_settings(options)
    if base.has_number:
        raise ValueError("the comparison is of accuracies, and a number has none: leave head value out")
    methods, changes = options.methods, read_changes(options.set, base)
    if options.table:
        rows = table_rows(options.table, options.cells)
        methods, changes = ["pct"], [row | change for row in rows for change in changes]
    elif options.cells:
        raise ValueError("--cells names rows of --table, which is not given")
    if options.table or any(name.startswith("p_") for change in changes for name in change):
        base = measured_alike(base)
    return make_grid(base, options.corpora or [base.corpus], options.models, methods, options.seeds, changes)


def read_changes(given: Sequence[str], base: Settings) -> list[dict[str, Any]]:
    """NAME=VALUE,VALUE of each --set, or of several in one with semicolons between, as every combination of them.

    Raises ValueError for an unknown name, and for a value that the setting cannot have.
    """
    values: dict[str, list[Any]] = {}
    for part in split_sets(given):
        name, equals, text = part.partition("=")
        if not equals or not text.strip():
            raise ValueError(f"--set takes NAME=VALUE,VALUE, got {part!r}")
        name = setting_name(name)
        if name in AXES:
            raise ValueError(f"--set {name}: take --{AXES[name]}")
        values[name] = [setting_value(name, value.strip(), text, base) for value in text.split(",")]
    check_distinct(**values)
    return [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]


def table_rows(table: str, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What the rows of a table change of the paper's settings.

    labels: of the rows that are wanted; all where none is named. Raises ValueError for one that the table has not.
    """
    cells = TABLES[table].cells
    unknown = sorted(set(labels) - {c.label for c in cells})
    if unknown:
        raise ValueError(f"{table} has no cell {', '.join(unknown)}; it has {', '.join(repr(c.label) for c in cells)}")
    check_distinct(cells=labels)
    return [c.changes for c in cells if not labels or c.label in labels]


def _run(preset: Preset, cells: list[Settings], resources: Resources, options: argparse.Namespace) -> int:
    report = None if options.no_report else Path(options.out or Path(options.runs) / REPORT)
    if options.json:
        check_file(options.json)
    if report is not None:
        check_folder(report, "report.md")  # before hours of work
    # torch takes seconds to import: a wrong option is reported before that
    from pct.training.runs import default_folder, is_finished

    left = [s for s in cells if not is_finished(default_folder(s, options.runs))]
    print(f"{len(cells) - len(left)} of {len(cells)} cells are finished in {options.runs}", file=sys.stderr)
    if options.dry_run:
        print("\n".join(str(default_folder(s, options.runs)) for s in left))
        return OK
    tracking = None
    if options.track:
        from pipelines.grid_tracking import GridTracking

        tracking = GridTracking(preset.name, options.experiment)
    try:
        runs, problems = _train(cells, bool(left), resources, options, tracking)
        _conclude(runs, report, options)
    except BaseException:
        if tracking is not None:
            tracking.stop()
        raise
    if tracking is not None and (where := tracking.end(report if runs else None)):
        print(f"look at it  {where}")
    return _exit_code(cells, problems, tracking.not_sent if tracking else [])


def _train(
    cells: list[Settings], anything: bool, resources: Resources, options: argparse.Namespace, tracking: Any
) -> tuple[list[Run], list[str]]:
    """The runs of the cells, and what went wrong with the others."""
    from pct.training.grid import Executor, in_this_process, run_grid
    from pct.training.runs import default_folder

    execute: Executor = partial(in_this_process, progress=not options.quiet)
    # one at a time in this process, unless told otherwise: that needs no Ray, and a busy machine no second training
    if anything and (resources.workers > 1 or resources.address != "local"):
        from tuning.cells_on_ray import on_ray

        execute = partial(on_ray, resources=resources)
    problems: list[str] = []

    def report_problem(settings: Settings, problem: Exception) -> None:
        problems.append(f"{default_folder(settings, options.runs)}: {one_line_message(problem)}")
        print(f"failed {problems[-1]}", file=sys.stderr, flush=True)

    runs = []
    with closing(run_grid(cells, options.runs, report_problem, execute)) as finished:
        for run in finished:
            runs.append(run)
            s = run.settings
            print(f"{len(runs)} of {len(cells)}  {s.corpus} {s.model_name} {s.method} {s.seed}  {_brief(run)}",
                  file=sys.stderr, flush=True)  # fmt: skip
            if tracking is not None:
                tracking.add(run)
    return runs, problems


def _conclude(runs: list[Run], report: Path | None, options: argparse.Namespace) -> None:
    """Prints the table, and writes the report and the JSON."""
    if not runs:
        return
    from pct.output.report.ablations import ablation_table
    from pct.output.report.claims import find_effects
    from pct.output.report.groups import group_runs
    from pct.output.report.page import write_report
    from pct.output.report.tables import main_table, metric_rows

    groups = group_runs(runs)
    table = ablation_table(groups, find_effects(groups), options.table) if options.table else None
    print((table or main_table(groups)).markdown())
    if options.json:
        write_text(options.json, json.dumps(metric_rows(groups), indent=2) + "\n")
    if report is not None:
        figures = find_spec("matplotlib") is not None
        if not figures:
            print("the report has no figures: they need pip install 'pct-explain[tracking]'", file=sys.stderr)
        print(f"report      {write_report([r for group in groups for r in group.runs], report, figures=figures)}")


def _exit_code(cells: list[Settings], problems: list[str], not_sent: list[str]) -> int:
    if problems:
        print(f"error: {len(problems)} of {len(cells)} cells failed, the first is {problems[0]}", file=sys.stderr)
        return ERROR
    if not_sent:
        print(f"error: {not_sent[0]}\nsend them later with the same command", file=sys.stderr)
        return NOT_UPLOADED
    return OK


def _brief(run: Run) -> str:
    values = {"acc": run.test.acc, **run.test.gaps}
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
