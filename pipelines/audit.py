"""Audits the saliencies of a model in an MLflow run: python -m pipelines.audit --model MODEL --data FILE."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.auditing.audit import audit
from pct.auditing.gate import Requirement
from pct.auditing.kept import PREFIX, AuditSummary
from pct.auditing.plan import BUDGETS
from pct.auditing.result import Audit
from pct.commands.audit import UNMET
from pct.commands.options import add_reading, reading_settings
from pct.corpora.loading import SPLITS, Split, choose_texts
from pct.corpora.splits import limited
from pct.opening import open_model
from pct.settings import CORPORA, REMOVALS
from pipelines.connection import how_to_view
from pipelines.job import OK, run_job

if TYPE_CHECKING:
    from pipelines.mlflow_runs import MlflowRun

ARTIFACTS = ("audit.html", "audit.json", "audit.md")
PLOT = "audit.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code: 0, 1 for an error, 3 where a requirement is not met."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from pipelines import mlflow_runs

    requirements = _split(options.require, ";")
    for text in requirements:
        Requirement.parse(text)
    mlflow_run = mlflow_runs.start_run(f"audit {options.model}", options.experiment)
    with mlflow_runs.ended_on_failure(mlflow_run):
        predictor = open_model(options.model, options.device)
        texts, source, notes = choose_texts(
            reading_settings(options, predictor.settings), predictor.classes, options.corpus, options.data,
            options.split, needs_labels=bool(options.label_column),
        )  # fmt: skip
        texts, notes = limited(texts, notes, options.limit, options.seed)  # those that pct audit takes
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
        mlflow_run.client.set_tag(mlflow_run.run_id, f"{PREFIX}unmet", "; ".join(unmet))
        mlflow_run.client.set_terminated(mlflow_run.run_id, "FAILED" if unmet else "FINISHED")
    if version:
        print(f"model       {version} has the judgement as tags")
    print(f"look at it  {how_to_view(mlflow_run.uri, mlflow_run.experiment_id, mlflow_run.run_id)}")
    return UNMET if unmet else OK


def _log(mlflow_run: MlflowRun, result: Audit, texts: Split, classes: list[str], source: str, model: str) -> str:
    """Logs the audit into the run, and on the version that the model is; returns the version's URI."""
    from pipelines.data_sets import as_input, measured_data_set
    from pipelines.registry import tag_audit
    from pipelines.upload import log_params, noted

    client, run_id = mlflow_run.client, mlflow_run.run_id
    about = result.about
    values = {name: about[name] for name in ("model", "budget", "seed", "limit")}
    log_params(mlflow_run, {**values, "data": source, "saliencies": ", ".join(about["saliencies"])})
    for name, value in noted(about["data"]):
        client.set_tag(run_id, f"data.{name}", value)
    data = measured_data_set(texts, classes, source)
    client.log_inputs(run_id, [as_input(data, "evaluation")])
    log_audit(client, run_id, result, dataset_name=data.name, dataset_digest=data.digest)
    return tag_audit(client, model, AuditSummary.of(result))


def log_audit(client: Any, run_id: str, result: Audit, **of: str) -> dict[str, float]:
    """Logs an audit: the metrics of its best saliency, its judgement as tags, and the page, JSON, Markdown and plot.

    Args:
        client: MLflow's.
        run_id: where to.
        result: the audit.
        of: what was measured, see `as_metrics`.

    Returns:
        The metrics by their names in MLflow.
    """
    from pipelines.description import DESCRIPTION
    from pipelines.metric_names import as_metrics, audit_metrics

    values = audit_metrics(result)
    client.log_batch(run_id, metrics=as_metrics(values, 0, **of))
    for name, value in AuditSummary.of(result).to_tags().items():
        client.set_tag(run_id, name, value)
    with tempfile.TemporaryDirectory() as folder:
        for file in ARTIFACTS:
            result.save(Path(folder) / file)
        if hasattr(result, "plot"):
            from pct.output.plots import save

            save(result.plot(), Path(folder) / PLOT)
        client.log_artifacts(run_id, folder)
    client.set_tag(run_id, DESCRIPTION, result.to_markdown())
    return values


def _split(values: Sequence[str], separators: str) -> list[str]:
    """`mlflow run -P name=VALUE` gives each option once: several values stand in one string."""
    parts = (part.strip() for value in values for part in re.split(f"[{separators}]", value))
    return [part for part in parts if part]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.audit",
        description="Measures every saliency that a model allows on the same texts, as pct audit does, and logs the "
        "judgement to MLflow: which saliency to show, and whether it beats a random order.",
        epilog='example: python -m pipelines.audit --model models:/reviews/1 --data a.csv --require "margin>0.02"',
    )
    parser.add_argument("--model", required=True, help="a classifier: folder, hub name, run folder or MLflow URI")
    parser.add_argument("--data", default="", help="a file with texts and labels (default: the model's own corpus)")
    add_reading(parser)
    parser.add_argument("--corpus", default="", help=f"{', '.join(CORPORA)} or hub:OWNER/NAME (default: its own)")
    parser.add_argument("--split", default="test", choices=SPLITS, help="of the corpus (default: test)")
    parser.add_argument("--limit", type=int, default=0, help="at most so many texts; 0 takes all")
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
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--experiment", default="", help="the MLflow experiment (default: pct)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
