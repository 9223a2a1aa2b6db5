"""The eight metrics of pathology and their companions, from studies of blocks of texts. numpy alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.explaining.explanation import TEXTS_A_BLOCK, Removal, Study, Wanted, study
from pct.explaining.predictor import Predictor, check_classes
from pct.explaining.reduction import removal_ranks, words_to_remove
from pct.metrics.rationale import rationale_columns
from pct.text.words import split, split_each

EIGHT = ("acc", "f_x", "comp", "suff", "ir", "ur", "i_var", "u_var")
COMPANIONS = ("i_var_aligned", "u_var_aligned", "comp_aopc", "suff_aopc")
RANKED = frozenset({"i_var", "u_var", "i_var_aligned", "u_var_aligned"})
AOPC_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # DeYoung et al. 2020 (ERASER)

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class Report:
    """Metrics of a split: `metrics` the means over texts, `errors` their standard errors, `columns` a value a text.

    A text of one word has no reduced text: its values are NaN but for acc and f_x, and it counts for nothing else.
    Every metric is an attribute too: `report.comp`.
    """

    metrics: dict[str, float]
    errors: dict[str, float]
    columns: dict[str, Column]
    classes: list[str]

    def __getattr__(self, name: str) -> float:
        try:
            return self.__dict__["metrics"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(
                f"no metric {name!r}; there are {', '.join(self.__dict__.get('metrics', ()))}"
            ) from None

    @property
    def gaps(self) -> dict[str, float]:
        """The pathology: comp - suff, ur - ir, i_var - u_var, of those that were measured. Larger is healthier."""
        m = self.metrics
        pairs = (("comp", "suff"), ("ur", "ir"), ("i_var", "u_var"))
        return {f"{a}-{b}": m[a] - m[b] for a, b in pairs if a in m and b in m}

    def table(self) -> str:
        """The metrics as a table for a terminal."""
        lines = [f"{'metric':<28}{'mean':>10}{'± s.e.':>10}"]
        lines += [f"{name:<28}{value:>10.4f}{self.errors[name]:>10.4f}" for name, value in self.metrics.items()]
        lines += [f"{name:<28}{value:>10.4f}" for name, value in self.gaps.items()]
        return "\n".join(lines)

    def to_json(self) -> str:
        """metrics, standard errors and gaps; NaN is written as null."""
        parts = {"metrics": self.metrics, "standard_errors": self.errors, "gaps": self.gaps}
        clean = {k: {n: (float(x) if np.isfinite(x) else None) for n, x in v.items()} for k, v in parts.items()}
        return json.dumps({"texts": len(self.columns["n"]), **clean}, indent=2)

    def to_parquet(self, path: str | Path) -> None:
        """The values per text. Raises ImportError, with the remedy, without pyarrow."""
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise ImportError("to_parquet needs pyarrow: pip install 'pct-explain[data]'") from None
        unfinished = Path(f"{path}.part")
        pq.write_table(pa.table({k: pa.array(v) for k, v in self.columns.items()}), unfinished)
        unfinished.replace(path)


def evaluate(
    predictor: Predictor,
    dataset: Any,
    p_important: float = 0.1,
    p_unimportant: float = 0.1,
    order: str = "static",
    limit: int = 0,
    progress: bool = False,
    metrics: Sequence[str] = (),
) -> Report:
    """The eight metrics, the aligned and AOPC companions, and, where the dataset knows it, the rationale's.

    dataset: texts and labels as columns (a `datasets.Dataset`, a dict, a `Split`) or a pair (texts, labels). The texts
    are studied in blocks, so memory does not grow with their number. metrics: the names of those wanted, all where
    none is named; only the reduced texts that these need are run. Raises ValueError for an empty dataset, a label
    outside the classes, a share outside (0, 1], or an unknown metric.
    """
    unknown = sorted(set(metrics) - {*EIGHT, *COMPANIONS})
    if unknown:
        raise ValueError(f"unknown metric {', '.join(unknown)}; known: {', '.join((*EIGHT, *COMPANIONS))}")
    texts, labels, rationale, shortcut = _columns(dataset)
    if limit:
        texts, labels = texts[:limit], labels[:limit]
        rationale, shortcut = rationale and rationale[:limit], shortcut and shortcut[:limit]
    if len(texts) == 0:
        raise ValueError("the dataset has no texts to evaluate")
    words_to_remove(np.array([2]), p_important), words_to_remove(np.array([2]), p_unimportant)
    gold = check_classes(labels, len(texts), len(predictor.classes))
    parts: list[dict[str, Column]] = []
    for index in _blocks(texts, progress):
        tokens = predictor.tokens([split(texts[i]) for i in index])
        wanted = wanted_steps(tokens.counts, p_important, p_unimportant, metrics)
        seen = study(predictor, tokens, None, None, order, wanted)
        columns = block_columns(seen, gold[index], p_important, p_unimportant, metrics)
        if rationale:
            marks = [shortcut[i] for i in index] if shortcut else None
            columns |= rationale_columns(seen.saliency, seen.counts, [rationale[i] for i in index], marks)
        parts.append({"index": index, **columns})
    joined = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    place = np.argsort(joined["index"], kind="stable")
    columns = {name: column[place] for name, column in joined.items()}
    skip = ("index", "n", "label", "predicted")
    means = {k: _mean(v) for k, v in columns.items() if k not in skip}
    errors = {k: _standard_error(v) for k, v in columns.items() if k not in skip}
    return Report(means, errors, columns, list(predictor.classes))


def wanted_steps(counts: Column, p_important: float, p_unimportant: float, metrics: Sequence[str] = ()) -> Wanted:
    """The removals that the metrics named need (all where none is), for texts of N = counts words."""
    names = set(metrics) or {*EIGHT, *COMPANIONS}
    t = np.arange(int(counts.max(initial=1)))
    sides = []
    for mean, aopc, share in (("comp", "comp_aopc", p_important), ("suff", "suff_aopc", p_unimportant)):
        steps = np.zeros((len(counts), len(t)), bool)
        if mean in names:
            steps |= t <= words_to_remove(counts, share)[:, None]
        if aopc in names:
            steps |= (t == _aopc_steps(counts)[..., None]).any(1)
        sides.append(steps)
    return Wanted(sides[0], sides[1], until_flip=bool(names & {"ir", "ur"}), next_saliency=bool(names & RANKED))


def block_columns(
    seen: Study, gold: Column, p_important: float, p_unimportant: float, metrics: Sequence[str] = ()
) -> dict[str, Column]:
    """The metrics of each text of a block, (texts,) each; NaN where a text of one word has none."""
    n = seen.counts
    predicted = seen.probabilities.argmax(1)
    many = n > 1

    def where_many(values: Column) -> Column:
        return np.where(many, values, np.nan)

    columns: dict[str, Column] = {
        "n": n, "label": gold, "predicted": predicted, "acc": (predicted == gold).astype(np.float64),
        "f_x": seen.probabilities[np.arange(len(n)), seen.labels],
    }  # fmt: skip
    sides = ((seen.important, p_important, True), (seen.unimportant, p_unimportant, False))
    for name, (side, share, _) in zip(("comp", "suff"), sides, strict=True):
        columns[name] = where_many(_mean_drop(side, words_to_remove(n, share)))
    for name, (side, _, _) in zip(("ir", "ur"), sides, strict=True):
        flips = side.flips()
        columns[name] = where_many(np.where(flips > 0, flips, n - 1).astype(np.float64))
    chosen = [k for k in (*EIGHT, *COMPANIONS) if not metrics or k in metrics]
    if not RANKED.isdisjoint(chosen):
        ranks = removal_ranks(seen.saliency, n, True)
        for name, (side, _, _) in zip(("i_var", "u_var"), sides, strict=True):
            literal, aligned = rank_variance(ranks, side, n)
            columns[name], columns[f"{name}_aligned"] = where_many(literal), where_many(aligned)
    steps = _aopc_steps(n)
    for name, (side, _, _) in zip(("comp_aopc", "suff_aopc"), sides, strict=True):
        columns[name] = where_many(_aopc(side, steps))
    return {k: columns[k] for k in ("n", "label", "predicted", *chosen)}


def rank_variance(ranks: Column, side: Removal, counts: Column) -> tuple[Column, Column]:
    """I-Var or U-Var of each text: the mean over the words left of (d_i - d'_i)^2, literal and aligned.

    ranks: (texts, words), d_i, 1 the most salient. d'_i: the same in the text without the first word of the side.
    Aligned, d_i is re-ranked among the words left.
    """
    width = ranks.shape[1]
    rows = np.arange(len(ranks))
    first = side.ranks.argmin(1)
    left = (np.arange(width) < counts[:, None]) & (np.arange(width) != first[:, None])
    after = removal_ranks(side.next_saliency, np.maximum(counts - 1, 0), True)
    # word w of the original is word w of the reduced text, or w - 1 behind the gap
    moved = np.clip(np.arange(width)[None] - (np.arange(width) > first[:, None]), 0, None)
    fresh = np.take_along_axis(after, moved, 1)
    close = ranks - (ranks > ranks[rows, first][:, None])
    size = np.maximum(counts - 1, 1)
    literal, aligned = (np.where(left, (d - fresh) ** 2, 0).sum(1) / size for d in (ranks, close))
    return literal, aligned


def _mean_drop(side: Removal, steps: Column) -> Column:
    """f_c(X) - f_c(X_t), mean over t = 1..steps."""
    drop = side.confidence[:, :1] - side.confidence
    t = np.arange(drop.shape[1])
    taken = (t >= 1) & (t <= steps[:, None])
    mean: Column = np.where(taken, drop, 0).sum(1) / np.maximum(steps, 1)
    return mean


def _aopc(side: Removal, steps: Column) -> Column:
    reached = np.take_along_axis(side.confidence, steps, 1)
    mean: Column = (side.confidence[:, :1] - reached).mean(1)
    return mean


def _aopc_steps(counts: Column) -> Column:
    return words_to_remove(counts[:, None], np.array(AOPC_SHARES))


def _columns(dataset: Any) -> tuple[list[Any], Any, Any, Any]:
    if isinstance(dataset, tuple) and len(dataset) == 2:
        texts, labels = dataset
        return list(texts), labels, None, None
    if hasattr(dataset, "texts"):
        return list(dataset.texts), dataset.labels, dataset.rationale, dataset.shortcut
    try:
        names = dataset.column_names if hasattr(dataset, "column_names") else list(dataset)
        rest = [list(dataset[k]) if k in names else None for k in ("rationale", "shortcut")]
        return list(dataset["text"]), list(dataset["label"]), rest[0], rest[1]
    except (KeyError, TypeError):
        raise ValueError(
            f"a dataset needs the columns text and label, or to be a pair (texts, labels); got {type(dataset).__name__}"
        ) from None


def _blocks(texts: Sequence[Any], progress: bool) -> Iterator[Column]:
    # the word lists of all texts would be larger than the texts: each block makes its own again
    order = np.argsort([len(words) for words in split_each(texts)], kind="stable")
    starts = range(0, len(order), TEXTS_A_BLOCK)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, desc="evaluating", unit="block", leave=False)
    for start in starts:
        yield order[start : start + TEXTS_A_BLOCK]


def _mean(values: Column) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _standard_error(values: Column) -> float:
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")
