"""The training methods for a classifier of the transformers library, in a custom training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pct.classifier import Classifier, wrap_in_place
from pct.corpora.splits import Labels
from pct.explaining.predictor import check_classes, removing, rows_as_tokens
from pct.methods.base import Batch, MethodWithWeights, Step, make_method
from pct.models.token_types import inputs_of_ids
from pct.saliency import choose_saliency
from pct.text.replacement_token import mask_token_id
from pct.text.words import is_pair, split_all
from pct.training.batches import make_batch
from pct.training.step_memory import fitting_tokens


def _cell(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise ValueError(f"a row has no {column!r}, only {', '.join(map(repr, row))}: rename its column to {column}")
    return row[column]


def text_of_row(row: Mapping[str, Any]) -> Any:
    """The text of a row, or the pair of texts of one with `text_pair`. Raises ValueError for a row without a text."""
    first, second = _cell(row, "text"), row.get("text_pair")
    return first if second is None else (first, second)


class MethodLoss:
    """The loss of a training method for a transformers model. Its weights are trained in place.

        loss = MethodLoss(model, tokenizer, method="pct", alpha=0.3)
        for texts, labels in batches:
            loss(loss.collate(texts, labels)).backward()

    Args:
        model: an `AutoModelForSequenceClassification`; it is set to training mode.
        tokenizer: its fast tokenizer.
        settings: of the method (see `Settings`). By default, alpha and temperature are the paper's for the model, and
            `max_length` is 64. Where `step_tokens` is 0, it is measured on the longest text of the first batch.
            Settings of the training loop (epochs, lr, ...) have no effect.

    Attributes:
        steps: the number of batches so far, which `contrast_every` counts. Set it to continue an interrupted training.

    Raises:
        ValueError: as `pct.wrap`, a setting is out of its range, or only `pct.train` supports it.
    """

    def __init__(self, model: Any, tokenizer: Any, **settings: Any) -> None:
        if settings.get("class_weights", "none") != "none":
            raise ValueError(
                f"class_weights={settings['class_weights']!r} needs the labels of all texts, which only pct.train has: "
                "leave it out"
            )
        self.classifier = wrap_in_place(model, tokenizer, **{"method": "pct", "max_length": 64, **settings})
        chosen = self.classifier.settings
        choose_saliency(self.classifier)  # before the training, it raises an error if the model does not have it
        self.method = make_method(chosen)
        if isinstance(self.method, MethodWithWeights):
            raise ValueError(f"method {chosen.method} adds weights to the model, which only pct.train removes: use it")
        self.steps = 0
        self._measured = bool(chosen.step_tokens)
        self.classifier.model.train()

    def collate(self, texts: Sequence[Any], labels: Sequence[int]) -> Batch:
        """Texts (or pairs, as tuples of two) and the indices of their classes as a padded batch, on the CPU.

        So the processes of a data loader can make batches, and it can pin them: the loss moves a batch to the model's
        device. Of several labels, those of a text are a row with 0 or 1 for each; of a number, they are numbers.

        Raises:
            ValueError: the labels are not those of the model, one or one row for each text.
        """
        tokens = removing(self.classifier).tokens(split_all(texts, self.classifier.settings.words))
        gold, rows = _checked_labels(labels, len(texts), self.classifier), np.arange(len(texts))
        return make_batch(tokens, gold, rows, torch.device("cpu"), mask_token_id(self.classifier.tokenizer))

    def inputs(self, texts: Sequence[Any]) -> dict[str, Tensor]:
        """The inputs of the model for texts, by its tokenizer, padded on the tokenizer's side.

        With `windows` they have the tokens of all windows, more than the model reads at once.
        """
        tokenizer: Any = self.classifier.tokenizer.tokenizer  # type: ignore[attr-defined]
        length = self.classifier.settings.text_length
        columns = zip(*texts, strict=True) if all(map(is_pair, texts)) else [texts]
        return dict(
            tokenizer(*map(list, columns), truncation=True, max_length=length, padding=True, return_tensors="pt")
        )

    def autocast(self) -> AbstractContextManager[None]:
        """The arithmetic of the setting `precision`: bf16, or whatever the training loop has set."""
        bf16 = self.classifier.settings.precision == "bf16"
        return torch.autocast(self.classifier.model.device.type, torch.bfloat16) if bf16 else nullcontext()

    def step(self, batch: Batch) -> Step:
        """The loss of a batch, and its parts by name; `contrast_every` counts the calls."""
        model, settings = self.classifier.model, self.classifier.settings
        if not self._measured:  # not earlier: the loop may move the model after its creation
            tokens = rows_as_tokens(batch.ids.cpu().numpy(), batch.word_ids.cpu().numpy(), batch.padding)
            self.method = make_method(settings.replace(step_tokens=fitting_tokens(model, tokens)))
            self._measured = True
        batch, self.steps = batch.to(model.device)._replace(number=self.steps), self.steps + 1
        with self.autocast():
            return self.method(model, batch)

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a batch: a scalar to call backward on."""
        return self.step(batch).loss

    def collate_rows(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The inputs of the model and of `compute_loss` for rows with `text` and `label`, of pairs also `text_pair`: a
        collator for `Trainer`. Raises ValueError for a row without one of the two."""
        texts, labels = [text_of_row(row) for row in rows], [_cell(row, "label") for row in rows]
        batch = self.collate(texts, labels)
        if self.classifier.tokenizer.tokenizer.pad_token is None:  # type: ignore[attr-defined]
            own = inputs_of_ids(batch.ids, self.classifier.model.reads_types)
            own["attention_mask"] = (batch.word_ids > -2).long()
        else:
            own = self.inputs(texts)
        task = self.classifier.task  # the library's losses of several labels and of numbers take floats
        gold = batch.labels.float() if task.several or task.number else batch.labels
        return own | {"labels": gold, "batch": batch._asdict()}


def _checked_labels(labels: Any, texts: int, classifier: Classifier) -> Labels:
    """The labels of texts as an array, as `Batch.labels` has them. Raises ValueError unless they are the model's."""
    task, classes = classifier.task, len(classifier.classes)
    if not (task.several or task.number):
        return check_classes(labels, texts, classes)
    shape, each = ((texts,), "a number") if task.number else ((texts, classes), f"{classes} times 0 or 1")
    try:
        gold = np.asarray(labels, np.float64)
    except (TypeError, ValueError):
        gold = np.empty(0)
    if gold.shape != shape or not (np.isfinite(gold) if task.number else np.isin(gold, (0, 1))).all():
        raise ValueError(f"the labels of {texts} texts must be {each} for each, got {labels!r:.80}")
    return gold if task.number else gold.astype(np.int64)
