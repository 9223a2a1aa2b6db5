"""A corpus as its splits, and how rows are held out or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pct.text.tokens import Ints

SPLITS = ("train", "validation", "test")
UNLABELLED = -1  # the label of a text whose class is not known
HELD_OUT = 0.1  # the share of the training rows that becomes a split where there is none


@dataclass(frozen=True)
class Split:
    """texts, and labels (texts,) as class indices, `UNLABELLED` where they are not known. rationale, shortcut: 0/1 a
    word between spaces, where the corpus knows them. rationale_share: likewise, the share of the annotators who marked
    the word, 0..1."""

    texts: list[str]
    labels: Ints
    rationale: list[list[int]] | None = None
    shortcut: list[list[int]] | None = None
    rationale_share: list[list[float]] | None = None

    @cached_property
    def marked_share(self) -> float:
        """The mean share of marked words, of the texts that have one; NaN where there is none."""
        shares = [sum(marks) / len(marks) for marks in self.rationale or () if any(marks)]
        return float(np.mean(shares)) if shares else float("nan")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labelled(self) -> bool:
        """Whether the labels are known."""
        return bool((self.labels != UNLABELLED).all())

    def take(self, index: Ints) -> Split:
        """Some rows, in the order of `index`."""

        def rows(column: list[Any] | None) -> Any:
            return None if column is None else [column[i] for i in index]

        marks = (rows(column) for column in (self.rationale, self.shortcut, self.rationale_share))
        return Split(rows(self.texts), self.labels[index], *marks)


@dataclass(frozen=True)
class Corpus:
    """splits: train, validation, test; test alone of a corpus for measuring. classes: their names. source: where the
    rows came from. notes: by split, what was skipped, held out or taken for an index when it was read.

    Raises ValueError for a label that is no index of a class, or another number of labels than of texts.
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
            outside = np.flatnonzero((split.labels < 0) | (split.labels >= len(self.classes)))
            if len(outside):
                raise ValueError(
                    f"{self.name} {name}, row {outside[0] + 1}: label {split.labels[outside[0]]} is outside the "
                    f"classes 0..{len(self.classes) - 1}"
                )

    @property
    def fingerprint(self) -> str:
        """A hash of every text and label, in order: two runs with the same fingerprint saw the same data."""
        from pct.corpora.fingerprints import corpus_fingerprint

        return corpus_fingerprint({name: self.splits[name] for name in SPLITS if name in self.splits})


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """A share of the rows of each class, drawn under the seed, and the others before it.

    A class of one row keeps it. Raises ValueError where nothing could be held out.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(split), bool)
    for label in np.unique(split.labels):
        members = rng.permutation(np.flatnonzero(split.labels == label))
        held[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    if not held.any():
        raise ValueError(
            f"{len(split)} training rows are too few to hold a split out: give validation_file and test_file"
        )
    return split.take(np.flatnonzero(~held)), split.take(np.flatnonzero(held))


def limited(split: Split, notes: dict[str, Any], limit: int, seed: int) -> tuple[Split, dict[str, Any]]:
    """`with_limit`, and the notes on the rows with how many it left out."""
    some = with_limit(split, limit, seed)
    left_out = len(split) - len(some)
    return some, {**notes, "left_out_by_limit": left_out} if left_out else notes


def notes_in_words(notes: Mapping[str, Any]) -> list[str]:
    """What reading the rows of a split left out or took for an index, a sentence each."""
    lines = []
    if skipped := notes.get("rows_skipped"):
        faults = ", ".join(f"{count} with {fault}" for fault, count in skipped.items())
        lines.append(f"{sum(skipped.values())} rows were skipped: {faults}")
    for name, said in (
        ("labels_as_indices", "labels were taken as indices of the classes"),
        ("held_out_of_train", "texts are held out of the training rows"),
        ("left_out_by_limit", "texts were left out by the limit"),
    ):
        if count := notes.get(name):
            lines.append(f"{count} {said}")
    if column := notes.get("no_label_column"):
        lines.append(f"there is no column {column!r}: the accuracy is not known")
    return lines


def with_limit(split: Split, limit: int, seed: int = 0) -> Split:
    """At most `limit` rows, drawn under the seed, in their order; all for 0. Raises ValueError for fewer."""
    if limit < 0:
        raise ValueError(f"limit must be >= 0, got {limit}")
    if not limit or limit >= len(split):
        return split
    # drawn, not cut off: some corpora are ordered by class
    return split.take(np.sort(np.random.default_rng(seed).permutation(len(split))[:limit]))
