"""Explanations as records of plain values, for JSON, Parquet and data frames; the most important words of a class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pct.explaining.explanation import Explanation

Record = dict[str, Any]


def explanation_row(explanation: Explanation) -> Record:
    """One explanation as a flat record: numbers, strings, and lists with one entry per word or step."""
    e = explanation
    return {
        "text": e.text, "label": e.label_name, "confidence": e.confidence, "verdict": e.verdict.kind,
        "comp": _number(e.comp), "suff": _number(e.suff), "ir": _number(e.ir), "ur": _number(e.ur),
        "words": list(e.words), "starts": [start for start, _ in e.spans], "ends": [end for _, end in e.spans],
        "known": list(e.known), "saliency": np.asarray(e.saliency, np.float64).tolist(),
        "important_removed": list(e.important.removed), "important_confidences": list(e.important.confidences),
        "important_flips_at": e.important.flips_at, "important_flips_to": e.important.flips_to,
        "unimportant_removed": list(e.unimportant.removed), "unimportant_confidences": list(e.unimportant.confidences),
        "unimportant_flips_at": e.unimportant.flips_at, "unimportant_flips_to": e.unimportant.flips_to,
        "truncated": e.truncated,
    }  # fmt: skip


def explanations_frame(explanations: Sequence[Explanation]) -> Any:
    """A pandas DataFrame with one row per explanation. Raises ImportError without pandas."""
    return pandas().DataFrame([explanation_row(e) for e in explanations])


def words_frame(explanation: Explanation) -> Any:
    """A pandas DataFrame of one explanation, one row per word: word, start, end, saliency, known, and the steps at
    which it was removed. Raises ImportError without pandas."""
    e = explanation
    steps = [{word: step for step, word in enumerate(side.removed, 1)} for side in (e.important, e.unimportant)]
    words = range(len(e.words))
    return pandas().DataFrame(
        {
            "word": e.words, "start": [a for a, _ in e.spans], "end": [b for _, b in e.spans],
            "saliency": np.asarray(e.saliency), "known": e.known,
            "important_step": [steps[0].get(i) for i in words], "unimportant_step": [steps[1].get(i) for i in words],
        }
    )  # fmt: skip


def words_of(explanations: Iterable[Explanation], least: int = 2) -> list[Record]:
    """The most important words of each class, over many texts.

    A word's saliency counts as a share of the sum of its text's absolute saliencies, so that all texts have the same
    weight.

    Args:
        explanations: of any number of texts; an iterator is read once.
        least: words that occur less often in a class are left out.

    Returns:
        Records of class, word (lower-cased), count, share (its mean share of a text's saliency), lift (share divided by
        the share that equal saliencies would give), sorted by class and decreasing lift.
    """
    sums: dict[tuple[str, str], list[float]] = {}
    for e in explanations:
        values = np.asarray(e.saliency, np.float64)
        shares = values / max(float(np.abs(values).sum()), 1e-300)
        for word, share in zip(e.words, shares.tolist(), strict=False):
            entry = sums.setdefault((e.label_name, word.lower()), [0, 0.0, 0.0])
            entry[0] += 1
            entry[1] += share
            entry[2] += 1 / len(values)
    rows = [
        {"class": label, "word": word, "count": int(count), "share": share / count, "lift": share / fair}
        for (label, word), (count, share, fair) in sums.items()
        if count >= least
    ]
    return sorted(rows, key=lambda r: (r["class"], -r["lift"], r["word"]))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def pandas() -> Any:
    """The pandas library. Raises ImportError, with the remedy, where it is not installed."""
    try:
        return import_module("pandas")
    except ImportError:
        raise ImportError("a data frame needs pandas: pip install pandas") from None
