"""The command line: pct COMMAND. A command is a module with `main(arguments) -> exit code`, loaded when called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

import pct
from pct.commands.errors import CLOSED, ERROR, INTERRUPTED, TOLD, in_one_line, with_options

# What stands above the library registers here by name: importing pct.cli imports none of it.
COMMANDS = {
    "audit": ("pct.commands.audit", "which explanation of a model can be trusted: every saliency, and a judgement"),
    "train": ("pct.commands.train", "train a classifier and measure it, into a run folder"),
    "evaluate": ("pct.commands.evaluate", "accuracy and the pathology metrics of a model on a corpus or a file"),
    "predict": ("pct.commands.predict", "the classes of texts, or of a file of any length"),
    "explain": ("pct.commands.explain", "words shaded by saliency, reduction curves and a verdict, of texts or a file"),
    "finetune": ("pct.commands.finetune", "train an existing classifier further, and hold it against itself"),
    "compare": ("tuning.compare", "methods, models, seeds and settings side by side: a grid of runs and its report"),
    "export": ("pct.commands.export", "a model as ONNX graphs with the gradient inside, for use without torch"),
    "serve": ("serving.command", "models behind HTTP: a page, predictions, explanations"),
    "bento": ("serving.bento", "models and their service as a Bento, for bentoml serve and containers"),
    "run": ("pipelines.main", "train, measure, track in MLflow and register the model"),
    "track": ("pipelines.track", "upload a finished run folder to MLflow"),
    "models": ("pipelines.models", "the registered models: versions, metrics, which is champion and why"),
    "promote": ("pipelines.promote", "make a version the champion, or let the rule choose again"),
    "measure": ("pct.commands.measure", "controls of finished runs, and their metrics under other conditions"),
    "report": ("pipelines.report", "tables, claims and figures over many runs, as one page and as files"),
    "reproduce": ("tuning.reproduce", "the paper's grid and tables or a part of them: a preset of compare"),
    "sweep": ("tuning.sweep", "search settings by Ray Tune, on this machine or a cluster, into MLflow"),
    "ablation": ("tuning.ablation", "the former name of reproduce --table"),
}
RENAMED = {"mend": "finetune"}  # names of the version before, for one release
EXAMPLES = """examples:
  pct audit my-classifier --data reviews.csv --output audit.html
  pct train --corpus planted --method pct --epochs 4
  pct evaluate runs/planted-textcnn-pct-1a2b3c4d --data reviews.csv --json
  pct explain models:/pct-planted-textcnn@champion "despite its slow start , the film is brilliant"
  pct compare --corpus mr --models textcnn lstm --seeds 0 1 2

pct COMMAND --help tells a command's options."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code.

    0, 1 for an error, 2 for a wrong command line, 130 when it is stopped, 141 when nobody reads its output any more.
    """
    show_what_can_be_shown(sys.stdout, sys.stderr)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(usage())
        return 0 if given else 2
    if given[0] == "--version":
        print(f"pct {pct.__version__}")
        return 0
    if given[0] in RENAMED:
        print(f"pct {given[0]} is now pct {RENAMED[given[0]]}", file=sys.stderr)
        given[0] = RENAMED[given[0]]
    if given[0] not in COMMANDS:
        print(f"error: no command {given[0]!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        code: int = import_module(COMMANDS[given[0]][0]).main(given[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # as of `pct models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except TOLD as problem:
        print(f"error: {with_options(in_one_line(problem))}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    return code


def show_what_can_be_shown(*streams: object) -> None:
    """Lets a terminal put a question mark for a character that it has not: work that is done is not lost over it."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def usage() -> str:
    """The list of commands, with examples."""
    lines = [f"  {name:<10}{what}" for name, (_, what) in COMMANDS.items()]
    head = ["usage: pct COMMAND [options]", "", "Text classifiers whose explanations can be trusted.", "", "commands:"]
    return "\n".join([*head, *lines, "", EXAMPLES])


if __name__ == "__main__":
    sys.exit(main())
