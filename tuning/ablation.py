"""The former name of `pct reproduce --table`; it stays for one release."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from pct.commands.parser import CommandParser
from pct.training.paper import TABLES
from pipelines.job import run_job
from tuning import reproduce
from tuning.resources import LOGGERS, check_cpus


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `pct reproduce --table` by the options of `pct ablation`; returns its exit code."""
    options, rest = parser().parse_known_args(argv)
    return run_job(lambda: _run(options, rest))


def _run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    command = new_command(options, rest)
    print(f"pct ablation is now: pct reproduce {shlex.join(command)}", file=sys.stderr)
    ignored = [f"--{n.replace('_', '-')}" for n in ("storage", "loggers", "champion_margin") if getattr(options, n)]
    if ignored:
        print(f"{', '.join(ignored)} has no effect on a grid", file=sys.stderr)
    return reproduce.main(command)


def parser() -> argparse.ArgumentParser:
    """The options that have another name now."""
    result = CommandParser(
        prog="pct ablation",
        description="The former name of pct reproduce --table TABLE; pct reproduce --help lists its options.",
        epilog="example: pct reproduce --table alpha --corpora mr --models textcnn",
        allow_abbrev=False,
    )
    result.add_argument("table", choices=TABLES, help="; ".join(f"{name}: {t.title}" for name, t in TABLES.items()))
    result.add_argument("--corpus", default="planted")
    result.add_argument("--model", default="textcnn")
    result.add_argument("--folder", default="", help="now --runs")
    result.add_argument("--resume", nargs="?", const="", default="", help="the same command goes on by itself")
    result.add_argument("--workers", help="default: one for each CPU")
    result.add_argument("--cpus-per-trial", "--cpus_per_trial", type=float, default=1)
    result.add_argument("--threads", default="")
    result.add_argument("--champion-margin", "--champion_margin")
    result.add_argument("--storage")
    result.add_argument("--loggers", nargs="+", choices=LOGGERS)
    return result


def new_command(options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """The arguments of `pct reproduce` that train the same cells to the same numbers."""
    cpus = options.cpus_per_trial
    check_cpus(cpus)
    workers = options.workers or str(max(1, int((os.cpu_count() or 1) / cpus)))
    command = ["--table", options.table, "--corpora", options.corpus, "--models", options.model, "--workers", workers]
    command += ["--cpus-per-trial", f"{cpus:g}", "--threads", options.threads or str(max(1, int(cpus)))]
    if folder := options.folder or options.resume:
        command += ["--runs", folder]
    return [*command, *rest]


if __name__ == "__main__":
    sys.exit(main())
