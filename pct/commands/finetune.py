"""pct finetune: an existing classifier, trained further and held against itself."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from pct.commands.options import add_settings, given_settings
from pct.writing import check_file, write_text

NOT_IMPROVED = 3  # the exit code of a model that is no better


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains further, prints what changed, and writes the model; exit code 3 where it is not improved."""
    parser = argparse.ArgumentParser(
        prog="pct finetune",
        description="Goes on training a classifier that exists, its own head included, on your texts, and prints what "
        "changed on the texts held out. A classifier of the transformers library, or an encoder trained here, is "
        "written as a folder that transformers loads, with a model card that holds the table; a textcnn or lstm as pct "
        "train writes it. The exit code is 3 where the model is no improvement.",
        epilog="example: pct finetune OWNER/NAME --train-file reviews.csv --test-file held_out.csv --epochs 2",
    )
    parser.add_argument("model", help="a classifier's folder or hub name, a run's folder, or models:/<name>@champion")
    parser.add_argument("--output", default="finetuned", help="the folder of the result (default: finetuned)")
    parser.add_argument("--run-dir", default="", help="keep checkpoints here; a run that was stopped goes on from them")
    parser.add_argument("--push-to-hub", default="", metavar="OWNER/NAME", help="upload the result, if it improved")
    parser.add_argument("--private", action="store_true", help="a new repository of the hub is private")
    parser.add_argument("--json", default="", metavar="FILE", help="write what changed as JSON too")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    add_settings(parser, leave_out=("model", "fresh_head"))
    options = parser.parse_args(arguments)
    given = given_settings(options)
    if "train_file" in given:
        given.setdefault("corpus", "files")
    from pct.classifier import load
    from pct.corpora.loading import load_splits
    from pct.training.finetune import finetune, finetune_settings
    from pct.training.model_card import check_finetuned, push_to_hub

    if options.json:
        check_file(options.json)
    classifier = load(options.model, given.get("device", "auto"))
    check_finetuned(classifier, options.output)
    settings = finetune_settings(classifier, **given)
    corpus = load_splits(settings)
    done = finetune(classifier, corpus, options.run_dir or None, not options.quiet, **given)
    folder = done.save(options.output)
    if options.json:
        write_text(options.json, json.dumps(done.to_dict(), indent=2))
    print(f"{options.model} before, {folder} after {settings.method}\n{done.table()}")
    if not done.change.improved:
        if options.push_to_hub:
            print("not pushed: it is not improved", file=sys.stderr)
        return NOT_IMPROVED
    if options.push_to_hub:
        print(f"pushed  {push_to_hub(folder, options.push_to_hub, options.private)}")
    return 0
