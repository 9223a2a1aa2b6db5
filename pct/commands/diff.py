"""pct diff: two models on the same texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pct.commands.errors import UNMET
from pct.commands.options import add_measured_texts, add_own_settings, conditions_of, measured_texts, open_given
from pct.commands.parser import CommandParser
from pct.saliency import saliencies


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures two models, and prints the change. The exit code is 3 if the second one is no improvement."""
    parser = CommandParser(
        prog="pct diff",
        description="Measures two models of the same classes on the same texts: the metrics of both, each difference "
        "with its 95 % interval, the predictions that changed, and whether the second model is an improvement. The "
        "exit code is 3 if it is not.",
        epilog="example: pct diff OWNER/NAME finetuned --data held_out.csv",
    )
    add_measured_texts(parser, "before")
    parser.add_argument("after", help="the second model, likewise")
    add_own_settings(parser, "conditions", "opening")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.saliency:
        saliencies.check(options.saliency)
    from pct.corpora.splits import notes_in_words
    from pct.metrics.diff import diff

    before, after = (open_given(options, name=name) for name in (options.before, options.after))
    texts, source, notes = measured_texts(options, before, before.settings.corpus_seed, needs_labels=True)
    progress = sys.stderr.isatty() and not options.json
    change = diff(before, after, texts, **conditions_of(options, before.settings), progress=progress)
    if options.json:
        print(json.dumps({**change.to_dict(), "data": notes}, indent=2))
    else:
        lines = [f"{options.before} before, {options.after} after, on {source}", change.table()]
        print("\n".join([*lines, *notes_in_words(notes)]))
    return 0 if change.improved else UNMET
