"""How far saliency agrees with the words that are marked as deciding, by people or by the corpus's making. numpy alone.

AUPRC, token F1 and IOU F1 follow ERASER (DeYoung et al. 2020, section 4.1). Each stands beside its value under random
orders. Words that are cut off, and texts without a marked word, count for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.corpora.rows import MARKS
from pct.corpora.splits import Split
from pct.explaining.reduction import Bools, Floats, Ints, removal_ranks
from pct.metrics import RATIONALE, SHORTCUT
from pct.metrics.base import Column, Estimate, Metric, TextBlock
from pct.metrics.bootstrap import intervals_of
from pct.metrics.chance import random_ranks
from pct.metrics.leave_one_out import kendall_tau_b
from pct.text.tokens import Tokens
from pct.text.words import Document

AGREEMENT = ("rationale_auprc", "rationale_f1", "rationale_iou_f1")


class Rationale(Metric):
    """AUPRC, token F1 and IOU F1 of the marked words, each beside random orders, and Kendall's tau-b.

    The random orders are those of `comp_random`, the mean over them a text. tau-b is taken of the saliency and the
    share of the annotators who marked a word, where the corpus has shares, else of the saliency and the marks; it is 0
    in expectation for random numbers.
    """

    names = RATIONALE

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`. Raises ValueError where the data set knows no rationale."""
        if block.rationale is None:
            raise ValueError("the rationale metrics need a dataset with a column rationale: 0 or 1 a word")
        saliency, counts, orders = block.seen.saliency, block.seen.counts, self.options.random_orders
        marked = _padded(block.rationale, saliency.shape) > 0
        found = agreement(saliency, counts, marked, block.marked_share)
        ranks = random_ranks(block.place, counts, orders, self.options.seed).reshape(len(counts) * orders, -1)
        repeated = np.repeat(counts, orders), np.repeat(marked, orders, axis=0)
        chance = agreement(-ranks, *repeated, block.marked_share)
        of_chance = {f"{name}_random": values.reshape(-1, orders).mean(1) for name, values in chance.items()}
        shares = marked if block.rationale_share is None else _padded(block.rationale_share, saliency.shape)
        tau = np.where(marked.any(1), kendall_tau_b(saliency, shares.astype(np.float64), counts), np.nan)
        return found | of_chance | {"rationale_tau": tau}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`. Each has a bootstrap interval over texts."""
        means = super().summary(columns, classes)
        intervals = intervals_of(np.stack([columns[name] for name in means], 1)) if means else []
        return {
            name: mean._replace(interval=(x.low, x.high))
            for (name, mean), x in zip(means.items(), intervals, strict=True)
        }


class Shortcut(Metric):
    """AUPRC and token F1 over the texts with a shortcut, where each shortcut word that ranks high is an error, and the
    share of the most salient words that belong to it."""

    names = SHORTCUT

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`. Raises ValueError where the data set knows no shortcut."""
        if block.rationale is None or block.shortcut is None:
            raise ValueError("the shortcut metrics need a dataset with the columns rationale and shortcut")
        saliency, counts = block.seen.saliency, block.seen.counts
        marked, lure = (_padded(marks, saliency.shape) > 0 for marks in (block.rationale, block.shortcut))
        found = agreement(saliency, counts, marked, block.marked_share)
        top = top_words(saliency, counts, block.marked_share)
        columns = {f"{name}_shortcut": found[name] for name in ("rationale_auprc", "rationale_f1")}
        columns["shortcut_share"] = (top & lure).sum(1) / np.maximum(top.sum(1), 1)
        has = lure.any(1) & marked.any(1)
        return {name: np.where(has, values, np.nan) for name, values in columns.items()}


def agreement(saliency: Floats, counts: Ints, marked: Bools, share: float) -> dict[str, Column]:
    """AUPRC, token F1 and IOU F1 of each text, (texts,) each; NaN for a text without a marked word.

    Args:
        saliency: (texts, words), higher for more important, anything beyond a text's N words.
        counts: (texts,) N.
        marked: (texts, words) the marked words.
        share: of a text's words that is taken as the predicted rationale, for the two F1.
    """
    top = top_words(saliency, counts, share)
    values = (average_precision(saliency, counts, marked), token_f1(top, marked), iou_f1(top, marked))
    some = marked.any(1)
    return {name: np.where(some, x, np.nan) for name, x in zip(AGREEMENT, values, strict=True)}


def average_precision(saliency: Floats, counts: Ints, marked: Bools) -> Column:
    """The area under the precision-recall curve, as steps: sum over thresholds of (R_t - R_{t-1}) P_t.

    Words of equal saliency pass a threshold together. ERASER's own code joins the points by straight lines, which is
    too favourable where a text has few marked words (Davis and Goadrich 2006).
    """
    words = np.arange(saliency.shape[1])
    keys = np.where(words < counts[:, None], -saliency, np.inf)
    order = np.argsort(keys, axis=1, kind="stable")
    keys, hit = np.take_along_axis(keys, order, 1), np.take_along_axis(marked, order, 1)
    last_of_equals = np.ones(hit.shape, bool)
    last_of_equals[:, :-1] = keys[:, 1:] != keys[:, :-1]
    ends = np.where(last_of_equals, words, len(words))
    threshold = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(np.cumsum(hit, 1) / (words + 1), threshold, 1)
    area: Column = (precision * hit).sum(1) / np.maximum(hit.sum(1), 1)
    return area


def top_words(saliency: Floats, counts: Ints, share: float) -> Bools:
    """(texts, words) the k = ceil(share N) most salient words, at least one; of equal ones the earlier."""
    k = np.clip(np.ceil(share * counts - 1e-9), 1, counts)
    top: Bools = removal_ranks(saliency, counts, True) <= k[:, None]
    return top


def token_f1(top: Bools, marked: Bools) -> Column:
    """The F1 of the predicted words, (texts,): 2 |T and M| / (|T| + |M|)."""
    f1: Column = 2 * (top & marked).sum(1) / np.maximum(top.sum(1) + marked.sum(1), 1)
    return f1


def iou_f1(top: Bools, marked: Bools) -> Column:
    """The F1 of the predicted spans, (texts,). A span is a maximal run of words. A predicted and a marked one match
    where their intersection is at least half of their union; no span can match two, since two that touch are one.
    """
    row, start, common = _runs(top & marked)  # what two spans have in common is a run itself
    union = _run_lengths(top)[row, start] + _run_lengths(marked)[row, start] - common
    matched = np.bincount(row[2 * common >= union], minlength=len(top))
    spans = sum(np.bincount(_runs(words)[0], minlength=len(top)) for words in (top, marked))
    f1: Column = 2 * matched / np.maximum(spans, 1)
    return f1


def _runs(inside: Bools) -> tuple[Ints, Ints, Ints]:
    """The maximal runs of true in each row: the row, the first place and the length of each, in order."""
    edges = np.diff(np.pad(inside, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges > 0)
    return row, start, np.nonzero(edges < 0)[1] - start


def _run_lengths(inside: Bools) -> Ints:
    """The length of the run to which each place belongs; 0 outside."""
    lengths = np.zeros(inside.shape, np.int64)
    length = _runs(inside)[2]
    lengths[inside] = np.repeat(length, length)
    return lengths


def metrics_of_marks(split: Split) -> tuple[str, ...]:
    """The names of the metrics that the marks of a split allow."""
    if split.rationale is None:
        return ()
    return RATIONALE if split.shortcut is None else (*RATIONALE, *SHORTCUT)


def marks_of_block(split: Split, index: Ints, documents: Sequence[Document], tokens: Tokens) -> dict[str, Any]:
    """What `TextBlock` has of the marks of some texts of a split, by name.

    Args:
        split: all texts.
        index: (texts,) those of the block.
        documents: their words.
        tokens: of the block.
    """
    columns = {name: column for name in MARKS if (column := getattr(split, name)) is not None}
    marks = {k: marks_of_words([column[i] for i in index], documents, tokens, index) for k, column in columns.items()}
    return {**marks, "marked_share": split.marked_share}


def marks_of_words(
    marks: Sequence[Sequence[float]], documents: Sequence[Document], tokens: Tokens, index: Ints | None = None
) -> list[list[float]]:
    """Marks of texts, one a word between spaces, as one a counted word: see `marks_of_document`.

    Args:
        marks: of each text.
        documents: the texts' words.
        tokens: of the texts.
        index: (texts,) where each text stands in its split, for errors; 0, 1, .. where None.
    """
    rows = range(len(documents)) if index is None else index
    of_words = [marks_of_document(*one) for one in zip(marks, documents, rows, strict=True)]
    return [[known[place] for place in tokens.places(i)] for i, known in enumerate(of_words)]


def marks_of_document(marks: Sequence[float], document: Document, row: int) -> Sequence[float]:
    """The mark of each word of a document: that of the run between spaces in which the word begins.

    Marks that are one a word of the document already stay. Raises ValueError, with the row, for another number.
    """
    if len(marks) == len(document):
        return marks
    runs = [m.start() for m in re.finditer(r"\S+", document.text)]
    if len(marks) != len(runs):
        raise ValueError(
            f"row {row + 1} has {len(marks)} marks for {len(runs)} words between spaces; give one mark a word"
        )
    begins = [start for start, _ in document.spans]
    of_words: list[float] = np.asarray(marks)[np.searchsorted(runs, begins, side="right") - 1].tolist()
    return of_words


def _padded(marks: Sequence[Sequence[float]], shape: tuple[int, ...]) -> Floats:
    """(texts, words) the marks of each text, 0 beyond."""
    out = np.zeros(shape)
    lengths = np.fromiter((len(m) for m in marks), np.int64, len(marks))
    out[np.arange(shape[1]) < lengths[:, None]] = np.fromiter((x for m in marks for x in m), float, int(lengths.sum()))
    return out
