"""pct finetune: trains an existing classifier further, and compares it with the original."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pct.commands.errors import UNMET
from pct.commands.options import OF_FINETUNING, add_settings, given_settings
from pct.commands.parser import CommandParser
from pct.writing import check_file, write_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Finetunes a classifier, prints the change, and writes the model. The exit code is 3 if it has not improved."""
    parser = CommandParser(
        prog="pct finetune",
        description="Trains an existing classifier further on your texts, with its own head, and compares it with the "
        "original on the test texts. A classifier of the transformers library, or an encoder trained here, is written "
        "as a folder that transformers loads, with a model card; a textcnn or lstm is written as by pct train. The "
        "exit code is 3 if the model has not improved.",
        epilog="example: pct finetune OWNER/NAME --train-file reviews.csv --test-file held_out.csv",
    )
    parser.add_argument("model", help="a classifier's folder or hub name, a run's folder, or models:/<name>@champion")
    parser.add_argument("--output", default="finetuned", help="the folder of the result (default: finetuned)")
    parser.add_argument(
        "--run-dir", default="", help="the folder for checkpoints, from which an interrupted run resumes"
    )
    parser.add_argument("--push-to-hub", default="", metavar="OWNER/NAME", help="upload the result if it has improved")
    parser.add_argument("--private", action="store_true", help="make a new repository of the hub private")
    parser.add_argument("--json", default="", metavar="FILE", help="also write the change as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    add_settings(parser, leave_out=("model", "fresh_head"), defaults=OF_FINETUNING)
    options = parser.parse_args(arguments)
    given = given_settings(options)
    from pct.classifier import load
    from pct.corpora.loading import load_splits
    from pct.training.finetune import finetune, finetune_settings
    from pct.training.model_card import check_finetuned, push_to_hub

    if options.json:
        check_file(options.json)
    classifier = load(options.model, given.get("device", "auto"), given.get("head", ""))
    check_finetuned(classifier, options.output, options.model)
    settings = finetune_settings(classifier, **given)
    corpus = load_splits(settings)
    done = finetune(classifier, corpus, options.run_dir or None, not options.quiet, **given)
    folder = done.save(options.output)
    if options.json:
        write_text(options.json, json.dumps(done.to_dict(), indent=2))
    print(f"{options.model} before, {folder} after {settings.method}\n{done.table()}")
    if not done.change.improved:
        if options.push_to_hub:
            print("not pushed: the model has not improved", file=sys.stderr)
        return UNMET
    if options.push_to_hub:
        print(f"pushed  {push_to_hub(folder, options.push_to_hub, options.private)}")
    return 0
