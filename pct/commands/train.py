"""pct train: trains and measures a classifier in a run folder. `pct track` uploads the run to MLflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pct.commands.errors import INTERRUPTED, RESUMABLE
from pct.commands.options import add_devices, add_settings, given_settings, launch_of, read_settings
from pct.commands.parser import CommandParser
from pct.settings import WORD_MODELS

NOTE = (
    "note: pct, the default method, made the explanations of a pretrained encoder worse than normal training does, and "
    "removal_margin made them better (docs/results.md); --method chooses"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains a classifier, or resumes an interrupted run, and prints the metrics on the test split."""
    parser = CommandParser(
        prog="pct train",
        description="Trains a classifier and measures it on the test split. An interrupted run resumes from its last "
        "checkpoint when the same command is run again.",
        epilog="example: pct train --corpus mr --model lstm --method pct --epochs 4",
    )
    parser.add_argument("--run-dir", default="", help="the run's folder (default: runs/<its settings>)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    add_devices(parser)
    add_settings(parser)
    options = parser.parse_args(arguments)
    settings = read_settings(options)
    launch = launch_of(options)
    if "method" not in given_settings(options) and settings.model not in WORD_MODELS:
        print(NOTE, file=sys.stderr)
    # importing torch takes seconds: settings are checked before
    from pct.training.runs import default_folder, run

    folder = options.run_dir or default_folder(settings)
    try:
        done = run(settings, folder, progress=not options.quiet, launch=launch)
    except KeyboardInterrupt:
        print(RESUMABLE, file=sys.stderr)
        return INTERRUPTED
    if not done.trained:
        print(f"{folder} holds this finished run: it is not trained again")
    print(f"{settings.method} on {settings.corpus}, test split\n{done.test.table()}\nresults  {folder}")
    return 0
