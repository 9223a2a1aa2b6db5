"""Explanations as records of plain values, for JSON, Parquet and data frames; the most important words of a class."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.output.numbers import for_json

if TYPE_CHECKING:
    from pct.explaining.explanation import Explanation

Record = dict[str, Any]
OF_A_CURVE = ("removed", "confidences", "flips_at", "flips_to")


def explanation_row(explanation: Explanation) -> Record:
    """One explanation as a flat record: numbers, strings, and lists with one entry per word or step."""
    e = explanation
    sides = {"important": e.important, "unimportant": e.unimportant}
    steps = {f"{side}_{name}": getattr(curve, name) for side, curve in sides.items() for name in OF_A_CURVE}
    return {
        "text": e.text, **({} if e.text_pair is None else {"text_pair": e.text_pair}),
        "label": e.label_name, "confidence": e.confidence, "verdict": e.verdict.kind,
        "comp": for_json(e.comp), "suff": for_json(e.suff), "ir": for_json(e.ir), "ur": for_json(e.ur),
        "words": list(e.words), "starts": [start for start, _ in e.spans], "ends": [end for _, end in e.spans],
        "known": list(e.known), "saliency": np.asarray(e.saliency, np.float64).tolist(),
        **({} if e.text_pair is None else {"first_words": e.first_words}),
        **steps,
        "truncated": e.truncated, "windows": e.windows, "saliency_name": e.saliency_name,
    }  # fmt: skip


def words_frame(explanation: Explanation) -> Any:
    """A pandas DataFrame of one explanation, one row per word: word, of a pair the key of its text, start, end,
    saliency, known, and the steps at which it was removed. Raises ImportError without pandas."""
    e = explanation
    steps = [{word: step for step, word in enumerate(side.removed, 1)} for side in (e.important, e.unimportant)]
    words = range(len(e.words))
    texts = {} if e.text_pair is None else {"text": [side.key for side in e.sides for _ in e.words[side.words]]}
    return pandas().DataFrame(
        {
            "word": e.words, **texts, "start": [a for a, _ in e.spans], "end": [b for _, b in e.spans],
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


def pandas() -> Any:
    """The pandas library. Raises ImportError, with the remedy, where it is not installed."""
    try:
        return import_module("pandas")
    except ImportError:
        raise ImportError("a data frame needs pandas: pip install pandas") from None


def pyarrow(need: str) -> Any:
    """The pyarrow library. need: what needs it, for the ImportError where it is not installed."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise ImportError(f"{need} needs pyarrow: pip install 'pct-explain[data]'") from None
