"""Predictions of several labels as sets: subset accuracy, micro and macro F1."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from pct.metrics.accuracy import confusion_counts, macro_f1
from pct.metrics.base import Column, Estimate, Metric, TextBlock, share_of
from pct.metrics.bootstrap import drawn_counts
from pct.metrics.column_files import column_parts, stored
from pct.text.tokens import Bools, Ints

TRUE, ASSIGNED = "true_labels", "assigned_labels"  # the columns with the names of a text's labels, as JSON


def f1_scores(true: Bools, assigned: Bools) -> tuple[float, float]:
    """Micro and macro F1 = 2 TP / (2 TP + FP + FN).

    Micro F1 counts over all labels together; macro F1 is the mean over the labels that are true or assigned somewhere.

    Args:
        true: (texts, labels).
        assigned: (texts, labels).

    Returns:
        NaN for both where no label is true or assigned.
    """
    return _f1((true & assigned).sum(0), true.sum(0) + assigned.sum(0))


def _f1(hits: Ints, sizes: Ints) -> tuple[float, float]:
    """`f1_scores` from TP and 2 TP + FP + FN of each label, (labels,) each."""
    occurs = sizes > 0
    if not occurs.any():
        return float("nan"), float("nan")
    return float(2 * hits.sum() / sizes.sum()), float((2 * hits[occurs] / sizes[occurs]).mean())


def scores_of_sets(true: Column, assigned: Bools) -> dict[str, float]:
    """Accuracy and F1 of predictions.

    Args:
        true: (texts,) classes, or of several labels (texts, labels).
        assigned: (texts, classes) what is predicted.

    Returns:
        acc and macro_f1; of several labels acc is the share of texts with all labels right, and there is micro_f1.
    """
    if true.ndim == 1:
        predicted = assigned.argmax(1)
        return {
            "acc": float((predicted == true).mean()),
            "macro_f1": macro_f1(confusion_counts(true, predicted, assigned.shape[1])),
        }
    micro, macro = f1_scores(true, assigned)
    return {"acc": float((true == assigned).all(1).mean()), "micro_f1": micro, "macro_f1": macro}


class LabelSets(Metric):
    """Subset accuracy, micro and macro F1 of several labels, with bootstrap standard errors of F1 over texts."""

    names = ("acc", "micro_f1", "macro_f1")
    needs_labels = True

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`. A text has its accuracy at its first pair; F1 is not a mean over texts."""
        right = (block.assigned == block.true_sets).all(1).astype(np.float64)
        first = np.zeros(len(right), bool)
        first[np.unique(block.place, return_index=True)[1]] = True
        return {"acc": np.where(first, right, np.nan)}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`."""
        accuracy = {"acc": share_of(stored(columns, "acc"))} if "acc" in columns else {}
        pairs, of_text = _pairs_of_sets(columns)
        true, assigned = (sets_of(names, classes) for names in zip(*pairs, strict=True))
        hits, sizes = true & assigned, true.astype(np.int8) + assigned

        def scores(times: Ints) -> tuple[float, float]:
            return _f1(*(np.einsum("p,pl->l", times, counts) for counts in (hits, sizes)))

        values, errors = scores(np.bincount(of_text)), np.full(2, np.nan)
        if len(of_text) > 1:
            errors = np.nanstd([scores(times) for times in drawn_counts(of_text, len(pairs))], axis=0, ddof=1)
        f1 = zip(("micro_f1", "macro_f1"), values, errors, strict=True)
        return accuracy | {name: Estimate(value, float(error)) for name, value, error in f1}


def _pairs_of_sets(columns: Mapping[str, Column]) -> tuple[list[tuple[str, str]], Ints]:
    """The distinct pairs of the names of a text's true and assigned labels, and (texts,) which of them each text has.

    F1 depends on a text by its pair alone. The texts are in the order of `index`; only some rows are in memory at once.
    """
    numbers: dict[tuple[str, str], int] = {}
    of_text, last = [], None
    for rows in column_parts(columns):
        index, first = np.unique(rows["index"], return_index=True)
        first = first[index != last]  # the rows of a text may be in two parts
        last = index[-1]
        pairs = zip(rows[TRUE][first], rows[ASSIGNED][first], strict=True)
        of_text.append(np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], np.int32))
    return list(numbers), np.concatenate(of_text)


def facts_of_pairs(block: TextBlock, classes: Sequence[str], labelled: bool = True) -> dict[str, Column]:
    """What is known of each pair beside its metrics: the label explained, whether it is true and assigned, and the
    names of all true and assigned labels of the text, as JSON. labelled: whether the true ones are known."""
    rows, target = np.arange(len(block.place)), block.seen.labels
    facts: dict[str, Column] = {"n": block.seen.counts, "target": target}
    if labelled:
        facts |= {"is_true": block.true_sets[rows, target], TRUE: names_of(block.true_sets, classes)}
    return facts | {"is_assigned": block.assigned[rows, target], ASSIGNED: names_of(block.assigned, classes)}


def names_of(sets: Bools, classes: Sequence[str]) -> Column:
    """(rows,) the names of each row's labels as JSON. sets: (rows, labels)."""
    labels = ([classes[i] for i in np.flatnonzero(row).tolist()] for row in sets)
    names = [sys.intern(json.dumps(own, ensure_ascii=False)) for own in labels]  # equal sets of all blocks: one string
    return np.array(names, dtype=object)


def sets_of(names: Sequence[str], classes: Sequence[str]) -> Bools:
    """What `names_of` gave, (rows, labels)."""
    index = {name: i for i, name in enumerate(classes)}
    sets = np.zeros((len(names), len(classes)), bool)
    for own, row in zip(sets, names, strict=True):
        own[[index[name] for name in json.loads(row)]] = True
    return sets


def rows_by_text(columns: Mapping[str, Column]) -> dict[str, Column]:
    """The columns of a report with one row per text: of pairs, the means over the pairs of each text that have a value.

    `label` and `predicted` are comparable per text: the classes, or the names of all true and all assigned labels.
    Texts without labels have no `label`.
    """
    if "target" not in columns:
        return dict(columns)
    _, first, text = np.unique(columns["index"], return_index=True, return_inverse=True)
    means: dict[str, Column] = {}
    for name, values in columns.items():
        if values.dtype != object:
            numbers = values.astype(np.float64)
            measured = np.isfinite(numbers)
            sums, sizes = np.bincount(text, np.where(measured, numbers, 0.0)), np.bincount(text, measured)
            means[name] = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
    sets = {"label": TRUE, "predicted": ASSIGNED}
    return means | {name: columns[own][first] for name, own in sets.items() if own in columns}
