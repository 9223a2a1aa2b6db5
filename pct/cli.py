"""The command line: pct COMMAND. A command is a module with `main(arguments) -> exit code`, imported when called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

import pct
from pct.commands.errors import CLOSED, ERROR, EXPECTED_ERRORS, INTERRUPTED, one_line_message, with_option_names
from pct.commands.stopping import terminate_as_interrupt
from pct.renamed import COMMANDS as FORMER_COMMANDS

# Commands are listed by module name, so that importing pct.cli imports no packages above the library.
COMMANDS = {
    "audit": ("pct.commands.audit", "compare all saliencies of a model, and judge which can be trusted"),
    "train": ("pct.commands.train", "train and measure a classifier in a run folder"),
    "evaluate": ("pct.commands.evaluate", "accuracy and pathology metrics of a model on a corpus or a file"),
    "diff": ("pct.commands.diff", "measure two models on the same texts: each difference with its interval"),
    "predict": ("pct.commands.predict", "predict the classes of texts, or of a file of any length"),
    "explain": (
        "pct.commands.explain",
        "explain texts or a file: words shaded by saliency, reduction curves, a verdict",
    ),
    "finetune": ("pct.commands.finetune", "train an existing classifier further, and compare it with the original"),
    "compare": ("tuning.compare", "compare methods, models, seeds and settings: a grid of runs and its report"),
    "export": ("pct.commands.export", "export a model as ONNX graphs with their gradient, for use without torch"),
    "serve": ("serving.command", "serve models over HTTP: a page, predictions, explanations"),
    "bento": ("serving.bento", "build a Bento of models and their service, for bentoml serve and containers"),
    "run": ("pipelines.main", "train, measure, track in MLflow and register the model"),
    "track": ("pipelines.track", "upload a finished run folder to MLflow"),
    "models": ("pipelines.models", "list the registered models: versions, metrics, the champion and the reason"),
    "promote": ("pipelines.promote", "make a version the champion, or apply the champion rule again"),
    "measure": ("pct.commands.measure", "measure finished runs further: controls, and metrics under other conditions"),
    "report": ("pipelines.report", "write tables, claims and figures over many runs, as one page and as files"),
    "reproduce": ("tuning.reproduce", "run the paper's grid and tables, or a part of them: a preset of compare"),
    "sweep": ("tuning.sweep", "search settings with Ray Tune, on this machine or a cluster, tracked in MLflow"),
    "ablation": ("tuning.ablation", "the former name of reproduce --table"),
}
EXAMPLES = """examples:
  pct audit my-classifier --data reviews.csv --output audit.html
  pct train --corpus planted --method pct --epochs 4
  pct evaluate runs/planted-textcnn-pct-1a2b3c4d --data reviews.csv --json
  pct diff my-classifier finetuned --data held_out.csv
  pct explain models:/pct-planted-textcnn@champion "despite its slow start , the film is brilliant"
  pct compare --corpus mr --models textcnn lstm --seeds 0 1 2

pct COMMAND --help lists the options of a command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code.

    The code is 0 for success, 1 for an error, 2 for a wrong command line, 130 after an interrupt, and 141 if the reader
    of its output has closed the pipe.
    """
    replace_unencodable(sys.stdout, sys.stderr)
    command_line = list(sys.argv[1:] if arguments is None else arguments)
    if not command_line or command_line[0] in ("-h", "--help"):
        print(usage())
        return 0 if command_line else 2
    if command_line[0] == "--version":
        print(f"pct {pct.__version__}")
        return 0
    if new_name := FORMER_COMMANDS.get(command_line[0]):
        print(f"pct {command_line[0]} is now pct {new_name}", file=sys.stderr)
        command_line[0] = new_name
    if command_line[0] not in COMMANDS:
        print(f"error: no command {command_line[0]!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        with terminate_as_interrupt():
            code: int = import_module(COMMANDS[command_line[0]][0]).main(command_line[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # as in `pct models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except EXPECTED_ERRORS as problem:
        print(f"error: {with_option_names(one_line_message(problem))}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def replace_unencodable(*streams: object) -> None:
    """Prints question marks for characters that a terminal's encoding lacks, instead of an error."""
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
