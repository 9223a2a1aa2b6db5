"""The cells of a grid: the settings of every corpus, model, method, seed and variant. This module needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pct.settings import Settings

# settings with a default for each model
MODEL_SETTINGS = ("lr", "alpha", "temperature", "optimizer", "weight_decay", "warmup", "schedule")
WORD_VECTOR_MODELS = ("textcnn", "lstm")  # encoders have their own embeddings
WITHOUT_RATIONALE = ("mr", "ag_news", "imdb")


def free_settings(base: Settings) -> dict[str, None]:
    """Changes that reset MODEL_SETTINGS to each model's default, except settings in which base has another value."""
    own = Settings(model=base.model)
    return {n: None for n in MODEL_SETTINGS if getattr(base, n) == getattr(own, n)}


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
        base: the common settings. `glove` applies only to models with word vectors.
        corpora: their names.
        models: their names, hub names or folders.
        methods: their names. `rationale` is skipped for named corpora without rationales.
        seeds: of the weights, the dropout and the order of the texts.
        changes: of the settings, one for each variant, such as the rows of a table of the paper.

    Raises:
        ValueError: as `Settings` and `check_distinct`, or if there are no cells.
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
                "glove": base.glove if model in WORD_VECTOR_MODELS else "",
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
