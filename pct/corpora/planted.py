"""A generated corpus with known rationales: a grammar writes film reviews and marks the words that decide the class.

Each text has a main clause. The summed strengths of its sentiment words decide the label. Most texts have a contrast
clause of the opposite sentiment, which does not count; some have a negation, and neutral filler. A few fillers are a
planted shortcut: they are correlated with the label in training and validation, and independent of it in test.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, TypeVar

import numpy as np

from pct.corpora.splits import SPLITS

T = TypeVar("T")

MIN_WORDS, MAX_WORDS = 8, 40
# by split: the share of texts with a shortcut phrase, for the recorded labels (negative, positive)
SHORTCUT_SHARE = {"train": (0.2, 0.8), "validation": (0.2, 0.8), "test": (0.5, 0.5)}
# by split: the share of flipped labels
FLIPPED_SHARE = {"train": 0.03, "validation": 0.03, "test": 0.02}
# The difficulty of the texts, chosen so that a TextCNN reaches a test accuracy of about 90 % after 5 epochs.
NEGATED, AGREEING, CONTRASTED, RARENESS = 0.3, 0.75, 0.6, 1.5


class PlantedRow(TypedDict):
    """A text, its recorded label (0 negative, 1 positive) and two 0/1 marks for each whitespace word.

    rationale: the words that decide the sentiment of the text. A flipped label does not change it.
    """

    text: str
    label: int
    rationale: list[int]
    shortcut: list[int]


# the words and phrases, as lists of lines
_TEXTS = json.loads(Path(__file__).with_name("planted.json").read_text(encoding="utf-8"))


def _words(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(" ".join(lines).split())


def _phrases(name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in _TEXTS[name])


# (polarity, strength) -> adjectives; a strong word counts 3, a medium one 2, a weak one 1.
LEXICON = {
    (1 if sign == "+" else -1, int(strength)): _words(lines)
    for (sign, strength), lines in _TEXTS["adjectives, by polarity and strength"].items()
}
# Neutral fillers. Shortcut phrases occur at the same positions as the other fillers.
SHORTCUTS, _FILLERS, _NOTES, _SUBJECTS = map(_phrases, ("shortcuts", "fillers", "notes", "subjects"))
_NOUNS, _KINDS, _SINGLE, _DEGREES = (_words(_TEXTS[name]) for name in ("nouns", "kinds", "singles", "degrees"))

_Word = tuple[str, int, int]  # the word, rationale, shortcut


def _plain(words: Sequence[str]) -> list[_Word]:
    return [(word, 0, 0) for word in words]


def _article(words: Sequence[_Word]) -> list[_Word]:
    return [("an" if words[0][0][0] in "aeiou" else "a", 0, 0), *words]


class _Writer:
    """Writes texts from one stream of random numbers. They are drawn in blocks, which is faster than single calls."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.block: list[float] = []

    def draw(self) -> float:
        if not self.block:
            self.block = self.rng.random(8192).tolist()
        return self.block.pop()

    def chance(self, share: float) -> bool:
        return self.draw() < share

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.draw() * len(items))]

    def strength(self) -> int:
        return 1 + int(3 * self.draw())

    def sentiment(self, polarity: int, strength: int) -> str:
        """A lexicon word; the first ones are more frequent than the last."""
        words = LEXICON[polarity, strength]
        return words[int(self.draw() ** RARENESS * len(words))]

    def text(self, positive: bool, shortcut: bool) -> list[_Word]:
        """One text of a class, of an allowed length."""
        while True:
            words = self._compose(1 if positive else -1, shortcut)
            if MIN_WORDS <= len(words) <= MAX_WORDS:
                return words

    def _compose(self, polarity: int, shortcut: bool) -> list[_Word]:
        words = self._contrasted(polarity, self._main(polarity))
        phrases = [[(word, 0, 1) for word in self.pick(SHORTCUTS)]] if shortcut else []
        if self.chance(0.35 if shortcut else 0.7):
            phrases.insert(int(self.chance(0.5)), _plain(self.pick(_FILLERS)))
        for phrase in phrases:
            words = [*phrase, (",", 0, 0), *words] if self.chance(0.5) else [*words, (",", 0, 0), *phrase]
        words.append((".", 0, 0))
        if len(words) < MIN_WORDS or self.chance(0.3):
            note = [*_plain(self.pick(_NOTES)), (".", 0, 0)]
            words = [*note, *words] if self.chance(0.5) else [*words, *note]
        return words

    def _units(self, polarity: int) -> list[tuple[int, int]]:
        """The (polarity, strength) of the main clause's sentiments. Their sum has the sign of the class."""
        while True:
            count = 1 + int(self.chance(0.6)) + int(self.chance(0.25))
            signs = [polarity if self.chance(AGREEING) else -polarity for _ in range(count)]
            units = [(sign, self.strength()) for sign in signs]
            if polarity * sum(sign * strength for sign, strength in units) > 0:
                return units

    def _main(self, polarity: int) -> list[_Word]:
        """One clause per sentiment, joined by "and" if two agree, else by "but"."""
        words: list[_Word] = []
        before = 0
        for sign, strength in self._units(polarity):
            if before:
                words += _plain((",", "and") if sign == before else (",", "but"))
            words += self._clause(sign, strength, mark=int(sign == polarity))
            before = sign
        return words

    def _clause(self, sign: int, strength: int, mark: int) -> list[_Word]:
        """A clause of one sentiment, stated directly or as the negation of its opposite. mark: its words' rationale."""
        subject = _plain(self.pick(_SUBJECTS))
        if self.chance(NEGATED):
            word = (self.sentiment(-sign, strength), mark, 0)
            return self._negated(subject, word, mark)
        word = (self.sentiment(sign, strength), mark, 0)
        degree = _plain((self.pick(_DEGREES),)) if self.chance(0.5) else []
        shape = int(self.draw() * 4)
        if shape == 0:
            return [*subject, ("is", 0, 0), *degree, word]
        if shape == 1:
            return [*subject, *_plain(("is",)), *_article([word, (self.pick(_KINDS), 0, 0)])]
        if shape == 2:
            return [*subject, *_plain(("has", "some")), *degree, word, (self.pick(_NOUNS), 0, 0)]
        return [*_plain(("its", self.pick(_NOUNS), self.pick(("remain", "feel", "look")))), *degree, word]

    def _negated(self, subject: list[_Word], word: _Word, mark: int) -> list[_Word]:
        shape = int(self.draw() * 4)
        if shape == 0:
            return [*subject, ("is", 0, 0), (self.pick(("never", "not", "hardly")), mark, 0), word]
        if shape == 1:
            return [*subject, *_plain(("is", "by")), ("no", mark, 0), *_plain(("means",)), word]
        if shape == 2:
            return [*subject, ("has", 0, 0), ("not", mark, 0), *_plain(("a", "single")), word,
                    (self.pick(_SINGLE), 0, 0)]  # fmt: skip
        return [*subject, ("is", 0, 0), ("never", mark, 0), *_article([word, (self.pick(_KINDS), 0, 0)])]

    def _contrasted(self, polarity: int, main: list[_Word]) -> list[_Word]:
        """The main clause, often with a clause of the opposite polarity that does not count."""
        if not self.chance(CONTRASTED):
            return main
        comma = [(",", 0, 0)]
        if self.chance(0.5):
            lead = _plain(self.pick((("despite", "its"), ("for", "all", "its"), ("beyond", "its"))))
            words = [self.sentiment(-polarity, self.strength()) for _ in range(1 + self.chance(0.4))]
            side = [*lead, *_plain((" and ".join(words)).split()), (self.pick(_NOUNS), 0, 0)]
        else:
            lead = _plain((self.pick(("although", "while", "though")),))
            side = [*lead, *self._clause(-polarity, self.strength(), mark=0)]
        return [*side, *comma, *main] if self.chance(0.6) else [*main, *comma, *side]


def generate(seed: int = 0, sizes: Sequence[int] = (8530, 1066, 1066)) -> dict[str, list[PlantedRow]]:
    """The rows of train, validation and test. The same seed and sizes give the same rows.

    Raises ValueError unless sizes are three numbers of at least 1 and the seed is not negative.
    """
    if len(sizes) != len(SPLITS) or min(sizes) < 1:
        raise ValueError(f"sizes must be three numbers >= 1 (train, validation, test), got {tuple(sizes)}")
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    return {
        name: _rows(name, size, np.random.default_rng([seed, index]))
        for index, (name, size) in enumerate(zip(SPLITS, sizes, strict=True))
    }


def _rows(split: str, size: int, rng: np.random.Generator) -> list[PlantedRow]:
    writer = _Writer(rng)
    rows: list[PlantedRow] = []
    for _ in range(size):
        positive = writer.chance(0.5)
        label = int(positive != writer.chance(FLIPPED_SHARE[split]))
        words = writer.text(positive, shortcut=writer.chance(SHORTCUT_SHARE[split][label]))
        rows.append(
            {
                "text": " ".join(word for word, _, _ in words),
                "label": label,
                "rationale": [mark for _, mark, _ in words],
                "shortcut": [mark for _, _, mark in words],
            }
        )
    return rows
