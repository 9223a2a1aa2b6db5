"""Words of natural texts: how fast texts are split, how many words a model does not know, and whether pre-tokenised
texts get the same predictions as the same texts as typed. PCT_DATA_DIR is the folder of the corpora."""

import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.common import THREADS, Row
from pct.classifier import Classifier
from pct.corpora.loading import load_splits
from pct.corpora.splits import Corpus
from pct.settings import Settings
from pct.text.detokenize import detokenize
from pct.text.vocabulary import Vocabulary, normalized
from pct.text.words import split_all
from pct.training.prepared import prepare
from pct.training.trainer import train

CORPORA = ("mr", "ag_news", "imdb")
RULES = ("spaces", "natural")
CHOICES = {"kept": "words like any other", "left out": "unknown", "hidden": "unknown half of the time"}
SEEDS, EPOCHS = (0, 1, 2), 4


def main() -> Row:
    """Five tables."""
    return {
        "tables": {
            "Splitting texts of IMDB into natural words, on one core": [rate()],
            "MR's natural words that are also words between spaces, at the same positions": [equal_words()],
            "Words of the test split that a vocabulary of the training split lacks": unknown_words(),
            f"MR's test split as given and as typed, seeds {SEEDS}": [
                typed(rule, vectors) for vectors in dict.fromkeys(("", glove())) for rule in RULES
            ],
            f"Accuracy on MR by how the unknown entry is trained, seeds {SEEDS}": [
                new_words(choice, vectors) for vectors in dict.fromkeys(("", glove())) for choice in CHOICES
            ],
        }
    }


def rate() -> Row:
    """Texts and natural words per second."""
    texts = load_splits(Settings(corpus="imdb")).splits["test"].texts[:5000]
    start = time.process_time()
    words = sum(map(len, split_all(texts)))
    seconds = time.process_time() - start
    return {"texts": len(texts), "words": words, "texts/s": len(texts) / seconds, "words/s": words / seconds}


def equal_words() -> Row:
    """The share of MR's natural words that are also words between spaces, at the same positions."""
    texts = load_splits(Settings(corpus="mr")).splits["train"].texts
    both = zip(split_all(texts), split_all(texts, "spaces"), strict=True)
    equal = total = 0
    for natural, spaces in both:
        total += len(natural)
        equal += len(set(natural.spans) & set(spaces.spans))
    return {"corpus": "mr", "natural words": total, "equal": round(equal / total, 4)}


def unknown_words() -> list[Row]:
    """The share of the test split's words that a vocabulary of the training split lacks, as given and as typed."""
    rows = []
    for name in CORPORA:
        splits = load_splits(Settings(corpus=name)).splits
        for rule in RULES:
            vocabulary = Vocabulary.build(split_all(splits["train"].texts, rule), Settings().vocabulary_size)
            given, texts = splits["test"].texts, [detokenize(t) for t in splits["test"].texts]
            rows.append({"corpus": name, "words": rule, "as given": _unknown(vocabulary, given, rule),
                         "as typed": _unknown(vocabulary, texts, rule)})  # fmt: skip
    return rows


def _unknown(vocabulary: Vocabulary, texts: Sequence[str], rule: str) -> float:
    words = [w for document in split_all(texts, rule) for w in normalized(document)]
    return round(float(np.mean([w not in vocabulary.index for w in words])), 4)


def typed(rule: str, vectors: str) -> Row:
    """Accuracy on the texts as given and as typed, and the share of texts that get another class; means over seeds."""
    test = mr().splits["test"]
    other = [detokenize(text) for text in test.texts]
    each = []
    for seed in SEEDS:
        model = trained(rule, "hidden", vectors, seed)
        given, changed = (model.predict(texts).argmax(1) for texts in (test.texts, other))
        each.append([(given == test.labels).mean(), (changed == test.labels).mean(), (given != changed).mean()])
    names = ("accuracy as given", "accuracy as typed", "other class")
    return {
        "words": rule,
        "GloVe": "yes" if vectors else "no",
        **dict(zip(names, np.mean(each, 0).tolist(), strict=True)),
    }


def new_words(choice: str, vectors: str) -> Row:
    """Accuracy on all test texts, and on those with words that are not in the training split; means over seeds."""
    test = mr().splits["test"]
    seen = mr_vocabulary().index
    new = np.array([sum(w not in seen for w in normalized(words)) for words in split_all(test.texts)])
    groups = {"all texts": new >= 0, "one new word or more": new >= 1, "two or more": new >= 2}
    right = np.array(
        [trained("natural", choice, vectors, seed).predict(test.texts).argmax(1) == test.labels for seed in SEEDS]
    )
    row: Row = {"words seen once are": CHOICES[choice], "GloVe": "yes" if vectors else "no"}
    for name, group in groups.items():
        means = right[:, group].mean(1)
        row |= {f"{name} ({group.sum()})": float(means.mean()), f"sd, {name}": float(means.std(ddof=1))}
    return row


@cache
def trained(rule: str, choice: str, vectors: str, seed: int) -> Classifier:
    """A TextCNN trained on MR for a few epochs."""
    settings = Settings(
        corpus="mr", model="textcnn", method="normal", words=rule, glove=vectors, epochs=EPOCHS, seed=seed,
        evaluate_epochs=False, threads=THREADS,
    )  # fmt: skip
    vocabulary = mr_vocabulary(rule)
    words = {
        "kept": Vocabulary(vocabulary.words),
        "left out": Vocabulary(vocabulary.words[: vocabulary.first_rare - 2]),
        "hidden": vocabulary,
    }[choice]
    return train(settings, prepare(settings, mr(), words), progress=False)


@cache
def mr_vocabulary(rule: str = "natural") -> Vocabulary:
    """The vocabulary of MR's training split."""
    return Vocabulary.build(split_all(mr().splits["train"].texts, rule), Settings().vocabulary_size)


@cache
def mr() -> Corpus:
    """MR, from PCT_DATA_DIR."""
    return load_splits(Settings(corpus="mr"))


def glove() -> str:
    """The path of a file of GloVe vectors beside the corpora, or an empty string."""
    files = sorted(Path(os.environ.get("PCT_DATA_DIR", "")).glob("glove/glove*.txt*"))
    return str(files[0]) if files else ""
