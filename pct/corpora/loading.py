"""The corpora: from a name to texts and labels in train, validation and test.

A corpus is looked for in the folder that PCT_DATA_DIR names (<corpus>/<split>.jsonl.gz), then on the Hugging Face hub.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.corpora.planted import generate
from pct.settings import Settings
from pct.text.tokens import Ints
from pct.text.words import replace_surrogates

if TYPE_CHECKING:
    from datasets import DatasetDict

SPLITS = ("train", "validation", "test")
CLASSES = {
    "planted": ["negative", "positive"],
    "mr": ["negative", "positive"],
    "imdb": ["negative", "positive"],
    "ag_news": ["World", "Sports", "Business", "Sci/Tech"],
}
HUB = {
    "mr": "cornell-movie-review-data/rotten_tomatoes",
    "imdb": "stanfordnlp/imdb",
    "ag_news": "fancyzhang/ag_news",
}
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """texts, and labels (texts,) as class indices. rationale, shortcut: 0/1 a word, where the corpus knows them."""

    texts: list[str]
    labels: Ints
    rationale: list[list[int]] | None = None
    shortcut: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, index: Ints) -> Split:
        """Some rows, in the order of `index`."""

        def rows(column: list[Any] | None) -> Any:
            return None if column is None else [column[i] for i in index]

        return Split(rows(self.texts), self.labels[index], rows(self.rationale), rows(self.shortcut))


@dataclass(frozen=True)
class Corpus:
    """splits: train, validation, test. classes: their names. source: where the rows came from.

    Raises ValueError for a label that is no index of a class, or another number of labels than of texts.
    """

    name: str
    splits: dict[str, Split]
    classes: list[str]
    source: str

    def __post_init__(self) -> None:
        for name, split in self.splits.items():
            if len(split.texts) != len(split.labels):
                raise ValueError(f"{self.name} {name}: {len(split.texts)} texts, but {len(split.labels)} labels")
            outside = np.flatnonzero((split.labels < 0) | (split.labels >= len(self.classes)))
            if len(outside):
                raise ValueError(
                    f"{self.name} {name}, row {outside[0] + 1}: label {split.labels[outside[0]]} is outside the "
                    f"classes 0..{len(self.classes) - 1}"
                )

    @property
    def fingerprint(self) -> str:
        """A hash of every text and label, in order: two runs with the same fingerprint saw the same data."""
        digest = hashlib.sha256()
        for name in SPLITS:
            split = self.splits[name]
            digest.update(json.dumps([name, split.texts, split.labels.tolist()]).encode())
        return digest.hexdigest()[:16]


def load_splits(settings: Settings) -> Corpus:
    """The corpus that the settings name, cut to `limit` rows a split.

    Where there is no validation split, a tenth of the training rows becomes it, drawn a class at a time under
    `corpus_seed`. Raises FileNotFoundError or ImportError, with the remedy, where the corpus cannot be had, and
    ValueError for a missing column, an empty text or an unknown label.
    """
    name = settings.corpus
    if not name:
        raise ValueError(f"no corpus is known for {settings.model}: name one, or give a file of texts and labels")
    if name == "planted":
        rows = generate(settings.corpus_seed)
        parts = {
            k: Split(
                [r["text"] for r in v],
                np.array([r["label"] for r in v], np.int64),
                [r["rationale"] for r in v],
                [r["shortcut"] for r in v],
            )
            for k, v in rows.items()
        }
        classes, source = CLASSES[name], "generated"
    elif name == "files":
        parts, classes, source = _from_files(settings)
    elif (folder := _local(name)) is not None:
        found = {k: folder / f"{k}.jsonl.gz" for k in SPLITS}
        classes, source = CLASSES[name], "local folder"
        parts = {k: _indexed(list(_rows(p)), "text", "label", classes, p) for k, p in found.items() if p.is_file()}
    else:
        classes, source = CLASSES[name], f"hub: {HUB[name]}"
        parts = _from_hub(name)
    if "validation" not in parts:
        parts["train"], parts["validation"] = _held_out(parts["train"], VALIDATION_SHARE, settings.corpus_seed)
    parts = {k: with_limit(parts[k], settings.limit, settings.corpus_seed) for k in SPLITS}
    return Corpus(name, parts, classes, source)


def load_corpus(settings: Settings) -> DatasetDict:
    """The corpus that the settings name, as a `datasets.DatasetDict`.

    Args:
        settings: `corpus`, and for `files` the names of the files and columns; `limit` cuts each split.

    Returns:
        The splits train, validation and test, with the columns text, label and, where known, rationale and shortcut.

    Raises:
        FileNotFoundError: the corpus cannot be had; the message says how to get it.
        ImportError: datasets is not installed.
        ValueError: a missing column, an empty text, an unknown label.
    """
    try:
        from datasets import ClassLabel, Dataset, DatasetDict
    except ImportError:
        raise ImportError("load_corpus needs datasets: pip install 'pct-explain[data]'") from None
    corpus = load_splits(settings)
    made = DatasetDict()
    for name, split in corpus.splits.items():
        columns: dict[str, Any] = {"text": split.texts, "label": split.labels}
        columns |= {k: v for k in ("rationale", "shortcut") if (v := getattr(split, k)) is not None}
        made[name] = Dataset.from_dict(columns).cast_column("label", ClassLabel(names=corpus.classes))
    return made


def read_file(path: str | Path, text_column: str, label_column: str, classes: Sequence[str]) -> Split:
    """The rows of a CSV or JSONL file (.gz too), for classes that are known. Errors as `load_splits`."""
    return _indexed(list(_rows(Path(path))), text_column, label_column, list(classes), Path(path))


def choose_texts(
    settings: Settings, classes: Sequence[str], corpus: str = "", data: str = "", split: str = "test", limit: int = 0
) -> tuple[Split, str]:
    """The texts that a model of these settings and classes is measured on, and where they are from.

    data: a file; else a split of a corpus, by default of the one that the model was trained on. limit: at most so many,
    drawn. Raises as `load_splits`, and ValueError where the corpus' classes are not the model's.
    """
    if data:
        rows = read_file(data, settings.text_column, settings.label_column, classes)
        return with_limit(rows, limit, settings.corpus_seed), str(data)
    found = load_splits(settings.replace(corpus=corpus or settings.corpus, limit=0))
    if found.classes != list(classes):
        raise ValueError(
            f"corpus {found.name} has the classes {', '.join(found.classes)}, the model {', '.join(classes)}"
            "; give a corpus or a file of the model's classes"
        )
    return with_limit(found.splits[split], limit, settings.corpus_seed), f"{found.name}, {split} split"


def _local(name: str) -> Path | None:
    root = os.environ.get("PCT_DATA_DIR", "")
    if not root:
        return None
    folder = Path(root) / name
    have = [k for k in ("train", "test") if (folder / f"{k}.jsonl.gz").is_file()]
    if len(have) == 1:
        missing = "test" if have == ["train"] else "train"
        raise FileNotFoundError(f"PCT_DATA_DIR has {folder} without {missing}.jsonl.gz; add it, or unset PCT_DATA_DIR")
    return folder if have else None


def _from_hub(name: str) -> dict[str, Split]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise ImportError(
            f"corpus {name} comes from the hub: pip install 'pct-explain[data]', or set PCT_DATA_DIR to a folder that "
            f"has {name}/train.jsonl.gz and {name}/test.jsonl.gz"
        ) from None
    try:
        got = load_dataset(HUB[name])
    except Exception as problem:  # the hub's client raises many types: offline, not found, timeout
        raise FileNotFoundError(
            f"corpus {name} could not be had from the hub ({HUB[name]}: {type(problem).__name__}); set PCT_DATA_DIR to "
            f"a folder that has {name}/train.jsonl.gz and {name}/test.jsonl.gz, or take corpus=planted"
        ) from problem
    return {k: Split(list(got[k]["text"]), np.asarray(got[k]["label"], np.int64)) for k in SPLITS if k in got}


def _from_files(settings: Settings) -> tuple[dict[str, Split], list[str], str]:
    paths = {k: Path(v) for k in SPLITS if (v := getattr(settings, f"{k}_file"))}
    rows = {k: list(_rows(path)) for k, path in paths.items()}
    column = settings.label_column
    seen = {str(r[column]) for r in rows["train"] if column in r}
    # whole numbers are sorted as numbers: "10" comes after "9"
    classes = sorted(seen, key=int) if all(x.isdecimal() for x in seen) else sorted(seen)
    if len(classes) < 2 and seen:
        raise ValueError(
            f"{paths['train']}: {len(classes)} class in column {column!r}, a classifier needs at least two"
        )
    parts = {k: _indexed(v, settings.text_column, column, classes, paths[k]) for k, v in rows.items()}
    return parts, classes, "files"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise FileNotFoundError(f"data file {path} does not exist")
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1].lower()
    if kind not in ("csv", "jsonl"):
        raise ValueError(f"data file {path} must end in .csv or .jsonl (or either with .gz), got .{kind}")
    opened = gzip.open if path.suffix == ".gz" else open
    # utf-8-sig: spreadsheets write a byte order mark, which would become part of the first column's name
    with opened(path, "rt", encoding="utf-8-sig", newline="" if kind == "csv" else None) as lines:
        try:
            yield from csv.DictReader(lines) if kind == "csv" else _objects(lines, path)
        except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as problem:
            raise ValueError(f"data file {path} cannot be read ({problem}); write it anew as UTF-8 .{kind}") from None


def _objects(lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise ValueError(f"{path}, line {number}: not JSON ({problem.msg})") from None
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: a row must be an object, got {type(row).__name__}")
        yield row


def _indexed(rows: list[dict[str, Any]], text: str, label: str, classes: Sequence[str], path: Path) -> Split:
    if not rows:
        raise ValueError(f"{path} has no rows")
    for column, setting in ((text, "text_column"), (label, "label_column")):
        if column not in rows[0]:
            raise ValueError(f"{path} has no column {column!r}, it has {', '.join(map(str, rows[0]))}; set {setting}")
    # a label is a class by name, or by its index where no name looks like one
    index = {name: i for i, name in enumerate(classes)}
    if not any(name.isdecimal() for name in classes):
        index |= {str(i): i for i in range(len(classes))}
    labels = np.zeros(len(rows), np.int64)
    for number, row in enumerate(rows):
        value, words = row.get(label), row.get(text)
        if not isinstance(words, str) or not words.strip():
            raise ValueError(f"{path}, row {number + 1}: column {text!r} must be a text with words, got {words!r}")
        if str(value) not in index:
            raise ValueError(f"{path}, row {number + 1}: label {value!r} is not one of {', '.join(classes)}")
        labels[number] = index[str(value)]
    # a column of the same name that holds something else, in a CSV say, is not these marks
    known = [k for k in ("rationale", "shortcut") if isinstance(rows[0].get(k), list)]
    marks = {k: [_marks(r, k, text, path) for r in rows] for k in known}
    return Split([replace_surrogates(r[text]) for r in rows], labels, marks.get("rationale"), marks.get("shortcut"))


def _marks(row: dict[str, Any], column: str, text: str, path: Path) -> list[int]:
    marks, words = row.get(column), len(row[text].split())
    if not isinstance(marks, list) or len(marks) != words or any(x not in (0, 1) for x in marks):
        raise ValueError(
            f"{path}: column {column!r} must be a list of 0 and 1, one a word ({words}), got {marks!r:.80}"
        )
    return marks


def _held_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    rng = np.random.default_rng(seed)
    held = np.zeros(len(split), bool)
    for label in np.unique(split.labels):
        members = rng.permutation(np.flatnonzero(split.labels == label))
        held[members[: max(1, round(share * len(members)))]] = True
    if held.all():
        raise ValueError(f"{len(split)} training rows are too few to hold a validation split out: give validation_file")
    return split.take(np.flatnonzero(~held)), split.take(np.flatnonzero(held))


def with_limit(split: Split, limit: int, seed: int = 0) -> Split:
    """At most `limit` rows, drawn under the seed, in their order; all for 0."""
    if not limit or limit >= len(split):
        return split
    # drawn, not cut off: some corpora are ordered by class
    return split.take(np.sort(np.random.default_rng(seed).permutation(len(split))[:limit]))
