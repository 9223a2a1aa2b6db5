"""The training methods in `transformers.Trainer`."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from pct.methods.base import Batch
from pct.training.own_loop import MethodLoss

# arguments that change the loss or the model, and that only the library's own loss follows
PLAIN_LOSS_ONLY = ("label_smoothing_factor", "neftune_noise_alpha", "use_liger_kernel", "fp16", "deepspeed", "fsdp")


class MethodTrainer(Trainer):  # type: ignore[misc]  # the library has no types
    """A `transformers.Trainer` that descends a training method's loss; all else is the library's.

    With `method="normal"` the loss is the library's too, whatever the arguments. The loss of an accumulated update is
    the mean over all of its texts, for every model and method: as if they were one batch.

    Args:
        model: an `AutoModelForSequenceClassification`.
        args: the library's; they are not changed. Columns are kept, since the loss reads `text` and `label`.
        tokenizer: the model's fast tokenizer.
        settings: of the method, as `MethodLoss` takes them.
        rest: what `Trainer` takes; the data sets have rows with `text` and `label`.

    Raises:
        ValueError: an argument that another method than `normal` does not follow, by its name.
    """

    def __init__(
        self, model: Any, args: TrainingArguments, tokenizer: Any, settings: dict[str, Any], **rest: Any
    ) -> None:
        for name in ("data_collator", "processing_class"):
            if name in rest:
                raise ValueError(f"{name} is the method's own here, made of the tokenizer: leave it out")
        self.method_loss = MethodLoss(model, tokenizer, **settings)
        self._plain = self.method_loss.classifier.settings.method == "normal"
        if not self._plain:
            _check_arguments(args, rest, self.method_loss.classifier.settings.method)
        args = copy.copy(args)
        args.remove_unused_columns = False
        for name in ("train_dataset", "eval_dataset"):
            rest[name] = self._with_lengths(rest.get(name), args)
        super().__init__(model, args, data_collator=self.method_loss.collate_rows, processing_class=tokenizer, **rest)
        self.model_accepts_loss_kwargs = True  # for the count of an update's texts, see `compute_loss`

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The method's loss in training, as its share of the update's; the model's own when it is evaluated.

        Args:
            model: as it is trained, wrapped for several devices or not.
            inputs: from `MethodLoss.collate_rows`.
            return_outputs: whether the model's outputs are wanted too.
            num_items_in_batch: the labels of the whole update, which may be several batches on several devices.

        Returns:
            The loss, or the loss and the outputs.
        """
        inputs = dict(inputs)
        batch = inputs.pop("batch")
        if self.compute_loss_func is not None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        share = self._share(len(inputs["labels"]), num_items_in_batch)
        if model.training and not return_outputs and not self._plain:
            with self.accelerator.autocast():
                return self.method_loss(Batch(**batch)) * share
        # without the count, the library gives the batch's mean, which not every model divides by it
        found = super().compute_loss(model, inputs, return_outputs)
        return (found[0] * share, found[1]) if return_outputs else found * share

    def _share(self, texts: int, in_update: Any) -> float:
        """What a batch's mean weighs in that of an update, times the devices that the gradient is averaged over."""
        if in_update is None:
            return 1.0
        total = float(in_update.flatten()[0]) if isinstance(in_update, Tensor) else float(in_update)
        if self.args.n_gpu > 1 and not self.args.average_tokens_across_devices:
            total *= self.args.n_gpu
        devices = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        return texts * devices / total

    def _with_lengths(self, rows: Any, args: TrainingArguments) -> Any:
        """Rows with the tokens that the library groups by length, where it groups and they have none."""
        grouped = getattr(args, "group_by_length", False) or getattr(args, "train_sampling_strategy", "random") in (
            "group_by_length", "batch_rebalance",
        )  # fmt: skip
        if isinstance(rows, dict):
            return {name: self._with_lengths(part, args) for name, part in rows.items()}
        columns = getattr(rows, "column_names", None) or ()
        if not grouped or not hasattr(rows, "__len__") or args.length_column_name in columns:
            return rows
        return _Tokenized(rows, self.method_loss)


class _Tokenized(Dataset):  # type: ignore[type-arg]
    """Rows with their token ids beside them."""

    def __init__(self, rows: Any, loss: MethodLoss) -> None:
        self.rows, self.loss = rows, loss

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        row = dict(self.rows[place])
        return row | {"input_ids": self.loss.inputs([row["text"]])["input_ids"][0].tolist()}


def _check_arguments(args: TrainingArguments, rest: dict[str, Any], method: str) -> None:
    """Raises ValueError for an argument that changes the loss of normal training and would not change this one."""
    for name in PLAIN_LOSS_ONLY:
        if value := getattr(args, name, None):
            remedy = "take bf16, or float32" if name == "fp16" else "leave it out"
            raise ValueError(f"TrainingArguments({name}={value!r}) is for method normal, not for {method}: {remedy}")
    if rest.get("compute_loss_func") is not None:
        raise ValueError(f"compute_loss_func would replace the loss of method {method}: leave it out")
    if args.world_size > 1:
        raise ValueError(
            f"{args.world_size} processes would train apart under method {method}, whose loss does not pass the "
            "wrapped model: train on one device, or with method normal"
        )
    reentrant = (args.gradient_checkpointing_kwargs or {}).get("use_reentrant", False)
    if args.gradient_checkpointing and reentrant:
        raise ValueError(
            "gradient_checkpointing_kwargs with use_reentrant=True allows no gradient at the words, which method "
            f"{method} needs: set it to False"
        )
