"""Training: epochs, validation, early stopping, and checkpoints from which a run resumes with bit-equal results."""

from __future__ import annotations

import copy
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch._functorch.config as functorch_config
from torch import Tensor

from pct.auditing.kept import model_digest
from pct.classifier import Classifier, pick_device
from pct.corpora.loading import with_corpus
from pct.corpora.splits import Corpus, Split, with_limit
from pct.explaining.predictor import predict_tokens
from pct.layout import ADAPTER, CHECKPOINT, HISTORY, MODEL, Record
from pct.methods.base import Batch, Method, MethodWithWeights, make_method
from pct.metrics.evaluation import evaluate, prediction_scores
from pct.metrics.rationale import marks_of_words, padded_marks
from pct.models import TextModel
from pct.models.base import PASSES
from pct.models.build import model_for
from pct.models.transfer import to_device
from pct.output.numbers import number
from pct.saliency import choose_saliency
from pct.settings import MAX_SEED, Settings
from pct.tasks import task_of_settings
from pct.text.plurals import plural
from pct.text.replacement_token import mask_token_id
from pct.text.subwords import SubWords
from pct.text.tokens import Ints, Tokens
from pct.text.vocabulary import Vocabulary
from pct.text.words import split_all
from pct.training.batches import (
    batch_indices,
    class_weights,
    make_batch,
    with_masked_words,
    with_unknown,
)
from pct.training.checkpoint import (
    CheckpointWriter,
    EpochState,
    checkpoint_of,
    generator_states,
    load_checkpoint,
    open_run,
    restore_generators,
)
from pct.training.devices import DividedRows, is_first, of_first, world
from pct.training.kept_tokens import tokenizer_digest
from pct.training.memory import peak_mb
from pct.training.optimizers import READ_EVERY, FiniteSteps, make_optimizer, set_lr, train_step
from pct.training.prepared import Prepared, prepare
from pct.training.runs import best_epoch, epoch_line
from pct.training.step_memory import fitting_tokens
from pct.writing import write_text

if TYPE_CHECKING:
    from pct.models.adapters import LoraTraining


def train(
    settings: Settings,
    corpus: Any = None,
    run_dir: str | Path | None = None,
    on_epoch: Callable[[Record], None] | None = None,
    progress: bool = True,
    start: Classifier | None = None,
) -> Classifier:
    """Trains a classifier.

    Args:
        settings: of the training.
        corpus: a `Corpus`, a prepared one, or data in memory (a `datasets.Dataset` or DatasetDict, a DataFrame, (texts,
            labels), rows). If None, the corpus of the settings.
        run_dir: the folder for settings.json, history.jsonl, a checkpoint after each epoch and `checkpoint_minutes`,
            and the model. An interrupted run in it resumes from the last checkpoint, on a CPU with bit-equal weights,
            and one of fewer epochs is continued, if its learning rate did not depend on their number. None writes
            nothing. Of processes that train together (`torch.distributed`), the first one writes.
        on_epoch: called with the record of each epoch (loss parts, times, validation metrics).
        progress: whether to show a bar, and a line per epoch.
        start: a classifier to start from; it is not changed. The corpus must have its classes in its order (see
            `pct.corpora.splits.align_classes`).

    Returns:
        The classifier; with `restore_best` that of the best validation epoch.

    Raises:
        ValueError: run_dir holds a run with other settings, texts or starting weights, or the corpus was prepared for
            other settings or another tokenizer, or has other classes than `start`.
        FloatingPointError: a loss, a gradient, a weight or a probability is not finite; the message has the step.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if not isinstance(corpus, Prepared):
        settings, corpus = with_corpus(settings, corpus)
    whole: Corpus = corpus.corpus if isinstance(corpus, Prepared) else corpus
    check_task(settings, whole)
    folder = None if run_dir is None else Path(run_dir)
    if folder is not None and is_first():
        open_run(folder, settings, whole, "" if start is None else model_digest(start))
    progress = progress and is_first()
    data = (
        corpus if isinstance(corpus, Prepared) else prepare(settings, whole, None if start is None else start.tokenizer)
    )
    data.check(settings)
    if start is not None:
        _check_start(start, data)
    torch.manual_seed(settings.seed)
    model = model_for(settings, data.tokenizer, whole.classes) if start is None else copy.deepcopy(start.model)
    if settings.has_number and start is None and model.family != "wrapped":
        with torch.no_grad():  # a new head starts at the mean, from which few steps lead to any number
            model.dense.bias.fill_(whole.splits["train"].labels.mean())
    lora = None
    if settings.lora:
        from pct.models.adapters import LoraTraining

        lora = LoraTraining(model, settings.lora)
        model = lora.model
    classifier = Classifier(model.to(pick_device(settings.device)), data.tokenizer, whole.classes, settings)
    run = _Run(settings, classifier, data, folder, lora)
    run.resume()
    if progress and data.cut_texts:
        cut = f"{data.cut_texts} of {plural(len(data.train), 'training text')}"
        print(f"max_length {settings.text_length} truncates {cut}", file=sys.stderr)
    start_of_epoch = time.perf_counter()
    try:
        for record in run.epochs(progress):
            if progress:
                seconds = time.perf_counter() - start_of_epoch
                print(f"{epoch_line(record, settings.epochs)}, {seconds:.0f} s", file=sys.stderr, flush=True)
            if on_epoch is not None:
                on_epoch(record)
            start_of_epoch = time.perf_counter()
    finally:
        run.end()
    run.finish()
    return classifier


def _check_start(start: Classifier, data: Prepared) -> None:
    """Raises ValueError unless the data has the classes and the tokenizer of the classifier to start from."""
    if list(start.classes) != list(data.corpus.classes):
        raise ValueError(
            f"the training starts from a classifier with the classes {', '.join(start.classes)}, and corpus "
            f"{data.corpus.name} has {', '.join(data.corpus.classes)}: pct.finetune matches them by name"
        )
    if data.tokenizer is not start.tokenizer and tokenizer_digest(data.tokenizer) != tokenizer_digest(start.tokenizer):
        raise ValueError(
            "the corpus was prepared with another tokenizer than that of the classifier to start from: prepare it with "
            "prepare(settings, corpus, start.tokenizer)"
        )


def check_task(settings: Settings, corpus: Corpus) -> None:
    """Raises ValueError unless the labels of the corpus are those of the settings."""
    task = task_of_settings(settings)
    if corpus.task.labels_are != task.labels_are:
        raise ValueError(
            f"corpus {corpus.name} has {corpus.task.labels_are} for each text, the settings {task.labels_are}: set "
            "multi_label or head"
        )


class _Run:
    """One training run in progress."""

    def __init__(
        self, settings: Settings, classifier: Classifier, data: Prepared, folder: Path | None, lora: LoraTraining | None
    ) -> None:
        self.settings, self.classifier, self.tokens, self.folder = settings, classifier, data.train, folder
        self.lora = lora
        self.model: TextModel = classifier.model
        train = data.corpus.splits["train"]
        self.labels = train.labels
        self.validation: Split = data.corpus.splits["validation"]
        self.validation_tokens = data.validation
        choose_saliency(classifier)  # before the training, it raises an error if the model does not have it
        self.mask_id = mask_token_id(classifier.tokenizer)
        self.masked_tokens: Tokens | None = None  # the validation texts that best_by masked_acc reads
        if settings.best_by == "masked_acc":
            if self.mask_id is None:
                raise ValueError(
                    "best_by masked_acc masks words of the validation texts, and the model's tokenizer has neither a "
                    "mask token nor an unknown token: choose another"
                )
            self.masked_tokens = with_masked_words(self.validation_tokens, self.mask_id, settings.seed)
        self.rationale = None
        if train.rationale is not None:
            marks = marks_of_words(train.rationale, split_all(train.texts, settings.words), data.train)
            self.rationale = padded_marks(marks, (len(marks), int(np.asarray(data.train.counts).max()))) > 0
        self.class_weights = class_weights(settings, train.labels, len(classifier.classes), self.model.device)
        tokens = settings.step_tokens or of_first(fitting_tokens(self.model, data.train))
        self.method: Method = make_method(settings.replace(step_tokens=tokens * world()))
        if isinstance(self.method, MethodWithWeights):
            self.method.prepare(self.model, classifier.tokenizer)
        self.optimizer = make_optimizer(self.model, settings)
        self.history: list[Record] = []
        self.best: dict[str, Tensor] = {}
        self.unfinished: EpochState | None = None  # of the epoch in which the loaded checkpoint was written
        self.saved_at = time.perf_counter()
        self.writer = CheckpointWriter(folder / CHECKPOINT) if folder is not None and is_first() else None
        self.checkpoint_seconds = (60 * settings.checkpoint_minutes or math.inf) if self.writer else math.inf
        if settings.compile:
            # saliency and loss both backpropagate through the body: its buffers must survive the first backward pass
            functorch_config.donated_buffer = False
            # only the body is expensive; batches differ in length, so shapes are dynamic
            for name in PASSES:
                setattr(self.model, name, torch.compile(getattr(self.model, name), dynamic=True))
        self.divided = DividedRows(self.model)

    def epochs(self, progress: bool) -> Iterator[Record]:
        """Runs the remaining epochs."""
        s = self.settings
        while len(self.history) < s.epochs and not self._patience_is_over():
            epoch = len(self.history) + 1
            record: Record = {"epoch": epoch, **self._train_epoch(epoch, progress), **self._validate(epoch)}
            self.history.append(record)
            if s.restore_best and best_epoch(self.history, s.best_by) == epoch:
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            self._save()
            yield record

    def end(self) -> None:
        """Waits until the last checkpoint is written, also of a training that failed."""
        if self.writer is not None:
            self.writer.wait()

    def finish(self) -> None:
        """Restores the best epoch and writes the model."""
        if self.best:
            self.model.load_state_dict(self.best)
        self.divided.end()
        if self.settings.compile:
            for name in PASSES:
                delattr(self.model, name)  # restores the eager method
        if isinstance(self.method, MethodWithWeights):
            self.method.finish(self.model)
        self.model.eval()
        folder = self.folder if is_first() else None
        if self.lora is not None:
            if folder is not None:
                assert isinstance(self.classifier.tokenizer, SubWords)  # LoRA is for encoders
                self.lora.save(folder / ADAPTER, self.classifier.tokenizer)
            self.classifier.model = self.lora.merged().eval()
        if folder is not None:
            self.classifier.save(folder / MODEL)

    def _patience_is_over(self) -> bool:
        s = self.settings
        return (
            bool(s.patience and self.history) and len(self.history) - best_epoch(self.history, s.best_by) >= s.patience
        )

    def _train_epoch(self, epoch: int, progress: bool) -> Record:
        s = self.settings
        device = self.model.device
        # the dropout of an epoch does not depend on earlier ones
        torch.manual_seed((s.seed * 1_000_003 + epoch) % (MAX_SEED + 1))
        state, self.unfinished = self.unfinished or EpochState(), None
        restore_generators(state.generators, device)
        index = batch_indices(self.tokens.lengths, s.batch_size, s.seed, epoch)
        self.model.train()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        sums, steps = state.sums, state.counts  # some parts of the loss do not occur in every step
        finite = FiniteSteps(self.model)
        start = time.perf_counter() - state.seconds
        bar = _bar(index, state.step, f"epoch {epoch}/{s.epochs}", progress)
        for step, rows in enumerate(bar, state.step + 1):
            batch = self._batch(rows, step - 1)
            done = (epoch - 1) * len(index) + step - 1
            set_lr(self.optimizer, s, done, s.epochs * len(index))
            parts = train_step(self.model, self.method, self.optimizer, batch, s)
            is_last = step == len(index)
            save = not is_last and time.perf_counter() - self.saved_at >= self.checkpoint_seconds
            try:
                finite.check(step, parts, read=is_last or save)
            except FloatingPointError as problem:
                raise FloatingPointError(
                    f"{problem} of epoch {epoch}; lower lr ({s.lr}) or alpha, or set gradient_clip"
                ) from None
            for part, value in parts.items():
                name = "squared_error" if part == "cross_entropy" and s.has_number else part
                sums[name] = sums[name] + value if name in sums else value.clone()
                steps[name] += 1
            if progress and (step % READ_EVERY == 0 or is_last):
                bar.set_postfix({k: number(float(v) / steps[k]) for k, v in sums.items()})
            if save:
                state.step, state.seconds = step, time.perf_counter() - start
                state.generators = generator_states(device)
                self._save(state)
        seconds = time.perf_counter() - start
        return {
            **{f"train_{k}": float(v) / steps[k] for k, v in sums.items()},
            "step_seconds": seconds / len(index),
            "words_per_second": float(np.sum(self.tokens.counts)) / seconds,
            "memory_mb": torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else peak_mb(),
        }

    def _batch(self, rows: Ints, number: int) -> Batch:
        batch = make_batch(self.tokens, self.labels, rows, self.model.device, self.mask_id)
        if isinstance(self.classifier.tokenizer, Vocabulary):
            batch = batch._replace(ids=with_unknown(batch.ids, self.classifier.tokenizer))
        marks = None if self.rationale is None else to_device(self.rationale[rows], self.model.device)
        return batch._replace(number=number, class_weights=self.class_weights, rationale=marks)

    def _validate(self, epoch: int) -> Record:
        s, split = self.settings, self.validation
        self.model.eval()
        start = time.perf_counter()
        probabilities = predict_tokens(self.classifier, self.validation_tokens)
        if not np.isfinite(probabilities).all():
            raise FloatingPointError(
                f"the probabilities are not finite after epoch {epoch}; lower lr ({s.lr}) or alpha"
            )
        task = self.classifier.task
        scores = prediction_scores(task, split.labels, probabilities)
        record = {f"validation_{name}": value for name, value in scores.items()}
        if self.masked_tokens is not None:
            masked = predict_tokens(self.classifier, self.masked_tokens)
            masked_acc = prediction_scores(task, split.labels, masked)["acc"]
            record["validation_masked_acc"] = (record["validation_acc"] + masked_acc) / 2
        if s.evaluate_epochs:
            some = with_limit(split, s.evaluate_limit, s.seed)
            report = evaluate(self.classifier, some, **s.evaluation_options)
            record |= {f"validation_{k}": v for k, v in report.metrics.items() if k not in scores}
        record["validation_seconds"] = time.perf_counter() - start
        return record

    def _save(self, epoch: EpochState | None = None) -> None:
        if self.writer is not None and self.folder is not None:
            self.writer.start(checkpoint_of(self.history, self.model, self.best, self.optimizer, epoch))
            if epoch is None:  # the history must not be ahead of the checkpoint
                self.writer.wait()
                self._write_history(self.folder)
        self.saved_at = time.perf_counter()

    def resume(self) -> None:
        """Loads the run's checkpoint, if there is one."""
        if self.folder is not None and (path := self.folder / CHECKPOINT).is_file():
            self.history, self.best, self.unfinished = load_checkpoint(path, self.model, self.optimizer)
            if is_first():  # a kill after the checkpoint may have left the last epoch out
                self._write_history(self.folder)

    def _write_history(self, folder: Path) -> None:
        write_text(folder / HISTORY, "".join(json.dumps(record) + "\n" for record in self.history))


def _bar(index: list[Ints], done: int, title: str, progress: bool) -> Any:
    from tqdm import tqdm

    shown = None if progress else True
    return tqdm(index[done:], title, len(index), initial=done, unit="step", leave=False, disable=shown)
