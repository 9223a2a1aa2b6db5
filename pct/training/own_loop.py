"""The training methods for a classifier of the transformers library, in a loop that is not ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pct.classifier import wrap_in_place
from pct.methods.base import Batch, Step, make_method
from pct.text.words import split_all
from pct.training.batches import mask_id
from pct.training.trainer import make_batch


class MethodLoss:
    """The loss of a training method for a plain transformers model, whose own weights it trains.

        loss = MethodLoss(model, tokenizer, method="pct", alpha=0.3)
        for texts, labels in batches:
            loss(loss.collate(texts, labels)).backward()

    Args:
        model: an `AutoModelForSequenceClassification`; it is put into training mode.
        tokenizer: its fast tokenizer.
        settings: of the method (see `Settings`); alpha and temperature are the paper's for the model's name unless
            given, `max_length` is 64.

    Raises:
        ValueError: what `pct.wrap` refuses, or a setting that is out of its range.
    """

    def __init__(self, model: Any, tokenizer: Any, **settings: Any) -> None:
        self.classifier = wrap_in_place(model, tokenizer, **{"method": "pct", "max_length": 64, **settings})
        self.method = make_method(self.classifier.settings)
        self.steps = 0
        self.classifier.model.train()

    def collate(self, texts: Sequence[str], labels: Sequence[int]) -> Batch:
        """Texts and the indices of their classes as a padded batch, on the model's device."""
        tokens = self.classifier.tokens(split_all(texts, self.classifier.settings.words))
        gold, rows = np.asarray(labels, np.int64), np.arange(len(texts))
        return make_batch(tokens, gold, rows, self.classifier.model.device, mask_id(self.classifier.tokenizer))

    def step(self, batch: Batch) -> Step:
        """The loss of a batch, and its parts by name; `contrast_every` counts the calls."""
        number, self.steps = self.steps, self.steps + 1
        return self.method(self.classifier.model, batch._replace(number=number))

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a batch: a scalar to call backward on."""
        return self.step(batch).loss

    def collate_rows(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Rows with `text` and `label` as inputs of the model and of `compute_loss`: a collator for a `Trainer`."""
        batch = self.collate([row["text"] for row in rows], [row["label"] for row in rows])
        own = {"input_ids": batch.ids, "attention_mask": (batch.word_ids > -2).long(), "labels": batch.labels}
        return own | {"batch": batch._asdict()}
