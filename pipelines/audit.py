"""Audits the saliencies of a model in an MLflow run: python -m pipelines.audit --model MODEL --data FILE."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from pct.auditing.audit import audit
from pct.auditing.gate import Requirement
from pct.auditing.kept import PREFIX, AuditSummary
from pct.auditing.plan import BUDGETS
from pct.auditing.result import Audit
from pct.commands.audit import UNMET
from pct.commands.options import add_measured_texts, add_model, measured_texts, open_given
from pct.commands.parser import CommandParser
from pct.corpora.loading import Split
from pct.output.plots import save
from pct.settings import REMOVALS
from pipelines.data_sets import log_measured_data
from pipelines.job import OK, add_job_options, run_job
from pipelines.metric_names import as_metrics, audit_metrics
from pipelines.mlflow_runs import DESCRIPTION, MlflowRun, ended_on_failure, start_run
from pipelines.registry import tag_audit

ARTIFACTS = ("audit.html", "audit.json", "audit.md")
PLOT = "audit.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 where a requirement is not met."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    requirements = _split(options.require, ";")
    for text in requirements:
        Requirement.parse(text)
    mlflow_run = start_run(f"audit {options.model}", options.experiment)
    with ended_on_failure(mlflow_run):
        predictor = open_given(options)
        texts, source, notes = measured_texts(options, predictor, options.seed, bool(options.label_column))
        result = audit(
            predictor, texts, _split(options.saliencies, " ,"), options.budget, _split(options.removals, " ,"),
            seed=options.seed, progress=not options.quiet, name=options.model,
        )  # fmt: skip
        result.about.update(source=source, limit=options.limit, data=notes)
        print(result.summary())
        version = _log(mlflow_run, result, texts, predictor.classes, source, options.model)
        unmet = result.unmet(requirements)
        for line in unmet:
            print(f"requirement: {line}", file=sys.stderr)
        mlflow_run.set_tags({f"{PREFIX}unmet": "; ".join(unmet)})
        mlflow_run.end("FAILED" if unmet else "FINISHED")
    if version:
        print(f"model       {version} has the judgement as tags")
    print(f"look at it  {mlflow_run.how_to_view}")
    return UNMET if unmet else OK


def _log(mlflow_run: MlflowRun, result: Audit, texts: Split, classes: list[str], source: str, model: str) -> str:
    """Logs the audit into the run, and on the version that the model is; returns the version's URI."""
    about = result.about
    values = {name: about[name] for name in ("model", "budget", "seed", "limit")}
    mlflow_run.log_params({**values, "data": source, "saliencies": ", ".join(about["saliencies"])})
    log_audit(mlflow_run, result, **log_measured_data(mlflow_run, texts, classes, source, about["data"]))
    return tag_audit(mlflow_run.client, model, AuditSummary.of(result))


def log_audit(mlflow_run: MlflowRun, result: Audit, **of: str) -> dict[str, float]:
    """Logs an audit: the metrics of its best saliency, its judgement as tags, and the page, JSON, Markdown and plot.

    Args:
        mlflow_run: where to.
        result: the audit.
        of: what was measured, see `as_metrics`.

    Returns:
        The metrics by their names in MLflow.
    """
    values = audit_metrics(result)
    mlflow_run.log_metrics(as_metrics(values, 0, of=of))
    mlflow_run.set_tags({**AuditSummary.of(result).to_tags(), DESCRIPTION: result.to_markdown()})
    mlflow_run.log_files({**dict.fromkeys(ARTIFACTS, result.save), PLOT: lambda path: save(result.plot(), path)})
    return values


def _split(values: Sequence[str], separators: str) -> list[str]:
    """`mlflow run -P name=VALUE` gives each option once: several values stand in one string."""
    parts = (part.strip() for value in values for part in re.split(f"[{separators}]", value))
    return [part for part in parts if part]


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m pipelines.audit",
        description="Measures every saliency that a model allows on the same texts, as pct audit does, and logs the "
        "judgement to MLflow: which saliency to show, and whether it beats a random order.",
        epilog='example: python -m pipelines.audit --model models:/reviews/1 --data a.csv --require "margin>0.02"',
    )
    add_measured_texts(parser, "--model")
    parser.add_argument("--budget", default="usual", choices=BUDGETS, help="see pct audit (default: usual)")
    parser.add_argument("--saliencies", nargs="+", default=[], metavar="NAME", help="these alone, and random")
    parser.add_argument(
        "--removals", nargs="+", default=[], metavar="NAME", help=f"{', '.join(REMOVALS)}; the first one decides"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random orders and of saliencies that draw")
    parser.add_argument(
        "--require", action="append", default=[], metavar="METRIC>NUMBER",
        help=f"fail with status {UNMET} where the best saliency does not meet it; several with ; between",
    )  # fmt: skip
    add_model(parser)
    add_job_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
