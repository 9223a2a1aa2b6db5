"""Many trainings that belong together: every corpus, model, method and seed a cell, each in its own run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pct.corpora.loading import Corpus, load_splits
from pct.settings import Settings
from pct.training.runs import Run, default_folder, is_finished, load_run, run

# settings that are each model's own where none is given
OWN = ("lr", "alpha", "temperature", "optimizer", "weight_decay", "warmup", "schedule")
EMBEDDED = ("textcnn", "lstm")  # models that take GloVe; encoders bring their own embeddings
WITH_RATIONALE = ("planted", "movie_rationales")


def free_settings(base: Settings) -> dict[str, None]:
    """Changes by which each model gets its own of the settings named in OWN, unless base holds others than its own
    model's."""
    own = Settings(model=base.model)
    return {n: None for n in OWN if getattr(base, n) == getattr(own, n)}


def check_distinct(**given: Sequence[Any]) -> None:
    """Raises ValueError for what is given more than once: a run that counted twice would make a spread too small."""
    for name, values in given.items():
        twice = [str(v) for v in dict.fromkeys(values) if list(values).count(v) > 1]
        if twice:
            raise ValueError(f"{name} has {', '.join(twice)} more than once; give each once")


def make_grid(
    base: Settings,
    corpora: Sequence[str],
    models: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    changes: Sequence[dict[str, Any]] = ({},),
) -> list[Settings]:
    """The settings of every cell, seed by seed: a grid that is cut short has as many seeds of one cell as of another.

    Args:
        base: what all cells share. `glove` goes to the models that take it.
        corpora: their names.
        models: their names, hub names or folders.
        methods: their names; those that need a rationale are left out where the corpus has none.
        seeds: of the weights, the dropout and the order of the texts.
        changes: of the settings, one a variant: those of an ablation's rows.

    Raises:
        ValueError: as `Settings`, or as `check_distinct`.
    """
    check_distinct(corpora=corpora, models=models, methods=methods, seeds=seeds)
    free = free_settings(base)
    made = [
        base.replace(
            **{
                **free,
                "corpus": corpus,
                "model": model,
                "method": method,
                "seed": seed,
                "glove": base.glove if model in EMBEDDED else "",
                **variant,
            }
        )
        for seed in seeds
        for corpus in corpora
        for model in models
        for method in methods
        for variant in changes
        if method != "rationale" or corpus in WITH_RATIONALE
    ]
    return list(dict.fromkeys(made))


def run_cell(settings: Settings, root: str | Path, corpus: Corpus | None = None, progress: bool = False) -> Run:
    """One cell in its folder below root: the same settings find their run again, and one that was stopped goes on.

    Raises as `pct.training.runs.run`.
    """
    folder = default_folder(settings, root)
    return load_run(folder) if is_finished(folder) else run(settings, folder, progress=progress, corpus=corpus)


def run_grid(
    cells: Sequence[Settings],
    root: str | Path,
    on_problem: Callable[[Settings, Exception], None],
    progress: bool = False,
) -> Iterator[Run]:
    """The cells one after another, each corpus read once. One that fails is told, and the others go on."""
    corpora: dict[str, Corpus] = {}
    for settings in cells:
        try:
            if settings.corpus not in corpora and not is_finished(default_folder(settings, root)):
                corpora[settings.corpus] = load_splits(settings)
            yield run_cell(settings, root, corpora.get(settings.corpus), progress)
        except (ValueError, OSError, ImportError, FloatingPointError) as problem:
            on_problem(settings, problem)


def find_runs(roots: Sequence[str | Path]) -> list[Run]:
    """The finished runs in these folders, or in folders directly below them, by their names.

    Raises:
        FileNotFoundError: there is none.
    """
    folders = {f for root in roots for f in (Path(root), *sorted(Path(root).glob("*/"))) if is_finished(f)}
    if not folders:
        raise FileNotFoundError(
            f"no finished run in {', '.join(map(str, roots))}; make some with pct reproduce, pct compare or pct train"
        )
    return [load_run(f) for f in sorted(folders)]
