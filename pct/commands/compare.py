"""pct compare: training methods side by side, over seeds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pct.commands.options import add_settings, read_settings
from pct.training.paper import METHODS
from pct.writing import check_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what is not trained yet, and prints one table."""
    parser = argparse.ArgumentParser(
        prog="pct compare",
        description="Trains every model by every method under every seed and prints means and standard deviations on "
        "the test split, beside the paper's rows. Runs that are finished are read, not run again.",
        epilog="example: pct compare --corpus mr --models textcnn lstm --seeds 0 1 2 --epochs 4 --restore-best false",
    )
    parser.add_argument("--models", nargs="+", default=["textcnn"], help="default: textcnn")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help=f"default: {' '.join(METHODS)}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--runs", default="runs", help="where the run folders are made (default: runs)")
    parser.add_argument("--json", default="", metavar="FILE", help="write the rows as JSON too")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    add_settings(parser, leave_out=("model", "method", "seed"))
    options = parser.parse_args(arguments)
    base = read_settings(options)
    if options.json:
        check_file(options.json)

    from pct.training.compare import compare, table, write

    def tell(run: object) -> None:
        print(f"done  {run.folder}", file=sys.stderr)  # type: ignore[attr-defined]

    rows = compare(base, options.models, options.methods, options.seeds, options.runs, not options.quiet, tell)
    if options.json:
        write(rows, options.json)
    print(table(rows, base.corpus))
    return 0
