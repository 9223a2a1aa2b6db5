"""A grid in MLflow: a run for the command, the run of every cell nested in it, and the report's files."""

from __future__ import annotations

from pathlib import Path

from pct.training.runs import Run
from pipelines.connection import TrackingError
from pipelines.mlflow_runs import MlflowRun, end_run, is_uploaded, open_run, run_name, start_run
from pipelines.report import log_report
from pipelines.upload import upload_run


class GridTracking:
    """Uploads what is not in MLflow yet. A server that does not answer costs no cell: `not_sent` has the reasons, and
    the same command sends the cells later."""

    def __init__(self, name: str, experiment: str) -> None:
        self.name, self.experiment = name, experiment
        self.not_sent: list[str] = []
        self._parent: MlflowRun | None = None

    def add(self, run: Run) -> None:
        """A cell is finished."""
        if is_uploaded(run.folder):
            return
        try:
            self._parent = self._parent or start_run(self.name, self.experiment)
            cell = open_run(run.folder, self.experiment, self._parent, run_name(run.settings))
            upload_run(run.folder, mlflow_run=cell, registers=False)
        except TrackingError as problem:
            self.not_sent.append(str(problem))

    def end(self, report: Path | None) -> str:
        """All cells are there. report: the folder of the report. Returns how to look at it; empty where it could not be
        sent, or where nothing was new."""
        if self._parent is None:
            return ""
        if report is None:
            end_run(self._parent, "FINISHED")
            return ""
        try:
            return log_report(report, at=self._parent)
        except TrackingError as problem:
            self.not_sent.append(str(problem))
            return ""

    def stop(self) -> None:
        """The command ends before its cells."""
        if self._parent is not None:
            end_run(self._parent, "KILLED")
