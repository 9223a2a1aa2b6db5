"""The training methods in `transformers.Trainer`."""

from __future__ import annotations

from typing import Any

from transformers import Trainer, TrainingArguments

from pct.methods.base import Batch
from pct.training.own_loop import MethodLoss


class MethodTrainer(Trainer):  # type: ignore[misc]  # the library has no types
    """A `transformers.Trainer` that descends a training method's loss; all else is the library's.

    Args:
        model: an `AutoModelForSequenceClassification`.
        args: the library's; columns are kept, since the loss reads `text` and `label`.
        tokenizer: the model's fast tokenizer.
        settings: of the method, as `MethodLoss` takes them.
        rest: what `Trainer` takes; the data sets have rows with `text` and `label`.
    """

    def __init__(
        self, model: Any, args: TrainingArguments, tokenizer: Any, settings: dict[str, Any], **rest: Any
    ) -> None:
        self.method_loss = MethodLoss(model, tokenizer, **settings)
        args.remove_unused_columns = False
        super().__init__(model, args, data_collator=self.method_loss.collate_rows, processing_class=tokenizer, **rest)

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **rest: Any) -> Any:
        """The method's loss in training; the model's own when it is evaluated."""
        batch = inputs.pop("batch")
        if model.training and not return_outputs:
            return self.method_loss(Batch(**batch))
        return super().compute_loss(model, inputs, return_outputs, **rest)
