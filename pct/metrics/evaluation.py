"""`pct.evaluate`: every metric of a split of texts, from one set of removals. This module needs only numpy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from operator import add, or_
from typing import Any

import numpy as np

from pct.corpora.loading import read_data
from pct.corpora.rows import ReadOptions
from pct.corpora.splits import limited
from pct.explaining.predictor import Predictor, check_classes, predict_tokens, split_texts, word_rule
from pct.explaining.removal import TEXTS_A_BLOCK, RemovalPlan, Removals, remove_words
from pct.metrics import RATIONALE, SHORTCUT
from pct.metrics import metrics as registry
from pct.metrics.base import Column, Estimate, MetricOptions, TextBlock
from pct.metrics.cost import most_passes
from pct.metrics.given_saliency import by_text, numbers_of_block
from pct.metrics.names import CORE_METRICS
from pct.metrics.rationale import marks_of_block, metrics_of_marks
from pct.metrics.report import COMPANIONS, RANKED, RATES, Report
from pct.saliency import choose_saliency
from pct.text.words import split_each

NAMED = 3  # metrics that a progress bar names


class MetricSet:
    """Metrics that are computed together: the union of their removals, each forward pass run once.

    Args:
        names: of the registry.
        options: shared by all.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(self, names: Sequence[str], options: MetricOptions) -> None:
        self.names, self.options = tuple(names), options
        self.metrics = [kind(options) for kind in dict.fromkeys(registry.get(name) for name in names)]

    def plan(self, counts: Column) -> RemovalPlan:
        """The removals that any of them needs, for texts of N = counts words."""
        return reduce(or_, (metric.plan(counts) for metric in self.metrics), RemovalPlan())

    def passes(self, counts: Column) -> Column:
        """(texts,) the most reduced texts that they run beside their plan."""
        return reduce(add, (metric.passes(counts) for metric in self.metrics), np.zeros_like(counts))

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """The metrics of each text of a block, by name, (texts,) each; `n`, `label` and `predicted` come first."""
        columns = {name: values for metric in self.metrics for name, values in metric.columns(block).items()}
        about = {"n": block.seen.counts, "label": block.gold, "predicted": block.predicted}
        return about | {name: columns[name] for name in self.names if name in columns}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """The summary of a split, by name."""
        estimates = {k: v for metric in self.metrics for k, v in metric.summary(columns, classes).items()}
        return {name: estimates[name] for name in self.names if name in estimates}


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
) -> Report:
    """Accuracy and the metrics of pathology of a split of texts.

    The texts are taken in blocks, so memory does not grow with their number.

    Args:
        predictor: the model.
        dataset: texts and labels: a `datasets.Dataset`, a DataFrame, columns, a pair (texts, labels), a list of rows, a
            file's path, or a `Split`. Labels are matched by the names of the classes where these are known; integers
            are indices where no class has a number as its name.
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

    Raises:
        ValueError: an empty dataset, a label outside the classes, a share outside (0, 1], an unknown metric, order or
            removal, or a saliency without a finite number for each word.
        FloatingPointError: the model's probabilities or its saliency are not finite.
        TypeError: the model does not provide what a metric needs.
    """
    options = ReadOptions(text_column, label_column, on_bad_row=on_bad_row, labels=labels, encoding=encoding)
    split, notes = read_data(dataset, predictor.classes, options)
    split, notes = limited(split, notes, limit, seed)
    texts = split.texts
    numbers = None if saliency is None or isinstance(saliency, str) else by_text(saliency)
    ranking = choose_saliency(predictor, saliency) if saliency is None or isinstance(saliency, str) else None
    if numbers is not None and (limit or len(numbers) != len(texts)):
        drawn = "; limit draws a sample: draw it first and give the saliency of its texts" if limit else ""
        raise ValueError(f"{len(texts)} texts need a saliency each, got {len(numbers)}{drawn}")
    if len(texts) == 0:
        raise ValueError("the dataset has no texts to evaluate")
    leave_out = {*RATIONALE, *SHORTCUT}.difference(metrics_of_marks(split)) | set(() if numbers is None else RANKED)
    chosen = MetricSet(_expand_groups(metrics, leave_out), MetricOptions(p_important, p_unimportant, seed=seed))
    gold = check_classes(split.labels, len(texts), len(predictor.classes))
    parts: list[dict[str, Column]] = []
    blocks = blocks_by_length(texts, word_rule(predictor))
    from tqdm import tqdm

    title = ", ".join(chosen.names[:NAMED])
    title += f" and {len(chosen.names) - NAMED} more" if len(chosen.names) > NAMED else ""
    with tqdm(total=len(texts), desc=title, unit="text", leave=False, disable=not progress) as bar:
        for index in blocks:
            documents = split_texts(predictor, [texts[i] for i in index])
            tokens = predictor.tokens(documents)
            if progress:
                longest, most = (int(x.max(initial=0)) for x in (tokens.counts, most_passes(chosen, tokens.counts)))
                bar.set_postfix_str(f"texts of up to {longest} words, up to {most:,} passes each")
            given = None
            if numbers is not None:
                explained = np.zeros(len(index), np.int64)
                if any(one.of_classes for one in numbers):  # a column per class: that of the predicted class is taken
                    explained = predict_tokens(predictor, tokens).argmax(1)
                given = numbers_of_block(numbers, index, documents, tokens, explained, predictor.classes)
            seen = remove_words(predictor, tokens, chosen.plan(tokens.counts), None, order, removal, given, ranking)
            _check_finite(seen, index)
            block = TextBlock(seen, gold[index], index, **marks_of_block(split, index, documents, tokens))
            parts.append({"index": index, "cut": tokens.truncated, **chosen.columns(block)})
            bar.update(len(index))
    columns = join_blocks(blocks, parts)
    estimates = chosen.summary(columns, predictor.classes)
    return Report(
        {name: estimate.value for name, estimate in estimates.items()},
        {name: estimate.error for name, estimate in estimates.items()},
        columns,
        list(predictor.classes),
        {name: estimate.interval for name, estimate in estimates.items() if estimate.interval},
        notes,
        saliency="given" if numbers is not None else ranking.name if ranking else getattr(predictor, "explains_by", ""),
    )


def metric_names(extra: str) -> tuple[str, ...]:
    """The metrics of a run, as `evaluate` takes them: the usual ones and those in `extra`.

    Args:
        extra: names, separated by commas or spaces; empty for none.

    Raises:
        ValueError: an unknown name.
    """
    more = extra.replace(",", " ").split()
    for name in more:
        if name != "all":
            registry.check(name)
    return ("usual", *more) if more else ()


def _expand_groups(names: Sequence[str], leave_out: Collection[str]) -> list[str]:
    """The names with the groups `usual` (the default) and `all` expanded, without those to leave out."""
    if isinstance(names, str):  # a string is one name, not a sequence of letters
        names = [names]
    usual = (*CORE_METRICS, "macro_f1", *COMPANIONS, *RATES, *RATIONALE, *SHORTCUT)
    groups = {
        "usual": [name for name in usual if name not in leave_out],
        "all": [name for name in (*usual, *registry.names()) if name not in leave_out],
    }
    return list(dict.fromkeys(name for word in names or ["usual"] for name in groups.get(word, [word])))


def _check_finite(seen: Removals, index: Column) -> None:
    """Raises FloatingPointError where a probability or a saliency is not finite."""
    for what, values in (("probabilities", seen.probabilities), ("saliency", seen.saliency)):
        broken = index[~np.isfinite(values).all(1)]
        if len(broken):
            others = f", nor those of {len(broken) - 1} other texts of its block" if len(broken) > 1 else ""
            raise FloatingPointError(
                f"the model's {what} of text {broken[0]} are not finite{others}; its weights or the text are broken: "
                "train it again with a lower lr"
            )


def blocks_by_length(texts: Sequence[Any], rule: str, size: int = TEXTS_A_BLOCK) -> list[Column]:
    """The indices of the texts in blocks of similar length, the shortest first. rule: of words."""
    # the word lists of all texts would need more memory than the texts: each block splits its texts again
    order = np.argsort([len(words) for words in split_each(texts, rule)], kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def join_blocks(blocks: Sequence[Column], parts: Sequence[dict[str, Column]]) -> dict[str, Column]:
    """The columns of blocks of texts as columns of the split, in its order."""
    order = np.argsort(np.concatenate(blocks), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
