"""Audits the saliencies of a model in an MLflow run: python -m pipelines.audit --model MODEL --data FILE."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pct.auditing.kept import PREFIX, AuditSummary
from pct.auditing.result import Audit
from pct.commands.audit import add_audit_options, audit_given, report_unmet, requirements_of
from pct.commands.errors import UNMET
from pct.commands.parser import CommandParser
from pct.corpora.splits import Split
from pct.output.plots import save
from pipelines.data_sets import log_measured_data
from pipelines.job import OK, NotUploadedError, add_job_options, run_job
from pipelines.metric_names import as_metrics, audit_metrics
from pipelines.mlflow_runs import DESCRIPTION, MlflowRun, ended_on_failure, start_run, upload_of_results
from pipelines.registry import tag_audit

ARTIFACTS = ("audit.html", "audit.json", "audit.md")
PLOT = "audit.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 where a requirement is not met or nothing is logged."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    requirements = requirements_of(options)
    mlflow_run = start_run(f"audit {options.model}", options.experiment)
    with ended_on_failure(mlflow_run):
        result, texts, classes = audit_given(options, requirements)
        print(result.summary())
        unmet = report_unmet(result, requirements)
    try:
        with upload_of_results(mlflow_run):
            version = _log(mlflow_run, result, texts, classes, options.model)
            mlflow_run.set_tags({f"{PREFIX}unmet": "; ".join(unmet)})
            mlflow_run.end("FAILED" if unmet else "FINISHED")
    except NotUploadedError:
        result.save(kept := f"audit-{mlflow_run.run_id}.json")
        print(f"the audit is in {kept}", file=sys.stderr)
        raise
    if version:
        print(f"model       {version} has the judgement as tags")
    print(f"look at it  {mlflow_run.how_to_view}")
    return UNMET if unmet else OK


def _log(mlflow_run: MlflowRun, result: Audit, texts: Split, classes: list[str], model: str) -> str:
    """Logs the audit into the run, and on the version that the model is; returns the version's URI."""
    about = result.about
    values = {name: about[name] for name in ("model", "budget", "seed", "limit")}
    mlflow_run.log_params({**values, "data": about["source"], "saliencies": ", ".join(about["saliencies"])})
    log_audit(mlflow_run, result, **log_measured_data(mlflow_run, texts, classes, about["source"], about["data"]))
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


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m pipelines.audit",
        description="Measures the saliencies that a model allows on the same texts, as pct audit does, and logs the "
        "judgement to MLflow: which saliency to show, and whether it beats a random order.",
        epilog='example: python -m pipelines.audit --model models:/reviews/1 --data a.csv --require "margin>0.02"',
    )
    add_audit_options(parser, "--model")
    add_job_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
