"""From settings, or from data in memory, to a corpus: texts and labels in train, validation and test."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pct.corpora.files import open_table
from pct.corpora.hub import load_hub
from pct.corpora.named import CLASSES, HUB, TEST_ONLY, local_folder, reviews_with_marks, with_shares
from pct.corpora.planted import generate
from pct.corpora.rows import MARKS, ClassIndex, ReadOptions, Row, RowReader, Table, has_column
from pct.corpora.splits import HELD_OUT, SPLITS, Corpus, Split, hold_out, limited, with_limit
from pct.corpora.tables import table_of
from pct.corpora.values import class_names
from pct.settings import Settings
from pct.text.tokens import Ints

if TYPE_CHECKING:
    from datasets import DatasetDict

__all__ = [
    "CLASSES", "HUB", "READ_BY", "SPLITS", "Corpus", "Split", "choose_texts", "corpus_of", "load_corpus", "load_splits",
    "read_data", "read_file", "read_splits", "with_corpus", "with_limit",
]  # fmt: skip

READ_BY = (  # the settings that decide which rows are read: those that agree in them have the same corpus
    "corpus", "train_file", "validation_file", "test_file", "text_column", "label_column", "separator", "on_bad_row",
    "labels", "encoding", "train_split", "validation_split", "test_split", "limit", "measure_limit", "corpus_seed",
)  # fmt: skip

logger = logging.getLogger("pct.corpora")


def load_splits(settings: Settings) -> Corpus:
    """The corpus that the settings name, to be trained on: cut to `limit` rows a split, validation and test to
    `measure_limit`.

    Where there is no validation or test split, a tenth of the training rows becomes it, drawn a class at a time under
    `corpus_seed`. What was skipped, held out or taken for an index is said in the log and in the corpus' notes.

    Raises:
        FileNotFoundError, ImportError: the corpus cannot be had; the message has the remedy.
        ValueError: a missing column, a row that cannot be used (unless `on_bad_row` is skip), a label of no class, a
            corpus without training rows.
    """
    if settings.corpus in TEST_ONLY:
        raise ValueError(
            f"corpus {settings.corpus} has a test split alone: train on another, and give this one to pct evaluate or "
            "pct audit"
        )
    return read_splits(settings)


def read_splits(settings: Settings) -> Corpus:
    """`load_splits`, also of a corpus that has a test split alone. Raises as `load_splits`."""
    name, options = settings.corpus, ReadOptions.of(settings)
    if not name:
        raise ValueError("no texts are named: give a training file (train_file) or the name of a corpus (corpus)")
    if name == "planted":
        return _finished(name, _planted(settings.corpus_seed), CLASSES[name], "generated", settings, {})
    if name == "files":
        tables = {k: open_table(v, options) for k in SPLITS if (v := getattr(settings, f"{k}_file"))}
        return _corpus(name, tables, None, "files", settings)
    indices = settings.replace(labels="indices", text_column="text", label_column="label")
    if name in CLASSES and (folder := local_folder(name)) is not None:
        found = {k: folder / f"{k}.jsonl.gz" for k in SPLITS}
        tables = {k: open_table(path, options) for k, path in found.items() if path.is_file()}
        if name in TEST_ONLY:
            tables = {k: with_shares(table) for k, table in tables.items()}
        return _corpus(name, tables, CLASSES[name], "local folder", indices)
    given, called = load_hub(name)
    if name in CLASSES:
        parts = {k: given[k] for k in SPLITS if k in given}
        if name == "movie_rationales":
            parts = {k: reviews_with_marks(rows) for k, rows in parts.items()}
        tables = {k: table_of(rows, ReadOptions.of(indices)) for k, rows in parts.items()}
        return _corpus(name, {k: _plain(t) for k, t in tables.items()}, CLASSES[name], f"hub: {called}", indices)
    return _corpus(name, _hub_tables(given, settings, options), None, f"hub: {called}", settings)


def corpus_of(data: Any, settings: Settings) -> Corpus:
    """A corpus of data in memory (see `pct.corpora.tables.table_of`), or of several splits of such by name.

    Raises as `load_splits`.
    """
    options = ReadOptions.of(settings)
    several = isinstance(data, Mapping) and "train" in data
    parts = {k: data[k] for k in SPLITS if k in data} if several else {"train": data}
    return _corpus("given", {k: table_of(v, options) for k, v in parts.items()}, None, "given data", settings)


def with_corpus(settings: Settings, corpus: Any = None) -> tuple[Settings, Corpus]:
    """A corpus as it is, data in memory as one, or the one that the settings name; and the settings that go with it.

    Raises as `load_splits`.
    """
    if corpus is None:
        return settings, load_splits(settings)
    if isinstance(corpus, Corpus):
        return settings, corpus
    settings = settings.replace(corpus="")  # the data has no name by which it could be found again
    return settings, corpus_of(corpus, settings)


def load_corpus(settings: Settings) -> DatasetDict:
    """The corpus that the settings name, as a `datasets.DatasetDict`.

    Args:
        settings: `corpus`, and for `files` the names of the files and columns; `limit` cuts each split.

    Returns:
        The splits train, validation and test, with the columns text, label and, where known, rationale, shortcut and
        rationale_share.

    Raises:
        FileNotFoundError: the corpus cannot be had; the message says how to get it.
        ImportError: datasets is not installed.
        ValueError: a missing column, an empty text, an unknown label.
    """
    try:
        from datasets import ClassLabel, Dataset, DatasetDict
    except ImportError:
        raise ImportError("load_corpus needs datasets: pip install 'pct-explain[data]'") from None
    corpus = read_splits(settings)
    made = DatasetDict()
    for name, split in corpus.splits.items():
        columns: dict[str, Any] = {"text": split.texts, "label": split.labels}
        columns |= {k: v for k in MARKS if (v := getattr(split, k)) is not None}
        made[name] = Dataset.from_dict(columns).cast_column("label", ClassLabel(names=corpus.classes))
    return made


def read_data(
    data: Any, classes: Sequence[str], options: ReadOptions, needs_labels: bool = True
) -> tuple[Split, dict[str, Any]]:
    """The rows of a file, or of data in memory, for classes that are known, and what was left out of them.

    A table whose integers stand for class names must have the classes' names, in any order. Where labels are not
    needed, texts alone are read too: a list of strings, or a table without the column of the labels.

    Raises as `load_splits`.
    """
    if isinstance(data, Split):
        return data, {}
    if not needs_labels and isinstance(data, list) and data and all(isinstance(text, str) for text in data):
        data = {options.text: data}
    table, reader = table_of(data, options), RowReader(options)
    labelled = needs_labels or has_column(table, options.label)
    rows, labels = reader.read(table, classes, labelled)
    notes = reader.notify(table.name)
    if not labelled:
        notes["no_label_column"] = options.label
        logger.warning("%s has no column %r: the accuracy is not measured", table.name, options.label)
    return _split(rows, labels), notes


def read_file(path: str | Path, text_column: str, label_column: str, classes: Sequence[str]) -> Split:
    """`read_data` of a file by its columns alone."""
    return read_data(Path(path), classes, ReadOptions(text_column, label_column))[0]


class Chosen(NamedTuple):
    """Texts to measure. source: where they are from. notes: what was skipped, held out, taken for an index or left out
    by a limit when they were read."""

    split: Split
    source: str
    notes: dict[str, Any]


def choose_texts(
    settings: Settings, classes: Sequence[str], corpus: str = "", data: str = "", split: str = "test", limit: int = 0,
    needs_labels: bool = True,
) -> Chosen:  # fmt: skip
    """The texts that a model of these settings and classes is measured on.

    data: a file; else a split of a corpus, by default of the one that the model was trained on. limit: at most so many,
    drawn. needs_labels: see `read_data`. Raises as `load_splits`, and ValueError where the corpus' classes are not the
    model's.
    """
    if data:
        rows, notes = read_data(Path(data) if data != "-" else data, classes, ReadOptions.of(settings), needs_labels)
        rows, notes = limited(rows, notes, limit, settings.corpus_seed)
        return Chosen(rows, data, notes)
    if not (corpus or settings.corpus):
        raise ValueError("it is not known what the model was trained on: give a file (data) or a corpus")
    found = read_splits(settings.replace(corpus=corpus or settings.corpus, limit=0, measure_limit=0))
    if split not in found.splits:
        raise ValueError(f"corpus {found.name} has no {split} split; it has {', '.join(found.splits)}")
    if found.classes != list(classes):
        raise ValueError(
            f"corpus {found.name} has the classes {', '.join(found.classes)}, the model {', '.join(classes)}"
            "; give a corpus or a file of the model's classes"
        )
    rows, notes = limited(found.splits[split], found.notes.get(split, {}), limit, settings.corpus_seed)
    return Chosen(rows, f"{found.name}, {split} split", notes)


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


# a comparison, a measurement and an explanation of one process ask for the same corpus: a second each time
_planted_rows = lru_cache(maxsize=2)(generate)


def _hub_tables(given: Any, settings: Settings, options: ReadOptions) -> dict[str, Table]:
    names = {k: getattr(settings, f"{k}_split") for k in SPLITS}
    for k, name in names.items():  # a usual name may be missing, and is held out then; one that was chosen may not
        if name not in given and (k == "train" or name != k):
            raise ValueError(f"{settings.corpus} has the splits {', '.join(given)}, not {name}: set {k}_split")
    return {k: table_of(given[name], options) for k, name in names.items() if name in given}


def _plain(table: Table) -> Table:
    """A table whose labels are indices, whatever names its library has for them."""
    return Table(table.name, table.columns, table.rows, None, True, table.unit)


def _corpus(
    name: str, tables: dict[str, Table], classes: Sequence[str] | None, source: str, settings: Settings
) -> Corpus:
    """The classes are those given, those that the training table names, or those of the training rows."""
    options = ReadOptions.of(settings)
    parts, notes = {}, {}
    for key in (k for k in SPLITS if k in tables):
        reader, table = RowReader(options), tables[key]
        if classes is None:
            rows = list(reader.rows(table))
            classes = _classes(table, rows, options)
            by_name = ClassIndex(classes).by_name
            labels = np.array([by_name[str(r.label)] for r in rows], np.int64)
        else:
            rows, labels = reader.read(table, classes)
        parts[key], notes[key] = _split(rows, labels), reader.notify(f"{name}, {key} split")
    assert classes is not None  # there is always a training table
    return _finished(name, parts, list(classes), source, settings, notes)


def _classes(table: Table, rows: list[Row], options: ReadOptions) -> list[str]:
    found = list(table.classes) if table.classes else class_names(r.label for r in rows)
    if not rows:
        raise ValueError(f"{table.name} has no rows")
    if len(found) < 2:
        raise ValueError(
            f"{table.name}: {len(found)} class in column {options.label!r}, a classifier needs at least two"
        )
    return found


def _split(rows: list[Row], labels: Ints) -> Split:
    known = [k for k in MARKS if rows and k in rows[0].marks]
    marks = {k: [r.marks[k] for r in rows] for k in known}
    return Split([r.text for r in rows], labels, **marks)


def _finished(
    name: str, parts: dict[str, Split], classes: list[str], source: str, settings: Settings, notes: dict[str, Any]
) -> Corpus:
    """Holds out what is missing, and draws what the limit leaves."""
    for key in ("test", "validation"):
        if key not in parts and "train" in parts:
            parts["train"], parts[key] = hold_out(parts["train"], HELD_OUT, settings.corpus_seed)
            logger.warning("%s has no %s split: %d training rows are held out", name, key, len(parts[key]))
            notes[key] = {"held_out_of_train": len(parts[key])}
    labels = parts["train"].labels if "train" in parts else np.zeros(0, np.int64)
    alone = [classes[i] for i in np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 1)]
    if alone:
        logger.warning("%s: one training row alone for %s", name, ", ".join(alone))
        notes.setdefault("train", {})["classes_of_one_row"] = alone
    for key in parts:
        limit = settings.limit if key == "train" else settings.measure_limit or settings.limit
        parts[key], notes[key] = limited(parts[key], notes.get(key, {}), limit, settings.corpus_seed)
    parts = {k: parts[k] for k in SPLITS if k in parts}
    return Corpus(name, parts, classes, source, {k: v for k, v in notes.items() if v})
