"""A corpus and its splits: holding out rows, and sampling rows under a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.corpora.class_index import NAME_CLASSES, ClassIndex, label_hint
from pct.corpora.text_file import TextFile
from pct.tasks import Task, kind_of_labels
from pct.text.plurals import plural
from pct.text.tokens import Ints
from pct.text.words import is_pair

SPLITS = ("train", "validation", "test")
TEXT_COLUMNS = ("text", "text_pair")
UNLABELLED = -1  # the label of a text without a known class
Labels = npt.NDArray[Any]  # (texts,) class indices or float numbers; of several labels (texts, classes) bool
HELD_OUT = 0.1  # the share of the training rows that is held out for a missing split


@dataclass(frozen=True)
class Split:
    """Texts and their labels.

    Attributes:
        texts: strings; tuples of two strings are pairs of texts. They are a list, or of many rows a `TextFile`.
        labels: (texts,) class indices, or `UNLABELLED`; (texts, classes) bool of several labels; (texts,) floats.
        rationale: for each text a 0/1 mark per whitespace word, if the corpus has them.
        shortcut: likewise, of the words that predict the label in training alone.
        rationale_share: likewise, the share of annotators who marked the word, 0..1.
    """

    texts: Sequence[Any]
    labels: Labels
    rationale: list[list[int]] | None = None
    shortcut: list[list[int]] | None = None
    rationale_share: list[list[float]] | None = None

    @cached_property
    def marked_share(self) -> float:
        """The mean share of marked words over the texts that have one; NaN if none has."""
        shares = [sum(marks) / len(marks) for marks in self.rationale or () if any(marks)]
        return float(np.mean(shares)) if shares else float("nan")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labelled(self) -> bool:
        """Whether the labels are known."""
        unknown = len(self.labels) > 0 and bool((self.labels == UNLABELLED).all())
        return not unknown or kind_of_labels(self.labels).number

    def take(self, index: Ints) -> Split:
        """The rows of `index`, in its order."""

        columns = (self.rationale, self.shortcut, self.rationale_share)
        marks: Any = (None if column is None else rows_of(column, index) for column in columns)
        return Split(rows_of(self.texts, index), self.labels[index], *marks)


@dataclass(frozen=True)
class Corpus:
    """The splits of a corpus and its classes.

    Attributes:
        name: of the corpus.
        splits: train, validation, test; a corpus for measuring has only test.
        classes: their names.
        source: the origin of the rows.
        notes: by split, the numbers of rows that were skipped or held out, and of labels read as indices.

    Raises:
        ValueError: a label is no class index, or the numbers of texts and labels differ.
    """

    name: str
    splits: dict[str, Split]
    classes: list[str]
    source: str
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, split in self.splits.items():
            if len(split.texts) != len(split.labels):
                raise ValueError(f"{self.name} {name}: {len(split.texts)} texts, but {len(split.labels)} labels")
            if split.labels.ndim == 2:
                if (columns := split.labels.shape[1]) != len(self.classes):
                    raise ValueError(f"{self.name} {name}: {columns} columns of labels for {len(self.classes)} classes")
                continue
            if kind_of_labels(split.labels).number:
                if len(self.classes) != 1:
                    raise ValueError(f"{self.name} {name}: the labels are numbers, for {len(self.classes)} classes")
                continue
            outside = np.flatnonzero((split.labels < 0) | (split.labels >= len(self.classes)))
            if len(outside):
                raise ValueError(
                    f"{self.name} {name}, row {outside[0] + 1}: label {split.labels[outside[0]]} is outside the "
                    f"classes 0..{len(self.classes) - 1}"
                )

    @property
    def task(self) -> type[Task]:
        """The kind of task that its labels are for."""
        return kind_of_labels(next(iter(self.splits.values())).labels)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all texts and labels, in order: two runs with the same fingerprint have the same data."""
        from pct.corpora.fingerprints import corpus_fingerprint

        return corpus_fingerprint({name: self.splits[name] for name in SPLITS if name in self.splits})


def rows_of(column: Sequence[Any], index: Ints) -> Sequence[Any]:
    """The values of some rows: a list, of a `TextFile` one that reads them where they are used."""
    return column.take(index) if isinstance(column, TextFile) else [column[i] for i in index]


def text_columns(texts: Sequence[Any], pairs: bool = False) -> dict[str, npt.NDArray[np.object_]]:
    """Texts as columns of a table: text, and text_pair where there are pairs; a single text has no second one. pairs:
    whether there is text_pair in any case."""
    rows = [text if is_pair(text) else (text, None) for text in texts]
    columns = {}
    for name, values in zip(TEXT_COLUMNS, zip(*rows, strict=True) if rows else ([], []), strict=True):
        columns[name] = np.empty(len(rows), object)
        columns[name][:] = values
    return columns if pairs or any(second is not None for _, second in rows) else {"text": columns["text"]}


def texts_of_columns(columns: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
    """The texts of what `text_columns` gave."""
    if "text_pair" not in columns:  # lists of words are arrays in Parquet
        return [text.tolist() if isinstance(text, np.ndarray) else text for text in columns["text"]]
    pairs = zip(columns["text"], columns["text_pair"], strict=True)
    return [first if second is None else (first, second) for first, second in pairs]


def index_of_classes(own: Sequence[str], classes: Sequence[str]) -> Ints:
    """(own classes,) the index of each class among other ones. Names are compared as by `ClassIndex`.

    Raises ValueError for a class that is not among them.
    """
    index = ClassIndex(classes)
    position = {name: index.find(name) for name in own}
    unknown = [name for name in own if position[name] is None]
    if unknown:
        remedy = label_hint(unknown[0], classes) or f": use its names for the labels, or {NAME_CLASSES}"
        raise ValueError(f"the texts have the class {unknown[0]!r}, the model has {', '.join(classes)}{remedy}")
    return np.array([position[name] for name in own], np.int64)


def with_classes(split: Split, index: Ints, classes: int) -> Split:
    """A split with labels of other classes.

    Args:
        split: of one class or several labels a text.
        index: what `index_of_classes` gave.
        classes: the number of the other classes.
    """
    if split.labels.ndim == 1:
        return replace(split, labels=index[split.labels])
    labels = np.zeros((len(split), classes), bool)
    labels[:, index] = split.labels
    return replace(split, labels=labels)


def align_classes(classes: Sequence[str], corpus: Corpus, labels: str = "names") -> Corpus:
    """The corpus with labels as indices of the given classes; numbers stay. Names are compared as by `ClassIndex`.

    labels: of `Settings`. Indices are in the place of the names of a corpus that has none.

    Raises ValueError if the corpus has other classes.
    """
    own = corpus.classes
    if own == list(classes) or (corpus.task.number and len(classes) == 1):
        return replace(corpus, classes=list(classes))
    if labels == "indices" and all(name.isdecimal() and int(name) < len(classes) for name in own):
        own = [classes[int(name)] for name in own]
    index = index_of_classes(own, classes)
    splits = {name: with_classes(split, index, len(classes)) for name, split in corpus.splits.items()}
    return replace(corpus, splits=splits, classes=list(classes))


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Returns (remaining rows, held-out rows). A share of the rows of each class is sampled with the seed; of several
    labels and of numbers, a share of all rows.

    The single row of a class is not held out. Raises ValueError if no row can be held out.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(split), bool)
    strata = split.labels if split.labels.dtype.kind in "iu" else np.zeros(len(split), np.int64)
    for label in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == label))
        held[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    if not held.any():
        raise ValueError(
            f"{plural(len(split), 'training row is', 'training rows are')} too few to hold a split out: give "
            "validation_file and test_file"
        )
    return split.take(np.flatnonzero(~held)), split.take(np.flatnonzero(held))


def limited(split: Split, notes: dict[str, Any], limit: int, seed: int) -> tuple[Split, dict[str, Any]]:
    """`with_limit`, and the notes with the number of rows that it dropped."""
    some = with_limit(split, limit, seed)
    left_out = len(split) - len(some)
    return some, {**notes, "left_out_by_limit": left_out} if left_out else notes


def notes_in_words(notes: Mapping[str, Any]) -> list[str]:
    """The notes on a split as sentences."""
    lines = []
    if skipped := notes.get("rows_skipped"):
        faults = ", ".join(f"{count} with {fault}" for fault, count in skipped.items())
        lines.append(f"{plural(sum(skipped.values()), 'row was', 'rows were')} skipped: {faults}")
    for name, singular, many in (
        ("labels_as_indices", "label was read as a class index", "labels were read as class indices"),
        ("held_out_of_train", "text was held out of the training rows", "texts were held out of the training rows"),
        ("left_out_by_limit", "text was dropped by the limit", "texts were dropped by the limit"),
    ):
        if count := notes.get(name):
            lines.append(plural(count, singular, many))
    if column := notes.get("no_label_column"):
        lines.append(f"there is no column {column!r}: the accuracy is unknown")
    return lines


def with_limit(split: Split, limit: int, seed: int = 0) -> Split:
    """At most `limit` rows, sampled with the seed, in their order; 0 keeps all. Raises ValueError if it is negative."""
    if limit < 0:
        raise ValueError(f"limit must be >= 0, got {limit}")
    if not limit or limit >= len(split):
        return split
    # a sample, not the first rows: some corpora are sorted by class
    return split.take(np.sort(np.random.default_rng(seed).permutation(len(split))[:limit]))
