"""The training methods in `transformers.Trainer`."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput

from pct.methods.base import Batch, supervised_loss
from pct.models.heads import at_least_float32
from pct.models.outputs import PROBLEM_TYPES
from pct.settings import Settings
from pct.tasks import Task
from pct.training.own_loop import MethodLoss, text_of_row

# arguments that change the loss or the model, and that only the library's own loss supports
PLAIN_LOSS_ONLY = ("label_smoothing_factor", "neftune_noise_alpha", "use_liger_kernel", "fp16", "deepspeed", "fsdp")


class MethodTrainer(Trainer):  # type: ignore[misc]  # the library has no types
    """A `transformers.Trainer` that minimises the loss of a training method.

    With `method="normal"` the loss is the library's. Under another method, or with `windows`, the loss of an evaluation
    is the supervised one of the outputs: cross-entropy, binary for several labels and one score, the squared error of a
    number. Training, evaluation and prediction read a text in the same windows.

    With gradient accumulation, the loss of an update is the mean over all of its texts, as for one large batch.
    `contrast_every` counts `gradient_accumulation_steps` batches for each earlier update, so a run that goes on from a
    checkpoint has the method's loss in the same batches as an uninterrupted one.

    Args:
        model: an `AutoModelForSequenceClassification`.
        args: the library's; they are not changed. Unused columns are kept, since the loss reads `text` and `label`.
        tokenizer: the model's fast tokenizer.
        settings: of the method, see `MethodLoss`.
        rest: further arguments of `Trainer`. The data sets have rows with `text` and `label`: the index of a class, of
            several labels 0 or 1 for each, or a number.

    Raises:
        ValueError: an argument that only the library's loss supports, or with this loss a model whose own one is of
            another kind than its outputs.
    """

    def __init__(
        self, model: Any, args: TrainingArguments, tokenizer: Any, settings: dict[str, Any], **rest: Any
    ) -> None:
        for name in ("data_collator", "processing_class"):
            if name in rest:
                raise ValueError(f"{name} is set by the trainer, from the tokenizer: leave it out")
        self.method_loss = MethodLoss(model, tokenizer, **settings)
        chosen = self.method_loss.classifier.settings
        self._plain = chosen.method == "normal" and not chosen.windows
        if self._plain:
            _check_own_loss(model, self.method_loss.classifier.task)
        else:
            _check_arguments(args, rest, chosen)
        args = copy.copy(args)
        args.remove_unused_columns = False
        for name in ("train_dataset", "eval_dataset"):
            rest[name] = self._with_lengths(rest.get(name), args)
        super().__init__(model, args, data_collator=self.method_loss.collate_rows, processing_class=tokenizer, **rest)
        self.model_accepts_loss_kwargs = True  # for the count of an update's texts, see `compute_loss`
        self.add_callback(_Numbers(self.method_loss))

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The method's loss in training, scaled to its share of the update; the supervised loss in evaluation.

        Args:
            model: the model, possibly wrapped for several devices.
            inputs: from `MethodLoss.collate_rows`.
            return_outputs: whether to return the model's outputs too.
            num_items_in_batch: the number of labels of the whole update: of all batches and devices.

        Returns:
            The loss, or the loss and the outputs.
        """
        inputs = dict(inputs)
        batch = Batch(**inputs.pop("batch"))
        with self.method_loss.autocast():
            if self.compute_loss_func is not None:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            share = self._share(inputs["labels"].numel(), num_items_in_batch)
            if self._plain:
                # without num_items_in_batch, the loss is the batch's mean: not every model divides by that number
                loss, outputs = super().compute_loss(model, inputs, return_outputs=True)
            elif model.training and not return_outputs:
                with self.accelerator.autocast():
                    return self.method_loss(batch) * share
            else:  # the library would choose a loss by the configuration, which need not say what the outputs are
                del inputs["labels"]
                outputs = self._outputs(model, inputs, batch)
                own: Any = self.method_loss.classifier.model
                loss = supervised_loss(own.logits_of(outputs.logits), batch)
        return (loss * share, outputs) if return_outputs else loss * share

    def _outputs(self, model: Any, inputs: dict[str, Any], batch: Batch) -> Any:
        """The outputs of the model; of one that reads windows, its logits for whole texts."""
        own: Any = self.method_loss.classifier.model
        if own.text_windows is None:
            return model(**inputs)
        with self.accelerator.autocast():
            logits = at_least_float32(own(batch.ids, batch.word_ids > -2).logits)
        return SequenceClassifierOutput(logits=logits[:, -own.model.config.num_labels :])  # one score z has (0, z)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """The library's count of labels, with those that it would skip: a number may be -100."""
        counted = [{"labels": torch.zeros_like(inputs["labels"])} for inputs in batch_samples]
        return super()._get_num_items_in_batch(counted, device)

    def _share(self, labels: int, in_update: Any) -> float:
        """The weight of a batch's mean in the update's mean, times the number of devices that average gradients.

        labels, in_update: the numbers of labels of the batch and of the update; the same number for each text.
        """
        if in_update is None:
            return 1.0
        total = float(in_update.flatten()[0]) if isinstance(in_update, Tensor) else float(in_update)
        if self.args.n_gpu > 1 and not self.args.average_tokens_across_devices:
            total *= self.args.n_gpu
        devices = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        return labels * devices / total

    def _with_lengths(self, rows: Any, args: TrainingArguments) -> Any:
        """Rows with token ids, if the library groups texts by length and the rows have no lengths."""
        grouped = getattr(args, "group_by_length", False) or getattr(args, "train_sampling_strategy", "random") in (
            "group_by_length", "batch_rebalance",
        )  # fmt: skip
        if isinstance(rows, dict):
            return {name: self._with_lengths(part, args) for name, part in rows.items()}
        columns = getattr(rows, "column_names", None) or ()
        if not grouped or not hasattr(rows, "__len__") or args.length_column_name in columns:
            return rows
        return _Tokenized(rows, self.method_loss)


class _Numbers(TrainerCallback):  # type: ignore[misc]  # the library has no types
    """Numbers the batches of a run by its updates, which a checkpoint has, unlike the count of the loss."""

    def __init__(self, loss: MethodLoss) -> None:
        self.loss = loss

    def on_step_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        self.loss.steps = state.global_step * args.gradient_accumulation_steps


class _Tokenized(Dataset):  # type: ignore[type-arg]
    """Rows with their token ids added."""

    def __init__(self, rows: Any, loss: MethodLoss) -> None:
        self.rows, self.loss = rows, loss

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = dict(self.rows[index])
        return row | {"input_ids": self.loss.inputs([text_of_row(row)])["input_ids"][0].tolist()}


def _check_own_loss(model: Any, task: Task) -> None:
    """Raises ValueError if the library's own loss, which method normal takes, is of another kind than the outputs."""
    stated, wanted = model.config.problem_type, PROBLEM_TYPES[task.kind]
    if stated not in (None, wanted) or (model.config.num_labels == 1 and not task.number):
        raise ValueError(
            f"the loss of {type(model).__name__} is that of {stated or 'a regression'}, and its outputs are read as "
            f"those of {wanted}: correct problem_type in its configuration, or use MethodLoss"
        )


def _check_arguments(args: TrainingArguments, rest: dict[str, Any], settings: Settings) -> None:
    """Raises ValueError for an argument that would affect the library's own loss only."""
    normal = settings.method == "normal"
    method = f"normal with windows {settings.windows}" if normal else settings.method
    for name in PLAIN_LOSS_ONLY:
        if value := getattr(args, name, None):
            remedy = "use bf16 or float32" if name == "fp16" else "leave it out"
            raise ValueError(f"TrainingArguments({name}={value!r}) is for method normal, not for {method}: {remedy}")
    if rest.get("compute_loss_func") is not None:
        raise ValueError(f"compute_loss_func would replace the loss of method {method}: leave it out")
    if args.world_size > 1:
        raise ValueError(
            f"{args.world_size} processes would train separate models with method {method}, whose loss does not call "
            "the wrapped model: train on one device, or with method normal without windows"
        )
    reentrant = (args.gradient_checkpointing_kwargs or {}).get("use_reentrant", False)
    if args.gradient_checkpointing and reentrant and not normal:
        raise ValueError(
            "gradient_checkpointing_kwargs with use_reentrant=True allows no gradient at the words, which method "
            f"{method} needs: set use_reentrant to False"
        )
