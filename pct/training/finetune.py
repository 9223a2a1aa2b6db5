"""Finetunes an existing classifier on a user's texts, and compares it with the original."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pct.classifier import Classifier
from pct.corpora.loading import with_corpus
from pct.corpora.splits import align_classes, notes_in_words
from pct.metrics.change import Change, compare_reports
from pct.metrics.diff import compared_metrics
from pct.metrics.evaluation import evaluate
from pct.metrics.report import Report
from pct.models.structural_copy import structural_copy
from pct.saliency import GRADIENT_NORM
from pct.settings import OF_FURTHER_TRAINING, Settings
from pct.text.subwords import SubWords
from pct.training.model_card import save_finetuned
from pct.training.trainer import train

# the settings that a fine-tuned classifier takes from the original
KEPT = (
    "model", "words", "max_length", "windows", "head", "multi_label", "label_separator", "threshold", "explain_by",
    "saliency_of", "integrated_steps", "integrated_baseline", "order", "removal", "remove", "p_important",
    "p_unimportant", "measure_important", "measure_unimportant",
)  # fmt: skip


@dataclass(frozen=True)
class Finetuned:
    """A fine-tuned classifier.

    Attributes:
        classifier: the fine-tuned classifier.
        change: the comparison with the original on the test split. `change.improved` is whether it is better,
            `change.reasons_against` the reasons if it is not.
        data: by split, the numbers of rows that were skipped, held out or dropped by a limit, and of labels that were
            read as indices.
    """

    classifier: Classifier
    change: Change
    data: dict[str, dict[str, Any]] = field(default_factory=dict)

    def table(self) -> str:
        """The change for a terminal, with the notes on the rows that were read."""
        lines = [f"{split}: {line}" for split, notes in self.data.items() for line in notes_in_words(notes)]
        return "\n".join([self.change.table(), *lines])

    def to_dict(self) -> dict[str, Any]:
        """The change and `data` as JSON types."""
        return {**self.change.to_dict(), "data": self.data}

    def save(self, folder: str | Path) -> Path:
        """Writes the classifier, and a model card with the change, as a folder that transformers loads.

        Args:
            folder: written atomically. A textcnn or lstm has no class in transformers; it is written as by
                `Classifier.save`.

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
    """Trains a classifier further, with its own head, and measures both on the test split.

    Args:
        classifier: saved or wrapped; it is not changed.
        data: the user's texts: what `train` accepts, or its splits by name, as {"train": rows, "test": rows}. A tenth
            of the training rows is held out for a missing split. If None, the corpus of the settings. The classes must
            be the classifier's, in any order.
        run_dir: the folder for settings, history and checkpoints, as in `train`; None writes nothing.
        progress: whether to show a bar.
        settings: of the training (see `Settings`), as `method`, `epochs` and `lr`; by default those of
            `finetune_settings`. The model and its word rule cannot be changed.

    Returns:
        The fine-tuned classifier and the change. `change.improved` is whether it is better.

    Raises:
        ValueError: the texts have other classes, or a setting does not fit the model.
        TypeError: what is no classifier that torch trains.
    """
    if not isinstance(classifier, Classifier):
        given = repr(classifier) if isinstance(classifier, str | Path) else f"a {type(classifier).__name__}"
        raise TypeError(f"{given} cannot be trained: give pct.load(..) or pct.wrap(..)")
    chosen, corpus = with_corpus(finetune_settings(classifier, **settings), data)
    start = Classifier(structural_copy(classifier.model), classifier.tokenizer, classifier.classes, chosen)
    aligned = align_classes(classifier.classes, corpus, chosen.labels)

    def measure(one: Classifier) -> Report:
        how = {**chosen.evaluation_options, "saliency": settings.get("saliency", classifier.settings.saliency)}
        return evaluate(one, aligned.splits["test"], **how, progress=progress, metrics=compared_metrics(one.task))

    before = measure(start)
    after = train(chosen, aligned, run_dir, progress=progress, start=start)
    return Finetuned(after, compare_reports(before, measure(after), chosen.seed), corpus.notes)


def finetune_settings(classifier: Classifier, **settings: Any) -> Settings:
    """The settings for fine-tuning a classifier: the given ones, and else the classifier's own.

    By default an encoder is trained for one epoch by `removal_margin`, at 5e-5 in batches of 32; another model by
    `pct`.

    Raises ValueError as `Settings.from_dict`.
    """
    own = classifier.settings
    values: dict[str, Any] = {name: getattr(own, name) for name in KEPT}
    # a classifier of transformers explains with another saliency than the one that ranks words in training
    values["saliency"] = own.saliency if own.corpus or own.explain_by else GRADIENT_NORM
    # the files of an earlier training are not reused
    values["corpus"] = "" if own.corpus == "files" else own.corpus
    # both models are measured before and after; epochs only if the best one is chosen by these metrics
    values["evaluate_epochs"] = "-" in settings.get("best_by", Settings.best_by)
    values |= OF_FURTHER_TRAINING if isinstance(classifier.tokenizer, SubWords) else {}
    return Settings.from_dict({**values, **settings})
