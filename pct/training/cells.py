"""The cells of a grid: the settings of every corpus, model, method, seed and variant. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pct.settings import Settings

# settings of which each model has its own where none is given
OWN = ("lr", "alpha", "temperature", "optimizer", "weight_decay", "warmup", "schedule")
EMBEDDED = ("textcnn", "lstm")  # models that take word vectors; encoders have their own embeddings
WITHOUT_RATIONALE = ("mr", "ag_news", "imdb")


def free_settings(base: Settings) -> dict[str, None]:
    """Changes that give each model its own settings of OWN, except those in which base differs from its own model."""
    own = Settings(model=base.model)
    return {n: None for n in OWN if getattr(base, n) == getattr(own, n)}


def check_distinct(**given: Sequence[Any]) -> None:
    """Raises ValueError for a value that is given twice: a run that counted twice would make a spread too small."""
    for name, values in given.items():
        twice = [str(v) for v in dict.fromkeys(values) if list(values).count(v) > 1]
        if twice:
            raise ValueError(f"{name} has {', '.join(twice)} more than once; give each once")


def measured_alike(base: Settings) -> Settings:
    """The settings with the shares of removed words fixed by which all cells are measured, whatever shares a cell
    trains with."""
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
    """The settings of every cell, seed by seed: a grid that is cut short has as many seeds of one cell as of another.

    Args:
        base: what all cells share. `glove` goes to the models that take it.
        corpora: their names.
        models: their names, hub names or folders.
        methods: their names; `rationale` is left out for the named corpora that have no rationales.
        seeds: of the weights, the dropout and the order of the texts.
        changes: of the settings, one for each variant: the rows of a table of the paper, or settings to compare.

    Raises:
        ValueError: as `Settings`, or as `check_distinct`, or where nothing is left to train.
    """
    check_distinct(corpora=corpora, models=models, methods=methods, seeds=seeds)
    free = free_settings(base)
    cells = [
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
        if method != "rationale" or corpus not in WITHOUT_RATIONALE
    ]
    if not cells:
        raise ValueError(f"method rationale needs texts with rationales, which {', '.join(corpora)} has not")
    return list(dict.fromkeys(cells))
