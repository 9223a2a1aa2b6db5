"""pct measure: controls of finished runs, and their metrics under other conditions."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pct.commands.parser import CommandParser


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the measurements that the runs do not have yet."""
    parser = CommandParser(
        prog="pct measure",
        description="Measures finished runs further and saves the results in their folders, for pct report: controls "
        "(random order, normalised AOPC, leave-one-out, collapse), and the eight metrics with words masked instead of "
        "deleted, ranked again after each removal, or ranked by another saliency.",
        epilog="example: pct measure runs/reproduce --only controls mask",
    )
    parser.add_argument("runs", nargs="+", help="run folders, or folders of run folders")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these measurements (default: all)")
    options = parser.parse_args(arguments)

    from pct.corpora.loading import load_splits
    from pct.training.grid import corpus_key, find_runs
    from pct.training.measured import STANDARD, measure_run, pending

    names = options.only or list(STANDARD)
    unknown = sorted(set(names) - set(STANDARD))
    if unknown:
        raise ValueError(f"no measurement is called {', '.join(unknown)}; there are {', '.join(STANDARD)}")
    corpora = {}
    left = pending(find_runs(options.runs), names)
    for number, (run, name) in enumerate(left, 1):
        key = corpus_key(run.settings)
        if key not in corpora:
            corpora[key] = load_splits(run.settings)
        measure_run(run, name, STANDARD[name], corpora[key])
        print(f"{number} of {len(left)}  {name}  {run.folder}", file=sys.stderr, flush=True)
    return 0
