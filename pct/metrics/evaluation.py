"""`pct.evaluate`: every metric of a split of texts, from one set of removals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add, or_
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pct.corpora.loading import read_data
from pct.corpora.rows import ReadOptions
from pct.corpora.splits import Split, limited, rows_of
from pct.explaining.pairs import explained_pairs
from pct.explaining.predictor import (
    Predictor,
    check_classes,
    predict_tokens,
    reading_of,
    removing,
    split_texts,
    word_rule,
)
from pct.explaining.removal import TEXTS_A_BLOCK, RemovalPlan, remove_words
from pct.metrics import RATIONALE, SHORTCUT
from pct.metrics import metrics as registry
from pct.metrics.base import Column, Estimate, Metric, MetricOptions, TextBlock
from pct.metrics.column_files import BlockColumns
from pct.metrics.cost import most_passes
from pct.metrics.given_saliency import numbers_of_block, saliency_by_text
from pct.metrics.label_sets import LabelSets, facts_of_pairs, scores_of_sets
from pct.metrics.names import CORE_METRICS
from pct.metrics.number_errors import NUMBER, TRUE_NUMBER, number_errors
from pct.metrics.rationale import marks_of_block, metrics_of_marks
from pct.metrics.report import COMPANIONS, RANKED, RATES, Report
from pct.saliency import choose_saliency
from pct.tasks import ONE_CLASS, Task, kind_of_labels, task_of
from pct.text.words import split_each

if TYPE_CHECKING:
    from pct.saliency.base import Saliency

Name = TypeVar("Name", bound=str)
NAMED = 3  # metrics that a progress bar names


class MetricSet:
    """Metrics that are computed together: the union of their removals, each forward pass run once.

    Args:
        names: of the registry.
        options: shared by all.
        task: of the model; that of several labels has its own accuracy and F1.
        labelled: whether the texts have labels.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(
        self, names: Sequence[str], options: MetricOptions, task: Task = ONE_CLASS, labelled: bool = True
    ) -> None:
        self.names, self.options, self.task, self.labelled = tuple(names), options, task, labelled
        kinds = dict.fromkeys(metric_class(name, task) for name in names)
        self.metrics = [kind(options) for kind in kinds]

    def plan(self, counts: Column) -> RemovalPlan:
        """The removals that any of them needs, for texts of N = counts words."""
        return reduce(or_, (metric.plan(counts) for metric in self.metrics), RemovalPlan())

    def passes(self, counts: Column) -> Column:
        """(texts,) the most reduced texts that they run beside their plan."""
        return reduce(add, (metric.passes(counts) for metric in self.metrics), np.zeros_like(counts))

    def columns(self, block: TextBlock, classes: Sequence[str] = ()) -> dict[str, Column]:
        """The metrics of each text of a block, by name, (texts,) each; `n`, `label` and `predicted` come first.

        Of several labels, those of `facts_of_pairs` come first; they need the names of the classes. Of a number, `n`,
        `true_number` and `number` do. Texts without labels have no true class, labels or number.
        """
        columns = {name: _floats(values) for metric in self.metrics for name, values in metric.columns(block).items()}
        if self.task.several:
            about = facts_of_pairs(block, classes, self.labelled)
        elif self.task.number:
            gold = {TRUE_NUMBER: block.gold} if self.labelled else {}
            about = {"n": block.seen.counts, **gold, NUMBER: block.seen.probabilities[:, 0]}
        else:
            gold = {"label": block.gold} if self.labelled else {}
            about = {"n": block.seen.counts, **gold, "predicted": block.predicted}
        return about | {name: columns[name] for name in self.names if name in columns}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """The summary of a split, by name."""
        estimates = {k: v for metric in self.metrics for k, v in metric.summary(columns, classes).items()}
        return {name: estimates[name] for name in self.names if name in estimates}


def _floats(values: Column) -> Column:
    """The values as floats: a metric of another package may give integers for one block, and floats for the next."""
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def evaluate(
    predictor: Predictor,
    dataset: Any,
    p_important: float = 0.1,
    p_unimportant: float = 0.1,
    order: str = "static",
    limit: int = 0,
    progress: bool = False,
    metrics: Sequence[str] = (),
    removal: str = "delete",
    text_column: str = "text",
    label_column: str = "label",
    labels: str = "names",
    on_bad_row: str = "error",
    seed: int = 0,
    saliency: str | Sequence[Any] | Any = None,
    encoding: str = "",
    label_separator: str = "",
    text_pair_column: str = "",
    remove: str | None = None,
) -> Report:
    """Accuracy and the metrics of pathology of a split of texts.

    The texts are taken in blocks, and the values of more than 50,000 texts are in files, so that memory hardly grows
    with their number.

    Of several labels, every label that the model assigns to a text is explained, or the most probable one where it
    assigns none. The metrics are means over these (text, label) pairs; acc is the share of texts with all labels right,
    and micro_f1 and macro_f1 stand beside it.

    Of a number, labels are numbers. mae, rmse and pearson replace accuracy and F1; comp, suff and their like are in the
    number's unit; metrics that need a class, or a change of it, are left out.

    Texts without labels have no accuracy, and no other metric that compares predictions with labels.

    Args:
        predictor: the model.
        dataset: texts and labels: a `datasets.Dataset`, a DataFrame, columns, a pair (texts, labels), a list of rows, a
            file's path, or a `Split`. Labels are matched by the names of the classes where these are known; integers
            are indices where no class has a number as its name. A list of strings, or a table without the column
            "label", has no labels; a label_column that is named must exist.
        p_important: the share of words removed as important, in (0, 1].
        p_unimportant: the share of words removed as unimportant, in (0, 1].
        order: `static` ranks the words once, `recomputed` again after each removal, `beam` follows five removals at
            once and takes the best (Feng et al. 2018).
        limit: the most texts, drawn under the seed; 0 takes all.
        progress: whether to show a progress bar with the metrics and the number of passes.
        metrics: the names of the metrics; only the reduced texts that they need are run. Where none is named: the
            eight, macro F1, their companions, and the rationale metrics where the dataset has rationales. The more
            expensive ones run only when they are named; `pct.metrics.metrics.names()` lists all. `usual` and `all`
            are names of groups.
        removal: `delete` deletes a removed word; `mask` and `unknown` replace it by that token.
        text_column: of the dataset.
        label_column: of the dataset.
        labels: `names`, or `indices` where labels are indices into the list of classes.
        on_bad_row: `error`, or `skip`: rows without a text or without a label of the model are skipped and counted.
        seed: of the texts that `limit` draws and of the random orders of removal, the same for every model.
        saliency: how words are ranked. The name of a saliency in `pct.saliencies`, or numbers that were computed
            elsewhere: one number per word of each text, for all its words or for those that the model sees, higher for
            more important; results of shap and captum are accepted unchanged. With numbers, the metrics that rank
            reduced texts are skipped. None takes the model's own saliency.
        encoding: of a text file; where empty, the one of its byte order mark, else UTF-8.
        label_separator: of several labels, what separates their names in a cell; where empty, they are a list.
        text_pair_column: of the data: the second texts of pairs; where empty, text_pair where there is one.
        remove: of pairs: whose words are ranked and removed, first, second or both; None takes that of the model's
            settings, by default both, ranked together.

    Raises:
        ValueError: an empty dataset, a label outside the classes, a share outside (0, 1], an unknown metric, order or
            removal, or a saliency without a finite number for each word.
        FloatingPointError: the model's probabilities or its saliency are not finite.
        TypeError: the model does not provide what a metric needs.
    """
    predictor, task = removing(predictor, remove), task_of(predictor)
    options = ReadOptions(
        text_column, label_column, on_bad_row=on_bad_row, labels=labels, encoding=encoding, multi_label=task.several,
        label_separator=label_separator, numbers=task.number, text_pair=text_pair_column,
    )  # fmt: skip
    split, notes = read_measured(predictor, dataset, options, limit, seed)
    texts = split.texts
    numbers = None if saliency is None or isinstance(saliency, str) else saliency_by_text(saliency)
    ranking = choose_saliency(predictor, saliency) if saliency is None or isinstance(saliency, str) else None
    if numbers is not None and (limit or len(numbers) != len(texts)):
        drawn = "; limit draws a sample: draw it first and give the saliency of its texts" if limit else ""
        raise ValueError(f"{len(texts)} texts need a saliency each, got {len(numbers)}{drawn}")
    leave_out = {*RATIONALE, *SHORTCUT}.difference(metrics_of_marks(split)) | set(() if numbers is None else RANKED)
    labelled = split.labelled
    names = _expand_groups(metrics, leave_out, task, labelled)
    chosen = MetricSet(names, MetricOptions(p_important, p_unimportant, seed=seed), task, labelled)
    measured = BlockColumns(len(texts))
    blocks = blocks_by_length(texts, word_rule(predictor))
    from tqdm import tqdm

    title = ", ".join(chosen.names[:NAMED])
    title += f" and {len(chosen.names) - NAMED} more" if len(chosen.names) > NAMED else ""
    with tqdm(total=len(texts), desc=title, unit="text", leave=False, disable=not progress) as bar:
        for index in blocks:
            documents = split_texts(predictor, list(rows_of(texts, index)))
            text, targets, tokens = explained_pairs(predictor, predictor.tokens(documents))
            place, documents = index[text], [documents[i] for i in text]
            if progress:
                longest, most = (int(x.max(initial=0)) for x in (tokens.counts, most_passes(chosen, tokens.counts)))
                bar.set_postfix_str(f"texts of up to {longest} words, up to {most:,} passes each")
            given = None
            if numbers is not None:
                explained = np.zeros(len(place), np.int64) if targets is None else targets
                if targets is None and any(one.of_classes for one in numbers):  # that of the predicted class is taken
                    explained = predict_tokens(predictor, tokens).argmax(1)
                given = numbers_of_block(numbers, place, documents, tokens, explained, predictor.classes)
            seen = remove_words(predictor, tokens, chosen.plan(tokens.counts), targets, order, removal, given, ranking)
            seen.check_finite(place)
            block = TextBlock(seen, split.labels[place], place, **marks_of_block(split, place, documents, tokens))
            measured.add({"index": place, "cut": tokens.truncated, **chosen.columns(block, predictor.classes)})
            bar.update(len(index))
    del blocks, index  # the order of all texts: the summary needs the memory
    columns = measured.joined("index")
    by = "given" if numbers is not None else _ranked_by(predictor, ranking)
    return _report(predictor, chosen, columns, by, notes)


def read_measured(
    predictor: Predictor, data: Any, options: ReadOptions, limit: int = 0, seed: int = 0
) -> tuple[Split, dict[str, Any]]:
    """The texts that a model is measured on, with labels of its classes where they are known, and notes on the reading.

    Args:
        predictor: the model.
        data: see `evaluate`.
        options: how its rows are read.
        limit: the most texts, drawn under the seed; 0 takes all.
        seed: of the draw.

    Raises:
        ValueError: there is no text, a named label column does not exist, or a label is outside the classes.
    """
    split, notes = read_data(data, predictor.classes, options, needs_labels=options.label != ReadOptions.label)
    split, notes = limited(split, notes, limit, seed)
    if len(split.texts) == 0:
        raise ValueError("the data has no texts to measure the model on")
    if split.labelled:
        split = replace(split, labels=check_gold(split.labels, predictor))
    return split, notes


def summarise(
    predictor: Predictor,
    columns: dict[str, Column],
    metrics: Sequence[str] = (),
    p_important: float = 0.1,
    p_unimportant: float = 0.1,
    seed: int = 0,
    saliency: str | None = None,
) -> Report:
    """The report of texts that were measured in parts.

    Args:
        predictor: the model.
        columns: `Report.columns` of the parts, joined; `index` identifies a text.
        metrics: see `evaluate`, also for the other arguments. Rationale metrics are left out.
        p_important: likewise.
        p_unimportant: likewise.
        seed: likewise.
        saliency: its name; None takes the model's own.
    """
    task = task_of(predictor)
    names = _expand_groups(metrics, {*RATIONALE, *SHORTCUT}, task)
    chosen = MetricSet(names, MetricOptions(p_important, p_unimportant, seed=seed), task)
    return _report(predictor, chosen, columns, _ranked_by(predictor, choose_saliency(predictor, saliency)), {})


def _ranked_by(predictor: Predictor, ranking: Saliency | None) -> str:
    """The name of a saliency; of a model's own, for None, the name that the model gives it, if any."""
    return ranking.name if ranking else getattr(predictor, "explains_by", "")


def _report(
    predictor: Predictor, chosen: MetricSet, columns: dict[str, Column], saliency: str, notes: dict[str, Any]
) -> Report:
    estimates = chosen.summary(columns, predictor.classes)
    return Report(
        {name: estimate.value for name, estimate in estimates.items()},
        {name: estimate.error for name, estimate in estimates.items()},
        columns,
        list(predictor.classes),
        {name: estimate.interval for name, estimate in estimates.items() if estimate.interval},
        notes,
        saliency=saliency,
        windows=reading_of(predictor),
    )


def metric_names(extra: str, task: Task) -> tuple[str, ...]:
    """The metrics of a run, as `evaluate` takes them: the usual ones and those in `extra`.

    Args:
        extra: names, separated by commas or spaces; empty for none.
        task: of the model.

    Raises:
        ValueError: an unknown name, or a metric that a model of the task does not have.
    """
    more = extra.replace(",", " ").split()
    _expand_groups(more, (), task)
    return ("usual", *more) if more else ()


def _expand_groups(names: Sequence[str], leave_out: Collection[str], task: Task, labelled: bool = True) -> list[str]:
    """The names with the groups `usual` (the default) and `all` expanded, without those to leave out and those that the
    task, or texts without labels, do not have. Raises ValueError, with the reason, for a name that they do not have."""
    if isinstance(names, str):  # a string is one name, not a sequence of letters
        names = [names]
    first, *others = task.scores
    usual = (first, *CORE_METRICS, *others, *COMPANIONS, *RATES, *RATIONALE, *SHORTCUT)
    expanded: list[str] = []
    for word in names or ["usual"]:
        if word in ("usual", "all"):
            group = (*usual, *registry.names()) if word == "all" else usual
            own = fitting((name for name in group if name not in leave_out), task)
            expanded += (name for name in own if labelled or not metric_class(name, task).needs_labels)
        elif reason := unfit(word, task):
            raise ValueError(f"metric {word}: {reason}")
        elif not labelled and metric_class(word, task).needs_labels:
            raise ValueError(f"metric {word} needs labels, and the texts have none: set label_column")
        else:
            expanded.append(word)
    return list(dict.fromkeys(expanded))


def prediction_scores(task: Task, true: Column, probabilities: Column) -> dict[str, float]:
    """The metrics `task.scores` of predictions.

    Args:
        task: of the model.
        true: the labels of a split.
        probabilities: (texts, classes).
    """
    if task.number:
        return number_errors(true, probabilities[:, 0])
    return scores_of_sets(true, task.assigned(probabilities))


def fitting(names: Iterable[Name], task: Task) -> list[Name]:
    """The names of the metrics that a model of a task has."""
    return [name for name in names if not unfit(name, task)]


def unfit(name: str, task: Task) -> str:
    """Why a model of a task does not have a metric; empty where it has. Raises ValueError for an unknown name."""
    return metric_class(name, task).unfit(task)


def metric_class(name: str, task: Task) -> type[Metric]:
    """The metric of a name for models of a task: several labels have their own accuracy and F1. Raises ValueError for
    an unknown name."""
    return LabelSets if task.several and name in LabelSets.names else registry.get(name)


def check_gold(labels: Column, predictor: Predictor) -> Column:
    """The true labels of texts. Raises ValueError where they are not those of the model."""
    task = task_of(predictor)
    if task.labels_are != (given := kind_of_labels(labels).labels_are):
        own = task.labels_are
        raise ValueError(f"the model has {own} for each text, the data {given}; give texts with labels of its kind")
    one_class = not (task.several or task.number)
    return check_classes(labels, len(labels), len(predictor.classes)) if one_class else labels


def blocks_by_length(texts: Sequence[Any], rule: str, size: int = TEXTS_A_BLOCK) -> list[Column]:
    """The indices of the texts in blocks of similar length, the shortest first. rule: of words."""
    # the word lists of all texts would need more memory than the texts: each block splits its texts again
    lengths = np.fromiter((len(words) for words in split_each(texts, rule)), np.int32, len(texts))
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]
