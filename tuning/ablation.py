"""The paper's ablations by one command each: pct ablation alpha --corpus mr (python -m tuning.ablation)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pct.commands.options import add_settings, read_settings
from pct.settings import Settings
from pct.training.grid import check_distinct
from pct.training.paper_tables import TABLES
from pipelines.job import run_job
from tuning import sweep
from tuning.plan import PLAN, Plan, Resources


def main(argv: Sequence[str] | None = None) -> int:
    """Runs an ablation; returns the exit code, as `tuning.sweep.main`."""
    options = parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    plan, folder = read(options)
    return sweep.run(plan, sweep.read_resources(options, Resources()), folder, options)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="pct ablation",
        description="Runs one of the paper's ablations (Tables 3, 4 and 5) as a sweep over fixed points, some seeds a "
        "cell, measured on the test split, and prints it beside the paper's numbers.",
        epilog="example: pct ablation alpha --corpus mr --model textcnn --epochs 4 --seeds 0 1 2",
    )
    made.add_argument("table", choices=TABLES, help="; ".join(f"{name}: {t.title}" for name, t in TABLES.items()))
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of each cell (default: 0 1 2)")
    made.add_argument("--cells", nargs="+", default=[], metavar="LABEL", help="only these rows (default: all)")
    sweep.add_common_options(made)
    add_settings(made, leave_out=("seed", *sweep.SWEPT_ELSEWHERE))
    return made


def read(options: argparse.Namespace) -> tuple[Plan, Path]:
    """The plan and its folder. The same command finds its own again, so --resume only names another one."""
    if options.resume and options.resume != sweep.LATEST:
        plan, _ = Plan.load(Path(options.resume))
        sweep.check_unchanged(options, plan, Path(options.resume))
        return plan, Path(options.resume)
    base = sweep.comparable(read_settings(options), options.cpus_per_trial or 1)
    plan = make_plan(options.table, base, options.seeds, options.cells)
    folder = Path(options.folder) if options.folder else plan.default_folder(options.runs)
    if (folder / PLAN).is_file() and Plan.load(folder)[0] != plan:
        raise ValueError(f"{folder} holds another ablation; give another --folder")
    return plan, folder


def make_plan(name: str, base: Settings, seeds: Sequence[int], values: Sequence[str] = ()) -> Plan:
    """The plan of an ablation. values: the labels of the cells wanted, all where none is named.

    Raises ValueError for an unknown table or label, or one that is named twice.
    """
    if name not in TABLES:
        raise ValueError(f"no ablation is called {name!r}; there are {', '.join(TABLES)}")
    cells = TABLES[name].cells
    unknown = sorted(set(values) - {c.label for c in cells})
    if unknown:
        raise ValueError(f"{name} has no cell {', '.join(unknown)}; it has {', '.join(repr(c.label) for c in cells)}")
    check_distinct(seeds=seeds, cells=values)
    chosen = [c for c in cells if not values or c.label in values]
    points = tuple({**cell.changes, "seed": seed} for cell in chosen for seed in seeds)
    return Plan(base, trials=len(points), baseline=False, kind="ablation", split="test", points=points, name=name)


if __name__ == "__main__":
    sys.exit(main())
