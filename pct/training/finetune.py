"""An existing classifier, trained further on its user's texts, and held against itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pct.classifier import Classifier
from pct.corpora.loading import Corpus, with_corpus
from pct.corpora.splits import notes_in_words
from pct.metrics.change import CONTROLS, Change, compare_reports
from pct.metrics.evaluation import evaluate
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import Report
from pct.saliency import GRADIENT_NORM
from pct.settings import Settings
from pct.training.model_card import save_finetuned
from pct.training.trainer import train

METRICS = (*CORE_METRICS, "macro_f1", *CONTROLS)


@dataclass(frozen=True)
class Finetuned:
    """A classifier that was trained further.

    Attributes:
        classifier: after the training.
        change: from the one that was given, on the texts held out; `change.improved` says whether it may be called
            better, `change.reasons_against` why not.
        data: by split, what was skipped, held out, taken for an index or left out by a limit as the rows were read.
    """

    classifier: Classifier
    change: Change
    data: dict[str, dict[str, Any]] = field(default_factory=dict)

    def table(self) -> str:
        """The change for a terminal, and what reading the rows left out."""
        left_out = [f"{split}: {said}" for split, notes in self.data.items() for said in notes_in_words(notes)]
        return "\n".join([self.change.table(), *left_out])

    def to_dict(self) -> dict[str, Any]:
        """The change and `data`, in plain JSON types."""
        return {**self.change.to_dict(), "data": self.data}

    def save(self, folder: str | Path) -> Path:
        """Writes the classifier with a model card that holds the change: a folder that transformers loads.

        Args:
            folder: appears whole or not at all. A textcnn or lstm, which transformers does not know, is written as
                `Classifier.save` does.

        Returns:
            The folder.

        Raises:
            FileExistsError: the folder holds something else.
        """
        return save_finetuned(self.classifier, folder, self.change)


def finetune(
    classifier: Classifier,
    data: Any = None,
    run_dir: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> Finetuned:
    """Goes on training a classifier, its own head included, and measures both on the test split.

    Args:
        classifier: saved or wrapped; it is left as it is.
        data: the user's texts: what `train` takes, or its splits by name, as {"train": rows, "test": rows}; a tenth of
            the training rows is held out for one that is missing. None takes what the settings name. The classes are
            the classifier's, in any order.
        run_dir: where settings, history and checkpoints are kept, as by `train`; None keeps nothing.
        progress: whether to show a bar.
        settings: of the training (see `Settings`): `method="pct"`, `epochs`, `lr`, .. The model and its words stay.

    Returns:
        The classifier trained further, and what changed; `change.improved` says whether it may be called better.

    Raises:
        ValueError: the texts have other classes, or a setting does not fit the model.
    """
    chosen, corpus = with_corpus(finetune_settings(classifier, **settings), data)
    start = Classifier(classifier.model, classifier.tokenizer, classifier.classes, chosen)
    fitting = in_order_of(classifier.classes, corpus)

    def measured(one: Classifier) -> Report:
        how = {**chosen.how_measured, "saliency": settings.get("saliency", classifier.settings.saliency)}
        return evaluate(one, fitting.splits["test"], **how, progress=progress, metrics=METRICS)

    before = measured(start)
    after = train(chosen, fitting, run_dir, progress=progress, start=start)
    return Finetuned(after, compare_reports(before, measured(after), chosen.seed), corpus.notes)


def finetune_settings(classifier: Classifier, **settings: Any) -> Settings:
    """The settings of a training that goes on from a classifier: the given ones, and what is the model's own.

    Raises ValueError as `Settings.from_dict`.
    """
    own = classifier.settings
    kept: dict[str, Any] = {
        k: getattr(own, k) for k in ("model", "words", "explain_by", "saliency_of", "integrated_steps", "order")
    }
    # a classifier that was never trained here is shown by another saliency than training ranks words by
    kept["saliency"] = own.saliency if own.corpus or own.explain_by else GRADIENT_NORM
    # a file of texts is no corpus to come back to where none was given
    corpus = "" if own.corpus == "files" else own.corpus
    kept |= {"corpus": corpus, "max_length": min(own.max_length, Settings.max_length)}
    # both models are measured whole, before and after; epochs only where the best is chosen by what that gives
    kept["evaluate_epochs"] = "-" in settings.get("best_by", Settings.best_by)
    return Settings.from_dict({**kept, **settings})


def in_order_of(classes: Sequence[str], corpus: Corpus) -> Corpus:
    """The corpus with its labels as indices of these classes; names are compared without their case.

    Raises ValueError where the corpus has other classes.
    """
    place = {name.casefold(): i for i, name in enumerate(classes)}
    unknown = [name for name in corpus.classes if name.casefold() not in place]
    if unknown:
        raise ValueError(
            f"the texts have the class {unknown[0]!r}, the model has {', '.join(classes)}: name the labels as it does"
        )
    index = np.array([place[name.casefold()] for name in corpus.classes], np.int64)
    splits = {name: replace(split, labels=index[split.labels]) for name, split in corpus.splits.items()}
    return replace(corpus, splits=splits, classes=list(classes))
