"""The report job: tables, claims and figures over many runs, from their folders or from MLflow, logged to MLflow.

pct report runs/reproduce --out docs/results
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from pct.commands.parser import CommandParser
from pct.corpora.splits import texts_of_columns
from pct.layout import ABOUT, HISTORY, PER_TEXT, REPORT, SETTINGS
from pct.output.plots import epochs_figure, ridge_figure
from pct.output.report.groups import by_model, group_runs, settings_but
from pct.output.report.page import OPTIONAL, TEXT, write_report
from pct.output.report.sentences import SENTENCES, SENTIMENT, Case, case_figure, reduction_html, study
from pct.text.plurals import plural
from pct.training.grid import find_runs
from pct.training.runs import Run, read_run
from pct.writing import check_folder
from pipelines.connection import UPLOAD, TrackingError, connect, requests_to, search_pages, tracking_uri
from pipelines.figures import TEXTS, confidences
from pipelines.job import NOT_UPLOADED, OK, run_job
from pipelines.mlflow_runs import MlflowRun, start_run

FILES = (REPORT, ABOUT, SETTINGS, HISTORY, PER_TEXT)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the report; returns the exit code: 0, 1 for an error, 3 when it could not be logged to MLflow."""
    options = _parser().parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_folder(options.out, TEXT)  # before minutes of work
    if not (options.runs or options.from_mlflow):
        raise ValueError("no runs to report on: give run folders, or an experiment by --from-mlflow")
    source = mlflow_runs_of(options.from_mlflow) if options.from_mlflow else nullcontext(find_runs(options.runs))
    with source as all_runs:
        runs = of_classes(all_runs)
        more = {**ridges(runs), **ridges_by_epoch(runs)} if options.ridges else {}
        cases = sentence_cases(runs, options.sentences) if options.sentences is not None else {}
        more |= {f"{place}-{i}": case_figure(pair) for place, pairs in cases.items() for i, pair in enumerate(pairs, 1)}
        section = "".join(reduction_html(place, pairs) for place, pairs in cases.items())
        path = write_report(runs, options.out, options.about, more, section, options.leave_out)
    print(f"report      {path}")
    if not options.track:
        return OK
    try:
        print(f"look at it  {log_report(path.parent, options.experiment)}")
    except TrackingError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return NOT_UPLOADED
    return OK


def of_classes(runs: Sequence[Run]) -> list[Run]:
    """The runs without those that give a number, which are reported on standard error.

    Raises ValueError where none is left.
    """
    chosen = [run for run in runs if not run.settings.has_number]
    if left_out := len(runs) - len(chosen):
        reason = "the tables and claims compare accuracies, and a number has none"
        if not chosen:
            raise ValueError(f"no run chooses classes: {reason}; use pct evaluate")
        print(f"left out {plural(left_out, 'run')} of a number: {reason}", file=sys.stderr)
    return chosen


def log_report(folder: Path, experiment: str = "", at: MlflowRun | None = None) -> str:
    """Logs the report's files to an MLflow run, and ends that.

    Args:
        folder: of the report.
        experiment: where a new run is made.
        at: the run; a new one where None.

    Returns:
        How to look at it.

    Raises:
        TrackingError: the server cannot be used.
    """
    at = at or start_run("report", experiment)
    with requests_to(at.uri, **UPLOAD):
        at.client.log_artifacts(at.run_id, str(folder))
        at.set_tags({"pct.kind": "report"})
        at.end()
    return at.how_to_view


@contextmanager
def mlflow_runs_of(experiment: str) -> Iterator[list[Run]]:
    """The finished runs of an experiment, without their models, as long as the block runs.

    Raises `TrackingError`, and FileNotFoundError where there are none.
    """
    uri = tracking_uri()
    client = connect(uri)
    with tempfile.TemporaryDirectory(prefix="pct-report-") as scratch:
        with requests_to(uri, **UPLOAD):
            at = client.get_experiment_by_name(experiment)
            pages = search_pages(client.search_runs, [at.experiment_id], "attributes.status = 'FINISHED'") if at else ()
            folders = [_download(client, run.info.run_id, Path(scratch)) for run in pages]
        runs = [read_run(folder) for folder in folders if folder is not None]
        if not runs:
            raise FileNotFoundError(f"the experiment {experiment} holds no finished run; make some with pct reproduce")
        yield runs


def ridges(runs: Sequence[Run]) -> dict[str, Any]:
    """Figure 2: the confidence as words are removed, a figure for each corpus, model and method, of the first seed."""
    return {
        f"ridges-{corpus}-{model}-{method}": ridge_figure(*_curves(group.runs[0]), f"{method}, {model} on {corpus}")
        for (corpus, model), methods in by_model(group_runs(runs)).items()
        for method, group in methods.items()
    }


def ridges_by_epoch(runs: Sequence[Run]) -> dict[str, Any]:
    """Figures 13 to 18: the same of runs that differ in their epochs alone, a figure for each two or more of these.

    At a constant learning rate a run of fewer epochs is the beginning of a longer one of the same seed.
    """
    others: dict[tuple[Any, ...], dict[int, Run]] = {}
    for group in group_runs(runs):
        others.setdefault(settings_but(group.settings, "epochs"), {})[group.settings.epochs] = group.runs[0]
    drawn = {}
    for by_epoch in others.values():
        if len(by_epoch) > 1:
            s = next(iter(by_epoch.values())).settings
            curves = {epochs: _curves(by_epoch[epochs]) for epochs in sorted(by_epoch)}
            name = f"epochs-{s.corpus}-{s.model_name}-{s.method}"
            drawn[name] = epochs_figure(curves, f"{s.method}, {s.model_name} on {s.corpus}")
    return drawn


def _curves(run: Run) -> tuple[Any, Any]:
    """Of at most 512 test texts, the same for every model."""
    texts = texts_of_columns(run.test.columns)
    chosen = np.sort(np.random.default_rng(0).permutation(len(texts))[:TEXTS])
    return confidences(run.classifier(), [texts[i] for i in chosen], run.settings.order)


def sentence_cases(runs: Sequence[Run], path: str = "") -> dict[str, list[list[Case]]]:
    """Single sentences under normal training and PCT, of the first seed: `<corpus>-<model>` -> sentence -> method.

    Args:
        runs: finished ones, with their models.
        path: a file of sentences, one a line; the paper's own where empty, for models of film reviews alone.

    Raises:
        ValueError: there is nothing to show.
    """
    sentences = Path(path).read_text(encoding="utf-8").split("\n") if path else list(SENTENCES)
    sentences = [line.strip() for line in sentences if line.strip()]
    by_name = {}
    for (corpus, model), methods in by_model(group_runs(runs)).items():
        shown = {name: methods[name].runs[0] for name in ("normal", "pct") if name in methods}
        if sentences and len(shown) == 2 and (path or corpus in SENTIMENT):
            cases = [study(run.classifier(), name, sentences, run.settings.order) for name, run in shown.items()]
            by_name[f"{corpus}-{model}"] = [list(pair) for pair in zip(*cases, strict=True)]
    if not by_name:
        raise ValueError(
            "--sentences shows a model by normal and by pct: train both"
            + ("" if path else f" on {' or '.join(SENTIMENT)}, or name a file of your own sentences")
        )
    return by_name


def _download(client: Any, run_id: str, scratch: Path) -> Path | None:
    """The files of a run; None for a run without them, as a sweep's or a report's."""
    there = {file.path for file in client.list_artifacts(run_id)}
    if not set(FILES) <= there:
        return None
    folder = scratch / run_id
    folder.mkdir()
    for name in FILES:
        client.download_artifacts(run_id, name, str(folder))
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="pct report",
        description="One self-contained HTML page over many runs, the same as Markdown, each table as CSV and LaTeX, "
        "each figure as PNG and SVG: the paper's claims, held or not, by paired bootstrap; its Tables 1 to 5 "
        "beside its numbers; controls; what a point of accuracy buys.",
        epilog="example: pct report runs/reproduce --out docs/results",
    )
    parser.add_argument("runs", nargs="*", help="run folders, or folders of run folders")
    parser.add_argument("--from-mlflow", "--from_mlflow", default="", metavar="EXPERIMENT", help="in place of folders")
    parser.add_argument(
        "--out", default="report", help="the folder of the report; one that is there is replaced (default: report)"
    )
    parser.add_argument("--about", default="", help="how the runs were made, in words, for the page")
    parser.add_argument(
        "--ridges",
        action="store_true",
        help="confidence as words are removed, by model, and by epoch where runs differ in that alone: a minute each",
    )
    parser.add_argument(
        "--sentences", nargs="?", const="", metavar="FILE",
        help="the paper's sentences (or those of a file, one a line) as words are removed, by normal and pct: t-SNE, "
        "saliency, curves, and input reduction step by step",
    )  # fmt: skip
    parser.add_argument(
        "--leave-out", "--leave_out", nargs="+", choices=OPTIONAL, default=[], metavar="KIND",
        help=f"kinds of files not to write, of {', '.join(OPTIONAL)}",
    )  # fmt: skip
    parser.add_argument("--track", action="store_true", help="log the report to MLflow, in a run of its own")
    parser.add_argument("--experiment", default="", help="the MLflow experiment (default: pct)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
