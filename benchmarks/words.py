"""Words of texts as people type them: how fast they are found, how many a model does not know, and whether texts that
are spaced for machines get the same predictions as the same texts as typed. PCT_DATA_DIR names the corpora."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.corpora.loading import load_splits
from pct.settings import Settings
from pct.text.typed import as_typed
from pct.text.vocabulary import Vocabulary, looked_up
from pct.text.words import split_all
from pct.training.trainer import train

CORPORA = ("mr", "ag_news", "imdb")
RULES = ("spaces", "natural")


def main() -> dict[str, Any]:
    """The tables."""
    return {"rate": [rate()], "words": [equal_words()], "unknown": unknown_words(), "typed": typed()}


def rate() -> dict[str, Any]:
    """Natural words found in a second, on one core."""
    texts = load_splits(Settings(corpus="imdb")).splits["test"].texts[:5000]
    begun = time.perf_counter()
    words = sum(map(len, split_all(texts)))
    return {"texts": len(texts), "words": words, "words a second": round(words / (time.perf_counter() - begun))}


def equal_words() -> dict[str, Any]:
    """The share of MR's natural words that stand between spaces too, at the same places."""
    texts = load_splits(Settings(corpus="mr")).splits["train"].texts
    both = zip(split_all(texts), split_all(texts, "spaces"), strict=True)
    equal = total = 0
    for natural, spaces in both:
        total += len(natural)
        equal += len(set(natural.spans) & set(spaces.spans))
    return {"corpus": "mr", "natural words": total, "equal": round(equal / total, 4)}


def unknown_words() -> list[dict[str, Any]]:
    """The share of the test split's words that a vocabulary of the training split lacks, as given and as typed."""
    rows = []
    for name in CORPORA:
        splits = load_splits(Settings(corpus=name)).splits
        for rule in RULES:
            vocabulary = Vocabulary.build(split_all(splits["train"].texts, rule), Settings().vocabulary_size)
            given, texts = splits["test"].texts, [as_typed(t) for t in splits["test"].texts]
            rows.append({"corpus": name, "words": rule, "as given": _unknown(vocabulary, given, rule),
                         "as typed": _unknown(vocabulary, texts, rule)})  # fmt: skip
    return rows


def _unknown(vocabulary: Vocabulary, texts: Sequence[str], rule: str) -> float:
    words = [w for document in split_all(texts, rule) for w in looked_up(document)]
    return round(float(np.mean([w not in vocabulary.index for w in words])), 4)


def typed() -> list[dict[str, Any]]:
    """MR's test split as given and as typed: accuracy of each, and the share of texts that get another class."""
    corpus = load_splits(Settings(corpus="mr"))
    test, rows = corpus.splits["test"], []
    for rule in RULES:
        settings = Settings(corpus="mr", model="textcnn", method="normal", words=rule, epochs=4, evaluate_epochs=False)
        classifier = train(settings, corpus, progress=False)
        given, other = (
            classifier.predict(texts).argmax(1) for texts in (test.texts, [as_typed(t) for t in test.texts])
        )
        rows.append({
            "words": rule, "accuracy as given": round(float((given == test.labels).mean()), 4),
            "accuracy as typed": round(float((other == test.labels).mean()), 4),
            "other class": round(float((given != other).mean()), 4),
        })  # fmt: skip
    return rows
