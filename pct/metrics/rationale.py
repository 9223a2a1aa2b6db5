"""Agreement of the saliency with rationales: words marked by people or by the corpus.

AUPRC, token F1 and IOU F1 follow ERASER (DeYoung et al. 2020, section 4.1). Each is compared with its value under
random orders. Truncated words, and texts without a marked word, are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.corpora.rows import MARKS
from pct.corpora.splits import Split
from pct.explaining.reduction import Floats, removal_ranks
from pct.metrics import RATIONALE, SHORTCUT
from pct.metrics.base import Column, Estimate, Metric, TextBlock, text_of_rows
from pct.metrics.bootstrap import intervals_of
from pct.metrics.chance import random_ranks
from pct.metrics.leave_one_out import kendall_tau_b
from pct.text.tokens import Bools, Ints, Tokens
from pct.text.words import Document

AGREEMENT = ("rationale_auprc", "rationale_f1", "rationale_iou_f1")


class Rationale(Metric):
    """AUPRC, token F1 and IOU F1 of the marked words, each also under random orders, and Kendall's tau-b.

    The random orders are those of `comp_random`; a text has their mean. tau-b compares the saliency with the share of
    the annotators who marked a word, where the corpus has shares, else with the marks. Its expectation for random
    numbers is 0.
    """

    names = RATIONALE

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`. Raises ValueError where the dataset has no rationale."""
        if block.rationale is None:
            raise ValueError("the rationale metrics need a dataset with a column rationale: 0 or 1 for each word")
        saliency, counts, orders = block.seen.saliency, block.seen.counts, self.options.random_orders
        marked = padded_marks(block.rationale, saliency.shape) > 0
        own = agreement(saliency, counts, marked, block.marked_share)
        ranks = random_ranks(block.place, counts, orders, self.options.seed).reshape(len(counts) * orders, -1)
        repeated = np.repeat(counts, orders), np.repeat(marked, orders, axis=0)
        chance = agreement(-ranks, *repeated, block.marked_share)
        random = {f"{name}_random": values.reshape(-1, orders).mean(1) for name, values in chance.items()}
        shares = marked if block.rationale_share is None else padded_marks(block.rationale_share, saliency.shape)
        tau = np.where(marked.any(1), kendall_tau_b(saliency, shares.astype(np.float64), counts), np.nan)
        return own | random | {"rationale_tau": tau}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`. Each has a bootstrap interval over texts."""
        means = super().summary(columns, classes)
        if not means:
            return {}
        intervals = intervals_of(np.stack([columns[name] for name in means], 1), groups=text_of_rows(columns))
        return {
            name: mean._replace(interval=(x.low, x.high))
            for (name, mean), x in zip(means.items(), intervals, strict=True)
        }


class Shortcut(Metric):
    """AUPRC and token F1 over the texts with a shortcut, and the share of the most salient words that belong to it."""

    names = SHORTCUT

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`. Raises ValueError where the dataset has no shortcut."""
        if block.rationale is None or block.shortcut is None:
            raise ValueError("the shortcut metrics need a dataset with the columns rationale and shortcut")
        saliency, counts = block.seen.saliency, block.seen.counts
        marked, shortcut = (padded_marks(marks, saliency.shape) > 0 for marks in (block.rationale, block.shortcut))
        values_by_name = agreement(saliency, counts, marked, block.marked_share)
        top = top_words(saliency, counts, block.marked_share)
        columns = {f"{name}_shortcut": values_by_name[name] for name in ("rationale_auprc", "rationale_f1")}
        columns["shortcut_share"] = (top & shortcut).sum(1) / np.maximum(top.sum(1), 1)
        has_both = shortcut.any(1) & marked.any(1)
        return {name: np.where(has_both, values, np.nan) for name, values in columns.items()}


def agreement(saliency: Floats, counts: Ints, marked: Bools, share: float) -> dict[str, Column]:
    """AUPRC, token F1 and IOU F1 of each text, (texts,) each; NaN for a text without a marked word.

    Args:
        saliency: (texts, words), higher for more important; values beyond a text's N words are ignored.
        counts: (texts,) N.
        marked: (texts, words) the marked words.
        share: the share of a text's words in the predicted rationale, for token F1 and IOU F1.
    """
    top = top_words(saliency, counts, share)
    values = (average_precision(saliency, counts, marked), token_f1(top, marked), iou_f1(top, marked))
    some = marked.any(1)
    return {name: np.where(some, x, np.nan) for name, x in zip(AGREEMENT, values, strict=True)}


def average_precision(saliency: Floats, counts: Ints, marked: Bools) -> Column:
    """The area under the stepwise precision-recall curve: sum over thresholds of (R_t - R_{t-1}) P_t.

    Words of equal saliency share a threshold. ERASER's own code interpolates linearly, which overestimates the area
    where a text has few marked words (Davis and Goadrich 2006).
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
    return (precision * hit).sum(1) / np.maximum(hit.sum(1), 1)


def top_words(saliency: Floats, counts: Ints, share: float) -> Bools:
    """(texts, words) the k = ceil(share N) most salient words, at least one; ties go to the earlier word."""
    k = np.clip(np.ceil(share * counts - 1e-9), 1, counts)
    return removal_ranks(saliency, counts, True) <= k[:, None]


def token_f1(top: Bools, marked: Bools) -> Column:
    """The F1 of the predicted words, (texts,): 2 |T and M| / (|T| + |M|)."""
    return 2 * (top & marked).sum(1) / np.maximum(top.sum(1) + marked.sum(1), 1)


def iou_f1(top: Bools, marked: Bools) -> Column:
    """The F1 of the predicted spans, (texts,). A span is a maximal run of words. A predicted and a marked span match
    where their intersection is at least half of their union; a span can match at most one other.
    """
    row, start, common = _runs(top & marked)  # the intersection of two spans is a run
    union = _run_lengths(top)[row, start] + _run_lengths(marked)[row, start] - common
    matched = np.bincount(row[2 * common >= union], minlength=len(top))
    spans = sum(np.bincount(_runs(words)[0], minlength=len(top)) for words in (top, marked))
    return 2 * matched / np.maximum(spans, 1)


def _runs(inside: Bools) -> tuple[Ints, Ints, Ints]:
    """The maximal runs of true in each row: the row, the first column and the length of each, in order."""
    edges = np.diff(np.pad(inside, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges > 0)
    return row, start, np.nonzero(edges < 0)[1] - start


def _run_lengths(inside: Bools) -> Ints:
    """The length of the run to which each cell belongs; 0 outside."""
    lengths = np.zeros(inside.shape, np.int64)
    length = _runs(inside)[2]
    lengths[inside] = np.repeat(length, length)
    return lengths


def metrics_of_marks(split: Split) -> tuple[str, ...]:
    """The names of the rationale metrics that a split allows."""
    if split.rationale is None:
        return ()
    return RATIONALE if split.shortcut is None else (*RATIONALE, *SHORTCUT)


def marks_of_block(split: Split, index: Ints, documents: Sequence[Document], tokens: Tokens) -> dict[str, Any]:
    """The fields of `TextBlock` that hold marks, for a block of a split, by name.

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
    """Marks per space-separated token as marks per counted word: see `marks_of_document`.

    Args:
        marks: of each text.
        documents: the texts' words.
        tokens: of the texts.
        index: (texts,) the position of each text in its split, for errors; 0, 1, .. where None.
    """
    rows = range(len(documents)) if index is None else index
    of_words = [marks_of_document(*one) for one in zip(marks, documents, rows, strict=True)]
    return [[word_marks[word] for word in tokens.places(i)] for i, word_marks in enumerate(of_words)]


def marks_of_document(marks: Sequence[float], document: Document, row: int) -> Sequence[float]:
    """The mark of each word of a document: that of the space-separated token in which the word begins.

    Marks that already have one entry per word are returned unchanged. Raises ValueError, with the row, for any other
    number of marks.
    """
    if len(marks) == len(document):
        return marks
    document = document.joined
    runs = [m.start() for m in re.finditer(r"\S+", document.text)]
    if len(marks) != len(runs):
        raise ValueError(
            f"row {row + 1} has {len(marks)} marks for {len(runs)} space-separated words; give one mark per word"
        )
    begins = [start for start, _ in document.spans]
    return np.asarray(marks)[np.searchsorted(runs, begins, side="right") - 1].tolist()


def padded_marks(marks: Sequence[Sequence[float]], shape: tuple[int, ...]) -> Floats:
    """(texts, words) the marks of each text, padded with 0."""
    out = np.zeros(shape)
    lengths = np.fromiter((len(m) for m in marks), np.int64, len(marks))
    out[np.arange(shape[1]) < lengths[:, None]] = np.fromiter((x for m in marks for x in m), float, int(lengths.sum()))
    return out
