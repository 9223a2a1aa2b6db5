"""Runs a grid: it trains every cell in its own run folder, and resumes an interrupted grid."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pct.corpora.loading import CORPUS_SETTINGS, Corpus, load_splits
from pct.settings import Settings
from pct.training.runs import Run, default_folder, is_finished, load_run, run

# the expected errors of a cell; any other error is a bug
CELL_ERRORS = (ValueError, OSError, ImportError, FloatingPointError)


class Job(NamedTuple):
    """A cell to train: its settings, its folder and its corpus."""

    settings: Settings
    folder: Path
    corpus: Corpus


# consumes jobs, and yields each job when it ends, with its error or None
Executor = Callable[[Iterable[Job]], Iterator[tuple[Job, Exception | None]]]
OnProblem = Callable[[Settings, Exception], None]


def in_this_process(jobs: Iterable[Job], progress: bool = False) -> Iterator[tuple[Job, Exception | None]]:
    """The executor of one worker: it runs the jobs sequentially in this process."""
    for job in jobs:
        try:
            run(job.settings, job.folder, progress=progress, corpus=job.corpus)
        except CELL_ERRORS as problem:
            yield job, problem
        else:
            yield job, None


def run_grid(
    cells: Sequence[Settings], root: str | Path, on_problem: OnProblem, execute: Executor = in_this_process
) -> Generator[Run, None, None]:
    """The runs of the cells: first those that are finished, then the others as they end.

    The folder of a run depends on its settings, so finished runs are reused, and interrupted runs resume after their
    last epoch. A failed cell is reported, and the others continue.

    Args:
        cells: of `make_grid`.
        root: the parent of the run folders.
        on_problem: called with the settings of a failed cell, and its error.
        execute: trains the cells, here or on other workers.

    Raises:
        ValueError, OSError, ImportError: the corpus that all remaining cells share cannot be read.
    """
    corpora = _Corpora(cells, on_problem)
    pending = []
    for settings in cells:
        folder = default_folder(settings, root)
        if not is_finished(folder):
            pending.append(settings)
        elif settings.corpus != "files":
            yield load_run(folder)
        else:  # the files may have changed: `run` checks their texts
            yield from _finished_runs(in_this_process(_jobs([settings], root, corpora)), on_problem)
    yield from _finished_runs(execute(_jobs(pending, root, corpora)), on_problem)


class _Corpora:
    """The corpora of a grid, each read once."""

    def __init__(self, cells: Sequence[Settings], on_problem: OnProblem) -> None:
        self.on_problem = on_problem
        self.shared = len({_reading(settings) for settings in cells}) == 1
        self._read: dict[tuple[Any, ...], Corpus] = {}

    def get(self, settings: Settings) -> Corpus | None:
        """The corpus of a cell; None if it cannot be read, which is reported.

        Raises the error of reading if all cells share the corpus.
        """
        key = _reading(settings)
        try:
            if key not in self._read:
                self._read[key] = load_splits(settings)
        except CELL_ERRORS as problem:
            if self.shared:
                raise
            self.on_problem(settings, problem)
            return None
        return self._read[key]


def _reading(settings: Settings) -> tuple[Any, ...]:
    return tuple(getattr(settings, name) for name in CORPUS_SETTINGS)


def _jobs(cells: Sequence[Settings], root: str | Path, corpora: _Corpora) -> Iterator[Job]:
    for settings in cells:
        corpus = corpora.get(settings)
        if corpus is not None:
            yield Job(settings, default_folder(settings, root), corpus)


def _finished_runs(ended: Iterable[tuple[Job, Exception | None]], on_problem: OnProblem) -> Iterator[Run]:
    for job, problem in ended:
        if problem is None:
            yield load_run(job.folder)
        else:
            on_problem(job.settings, problem)


def find_runs(roots: Sequence[str | Path]) -> list[Run]:
    """The finished runs among these folders and their direct subfolders, sorted by name.

    Raises:
        FileNotFoundError: there are none.
    """
    folders = {f for root in roots for f in (Path(root), *sorted(Path(root).glob("*/"))) if is_finished(f)}
    if not folders:
        raise FileNotFoundError(
            f"no finished run in {', '.join(map(str, roots))}; train some with pct reproduce, pct compare or pct train"
        )
    return [load_run(f) for f in sorted(folders)]
