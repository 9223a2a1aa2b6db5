"""Loads a corpus (texts and labels in train, validation and test splits) by settings or from data in memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pct.corpora.class_index import ClassIndex
from pct.corpora.files import open_table
from pct.corpora.fingerprints import label_counts
from pct.corpora.labels import differing_in_case, some_of
from pct.corpora.named import CLASSES, HUB, TEST_ONLY, load_hub, local_folder, reviews_with_marks, with_shares
from pct.corpora.planted import generate
from pct.corpora.rows import MARKS, ReadOptions, RowReader, Table, has_labels
from pct.corpora.splits import (
    HELD_OUT,
    SPLITS,
    Corpus,
    Split,
    align_classes,
    hold_out,
    limited,
    text_columns,
)
from pct.corpora.tables import check_pairs, table_of
from pct.settings import Settings
from pct.text.plurals import plural
from pct.text.words import is_pair

if TYPE_CHECKING:
    from datasets import DatasetDict

__all__ = [
    "CLASSES", "CORPUS_SETTINGS", "HUB", "choose_texts", "corpus_of", "load_corpus", "load_splits", "read_data",
    "read_splits", "with_corpus",
]  # fmt: skip

CORPUS_SETTINGS = (  # the settings that determine the rows: runs that agree in them have the same corpus
    "corpus", "train_file", "validation_file", "test_file", "text_column", "text_pair_column", "label_column",
    "separator", "on_bad_row", "labels", "encoding", "multi_label", "label_separator", "head",
    "train_split", "validation_split", "test_split", "limit", "measure_limit", "corpus_seed",
)  # fmt: skip

NUMBER_NAME = "value"  # of numbers whose column has the default name

logger = logging.getLogger("pct.corpora")


def load_splits(settings: Settings) -> Corpus:
    """The corpus of a training run. `limit` caps the rows of each split, `measure_limit` those of validation and test.

    If there is no validation or test split, a tenth of the training rows is held out for it, stratified by class and
    drawn with `corpus_seed`. The log and the corpus' notes count the rows that were skipped or held out, and the labels
    that were read as indices.

    Raises:
        FileNotFoundError, ImportError: the corpus is not available; the message has the remedy.
        ValueError: a missing column, an unusable row (unless `on_bad_row` is skip), an unknown label, or a corpus
            without training rows.
    """
    if settings.corpus in TEST_ONLY:
        raise ValueError(
            f"corpus {settings.corpus} has only a test split: train on another, and give this one to pct evaluate or "
            "pct audit"
        )
    return read_splits(settings)


def read_splits(settings: Settings) -> Corpus:
    """`load_splits`, also for a corpus that has only a test split. Raises as `load_splits`."""
    name, options = settings.corpus, ReadOptions.of(settings)
    if not name:
        raise ValueError("there are no texts: give a training file (train_file) or the name of a corpus (corpus)")
    if settings.has_number and name in CLASSES:
        raise ValueError(f"corpus {name} has classes, not numbers: leave head out, or give files")
    if name == "planted":
        return _with_held_out(name, _planted(settings.corpus_seed), CLASSES[name], "generated", settings, {})
    if name == "files":
        tables = {k: open_table(v, options) for k in SPLITS if (v := getattr(settings, f"{k}_file"))}
        return _from_tables(name, tables, None, "files", settings)
    indices = settings.replace(labels="indices", text_column="text", text_pair_column="", label_column="label")
    if name in CLASSES and (folder := local_folder(name)) is not None:
        paths = {k: folder / f"{k}.jsonl.gz" for k in SPLITS}
        tables = {k: open_table(path, options) for k, path in paths.items() if path.is_file()}
        if name in TEST_ONLY:
            tables = {k: with_shares(table) for k, table in tables.items()}
        return _from_tables(name, tables, CLASSES[name], "local folder", indices)
    hub_data, hub_name = load_hub(name)
    if name in CLASSES:
        parts = {k: hub_data[k] for k in SPLITS if k in hub_data}
        if name == "movie_rationales":
            parts = {k: reviews_with_marks(rows) for k, rows in parts.items()}
        # the labels are indices: the class names of the library are dropped
        tables = {k: replace(table_of(rows, ReadOptions.of(indices)), classes=None) for k, rows in parts.items()}
        return _from_tables(name, tables, CLASSES[name], f"hub: {hub_name}", indices)
    return _from_tables(name, _hub_tables(hub_data, settings, options), None, f"hub: {hub_name}", settings)


def corpus_of(data: Any, settings: Settings) -> Corpus:
    """A corpus of data in memory (see `pct.corpora.tables.table_of`), or of a mapping of split names to such data.

    Raises as `load_splits`.
    """
    options = ReadOptions.of(settings)
    several = isinstance(data, Mapping) and "train" in data
    parts = {k: data[k] for k in SPLITS if k in data} if several else {"train": data}
    return _from_tables("given", {k: table_of(v, options) for k, v in parts.items()}, None, "given data", settings)


def with_corpus(settings: Settings, corpus: Any = None) -> tuple[Settings, Corpus]:
    """A `Corpus` unchanged, data in memory as a corpus, or the corpus of the settings; and the matching settings.

    Raises as `load_splits`.
    """
    if corpus is None:
        return settings, load_splits(settings)
    if isinstance(corpus, Corpus):
        return settings, corpus
    settings = settings.replace(corpus="")  # data in memory has no name
    return settings, corpus_of(corpus, settings)


def load_corpus(settings: Settings) -> DatasetDict:
    """The corpus of the settings, as a `datasets.DatasetDict`.

    Args:
        settings: `corpus`, and for `files` the names of the files and columns; `limit` caps the rows of each split.

    Returns:
        The splits train, validation and test, with the columns text, label and, if available, text_pair, rationale,
        shortcut and rationale_share.

    Raises:
        FileNotFoundError: the corpus is not available; the message has the remedy.
        ImportError: datasets is not installed.
        ValueError: a missing column, an empty text, an unknown label.
    """
    try:
        from datasets import ClassLabel, Dataset, DatasetDict, Value
        from datasets import Sequence as ListOf
    except ImportError:
        raise ImportError("load_corpus needs datasets: pip install 'pct-explain[data]'") from None
    corpus = read_splits(settings)
    dataset = DatasetDict()
    feature: Any = ClassLabel(names=corpus.classes)
    if corpus.task.several:
        feature = ListOf(feature)
    elif corpus.task.number:
        feature = Value("float64")
    for name, split in corpus.splits.items():
        labels = [np.flatnonzero(row) for row in split.labels] if split.labels.ndim == 2 else split.labels
        columns: dict[str, Any] = {name: list(values) for name, values in text_columns(split.texts).items()}
        columns["label"] = labels
        columns |= {k: v for k in MARKS if (v := getattr(split, k)) is not None}
        dataset[name] = Dataset.from_dict(columns).cast_column("label", feature)
    return dataset


def read_data(
    data: Any, classes: Sequence[str], options: ReadOptions, needs_labels: bool = True
) -> tuple[Split, dict[str, Any]]:
    """Reads a file or data in memory for given classes. Returns the rows and notes on the rows that were skipped.

    A table whose integer labels stand for class names must have the same class names, in any order. If labels are not
    needed, a list of strings or a table without the label column is read too.

    Raises as `load_splits`, and ValueError for a list of rows (text, label), which would be pairs of texts.
    """
    if isinstance(data, Split):
        return data, {}
    texts_alone = isinstance(data, list) and bool(data) and all(isinstance(x, str) or is_pair(x) for x in data)
    if texts_alone and not needs_labels:
        check_pairs(data, ClassIndex(classes, options.labels), options)
        data = {options.text: data}
    table, reader = table_of(data, options), RowReader(options)
    labelled = needs_labels or has_labels(table, options)
    split, _ = reader.read(table, classes, labelled)
    notes = reader.notify(table.name)
    if not labelled:
        notes["no_label_column"] = options.label
        if not texts_alone:
            has = ", ".join(map(str, table.columns))
            missing = "%s has no column %r, it has %s: the accuracy is not measured; label_column names another one"
            logger.warning(missing, table.name, options.label, has)
    return split, notes


class ChosenTexts(NamedTuple):
    """Texts to measure. source: their origin. notes: the numbers of rows that were skipped, held out or dropped by a
    limit, and of labels that were read as indices."""

    split: Split
    source: str
    notes: dict[str, Any]


def choose_texts(
    settings: Settings, classes: Sequence[str], corpus: str = "", data: str = "", split: str = "test",
    needs_labels: bool = True,
) -> ChosenTexts:  # fmt: skip
    """The texts to measure a model on, given its settings and classes.

    data: a file. If empty, a split of a corpus is read, by default of the training corpus. needs_labels: see
    `read_data`. Raises as `load_splits`, and ValueError if the corpus does not have the model's classes.
    """
    if data:
        rows, notes = read_data(Path(data) if data != "-" else data, classes, ReadOptions.of(settings), needs_labels)
        return ChosenTexts(rows, data, notes)
    if not (corpus or settings.corpus):
        raise ValueError("the model's training corpus is unknown: give a file by data, or a corpus")
    chosen = read_splits(settings.replace(corpus=corpus or settings.corpus, limit=0, measure_limit=0))
    if split not in chosen.splits:
        raise ValueError(f"corpus {chosen.name} has no {split} split; it has {', '.join(chosen.splits)}")
    rows = align_classes(classes, chosen).splits[split]
    return ChosenTexts(rows, f"{chosen.name}, {split} split", chosen.notes.get(split, {}))


def _planted(seed: int) -> dict[str, Split]:
    return {
        k: Split(
            [r["text"] for r in rows],
            np.array([r["label"] for r in rows], np.int64),
            [r["rationale"] for r in rows],
            [r["shortcut"] for r in rows],
        )
        for k, rows in _planted_rows(seed).items()
    }


# generation takes a second, and one process may load the same corpus several times
_planted_rows = lru_cache(maxsize=2)(generate)


def _hub_tables(hub_data: Any, settings: Settings, options: ReadOptions) -> dict[str, Table]:
    names = {k: getattr(settings, f"{k}_split") for k in SPLITS}
    for k, name in names.items():  # a missing default split is held out; a split that the user named must exist
        if name not in hub_data and (k == "train" or name != k):
            raise ValueError(f"{settings.corpus} has the splits {', '.join(hub_data)}, not {name}: set {k}_split")
    return {k: table_of(hub_data[name], options) for k, name in names.items() if name in hub_data}


def _from_tables(
    name: str, tables: dict[str, Table], classes: Sequence[str] | None, source: str, settings: Settings
) -> Corpus:
    """Reads the tables. If no classes are given, they are the training table's class names or its distinct labels; of
    numbers, the name of their column."""
    options = ReadOptions.of(settings)
    if options.numbers:
        classes = [NUMBER_NAME if options.label == ReadOptions.label else options.label]
    parts, notes = {}, {}
    for key in (k for k in SPLITS if k in tables):
        reader, table = RowReader(options), tables[key]
        parts[key], classes = reader.read(table, classes)
        notes[key] = reader.notify(f"{name}, {key} split")
    assert classes is not None  # there is at least one table
    return _with_held_out(name, parts, list(classes), source, settings, notes)


def _with_held_out(
    name: str, parts: dict[str, Split], classes: list[str], source: str, settings: Settings, notes: dict[str, Any]
) -> Corpus:
    """Holds out missing splits from the training rows, and applies the limits."""
    for key in ("test", "validation"):
        if key not in parts and "train" in parts:
            parts["train"], parts[key] = hold_out(parts["train"], HELD_OUT, settings.corpus_seed)
            held_out = plural(len(parts[key]), "training row is held out", "training rows are held out")
            missing = f"no {key} file is given" if name == "files" else f"{name} has no {key} split"
            logger.warning("%s: %s", missing, held_out)
            notes[key] = {"held_out_of_train": len(parts[key])}
    counts = label_counts(parts["train"], classes) if "train" in parts else {}
    single = [label for label, count in counts.items() if count == 1]
    if single:
        logger.warning("%s: only one training row of the class %s", name, some_of(single))
        notes.setdefault("train", {})["classes_of_one_row"] = single
    alike = differing_in_case(classes) if "train" in parts else []
    if alike:
        groups = some_of([" and ".join(group) for group in alike])
        remedy = "if they are one class, write its labels alike"
        logger.warning("%s: classes that differ only in case: %s; %s", name, groups, remedy)
        notes.setdefault("train", {})["classes_differing_in_case"] = alike
    for key in parts:
        limit = settings.limit if key == "train" else settings.measure_limit or settings.limit
        parts[key], notes[key] = limited(parts[key], notes.get(key, {}), limit, settings.corpus_seed)
    parts = {k: parts[k] for k in SPLITS if k in parts}
    return Corpus(name, parts, classes, source, {k: v for k, v in notes.items() if v})
