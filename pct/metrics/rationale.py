"""How well saliency finds the words that are known to decide: precision@k and AUPRC. numpy alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pct.explaining.reduction import Ints, removal_ranks
from pct.metrics import RATIONALE
from pct.metrics.base import Column, Metric, TextBlock
from pct.text.tokens import Tokens
from pct.text.words import Document


class Rationale(Metric):
    """Precision@k and AUPRC of the known rationale, and the share of a shortcut among the most salient words."""

    names = RATIONALE

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`. Raises ValueError where the data set knows no rationale."""
        if block.rationale is None:
            raise ValueError("the rationale metrics need a dataset with a column rationale: 0 or 1 a word")
        return rationale_columns(block.seen.saliency, block.seen.counts, block.rationale, block.shortcut)


def rationale_columns(
    saliency: Column, counts: Ints, rationale: Sequence[Sequence[int]], shortcut: Sequence[Sequence[int]] | None = None
) -> dict[str, Column]:
    """Per text: precision among the k most salient words (k = the rationale's size) and the area under the
    precision-recall curve (average precision). NaN for texts without a rationale.

    saliency: (texts, words). rationale, shortcut: 0/1 marks a word. With a shortcut given, `shortcut_share`
    is the share of the k most salient words that belong to it, and the `_shortcut` pair takes the texts with it only:
    there, every shortcut word that ranks high is an error.
    """
    marks = _pad(rationale, saliency.shape) & (np.arange(saliency.shape[1]) < counts[:, None])
    order = np.argsort(removal_ranks(saliency, counts, True), axis=1, kind="stable")
    hit = np.take_along_axis(marks, order, 1)
    k = marks.sum(1)
    within = np.arange(hit.shape[1]) < k[:, None]
    some = k > 0
    precision = np.where(some, (hit & within).sum(1) / np.maximum(k, 1), np.nan)
    running = np.cumsum(hit, 1) / np.arange(1, hit.shape[1] + 1)
    area = np.where(some, (running * hit).sum(1) / np.maximum(k, 1), np.nan)
    columns = {"rationale_precision": precision, "rationale_auprc": area}
    if shortcut is not None:
        lure = _pad(shortcut, saliency.shape)
        has = lure.any(1) & some
        lured = (np.take_along_axis(lure, order, 1) & within).sum(1) / np.maximum(k, 1)
        columns["rationale_precision_shortcut"] = np.where(has, precision, np.nan)
        columns["rationale_auprc_shortcut"] = np.where(has, area, np.nan)
        columns["shortcut_share"] = np.where(has, lured, np.nan)
    return columns


def marks_of_words(marks: Sequence[Sequence[int]], documents: Sequence[Document], tokens: Tokens) -> list[list[int]]:
    """Marks of texts, one a word between spaces, as one a counted word: that of the run in which the word begins.

    Marks that are one a word of their document already stay.
    """
    return [_marks_of(m, d, tokens.places(i)) for i, (m, d) in enumerate(zip(marks, documents, strict=True))]


def _marks_of(marks: Sequence[int], document: Document, places: Ints) -> list[int]:
    if len(marks) != len(document):
        runs = [m.start() for m in re.finditer(r"\S+", document.text)]
        begins = [start for start, _ in document.spans]
        marks = np.asarray(marks)[np.searchsorted(runs, begins, side="right") - 1].tolist()
    return [marks[place] for place in places]


def _pad(marks: Sequence[Sequence[int]], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    out = np.zeros(shape, bool)
    lengths = np.fromiter((min(len(m), shape[1]) for m in marks), np.int64, len(marks))
    inside = np.arange(shape[1]) < lengths[:, None]
    out[inside] = np.fromiter((bool(x) for m in marks for x in m[: shape[1]]), bool, int(lengths.sum()))
    return out
