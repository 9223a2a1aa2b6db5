"""Grids: the settings of every corpus, model, method, seed and variant, each trained in its own run folder."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pct.corpora.loading import CORPUS_SETTINGS, load_splits
from pct.corpora.splits import Corpus
from pct.settings import WORD_MODELS, Settings
from pct.training.runs import Run, default_folder, is_finished, load_run, run

WITHOUT_RATIONALE = ("mr", "ag_news", "imdb")
# the expected errors of a cell; any other error is a bug
CELL_ERRORS = (ValueError, OSError, ImportError, FloatingPointError)


def check_distinct(**sequences: Sequence[Any]) -> None:
    """Raises ValueError for a repeated value: a run that counts twice would make a deviation too small."""
    for name, values in sequences.items():
        repeated = [str(v) for v in dict.fromkeys(values) if list(values).count(v) > 1]
        if repeated:
            raise ValueError(f"{name} has {', '.join(repeated)} more than once; give each once")


def measured_alike(base: Settings) -> Settings:
    """The settings with fixed shares of removed words for measuring, independent of the shares that a cell trains
    with."""
    important, unimportant = base.measured_shares
    return base.replace(measure_important=important, measure_unimportant=unimportant)


def make_grid(
    base: Settings,
    corpora: Sequence[str],
    models: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    changes: Sequence[dict[str, Any]] = ({},),
) -> list[Settings]:
    """The settings of every cell, ordered by seed: an interrupted grid has about the same number of seeds of each cell.

    Args:
        base: the common settings. `glove` applies only to models with word vectors. A setting that has the default of
            the base's model takes that of each cell's model (see `Settings.replace`).
        corpora: their names.
        models: their names, hub names or folders.
        methods: their names. `rationale` is skipped for named corpora without rationales.
        seeds: of the weights, the dropout and the order of the texts.
        changes: of the settings, one for each variant, such as the rows of a table of the paper.

    Raises:
        ValueError: as `Settings` and `check_distinct`, or if there are no cells.
    """
    check_distinct(corpora=corpora, models=models, methods=methods, seeds=seeds)
    cells = [
        base.replace(
            **{
                "corpus": corpus,
                "model": model,
                "method": method,
                "seed": seed,
                "glove": base.glove if model in WORD_MODELS else "",
                **variant,
            }
        )
        for seed in seeds
        for corpus in corpora
        for model in models
        for method in methods
        for variant in changes
        if method != "rationale" or corpus not in WITHOUT_RATIONALE
    ]
    if not cells:
        raise ValueError(f"method rationale needs texts with rationales; {', '.join(corpora)} has none")
    return list(dict.fromkeys(cells))


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
    shared = len({corpus_key(settings) for settings in cells}) == 1
    corpora: dict[tuple[Any, ...], Corpus] = {}  # each is read once

    def jobs(some: Iterable[Settings]) -> Iterator[Job]:
        for settings in some:
            key = corpus_key(settings)
            try:
                if key not in corpora:
                    corpora[key] = load_splits(settings)
            except CELL_ERRORS as problem:
                if shared:
                    raise
                on_problem(settings, problem)
            else:
                yield Job(settings, default_folder(settings, root), corpora[key])

    def finished(ended: Iterable[tuple[Job, Exception | None]]) -> Iterator[Run]:
        for job, problem in ended:
            if problem is None:
                yield load_run(job.folder)
            else:
                on_problem(job.settings, problem)

    pending = []
    for settings in cells:
        folder = default_folder(settings, root)
        if not is_finished(folder):
            pending.append(settings)
        elif settings.corpus != "files":
            yield load_run(folder)
        else:  # the files may have changed: `run` checks their texts
            yield from finished(in_this_process(jobs([settings])))
    yield from finished(execute(jobs(pending)))


def corpus_key(settings: Settings) -> tuple[Any, ...]:
    """Equal for settings with the same corpus."""
    return tuple(getattr(settings, name) for name in CORPUS_SETTINGS)


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
