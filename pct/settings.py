"""All settings of a run in one frozen object. They are checked on creation, logged, and saved with the model."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from pct.methods import methods
from pct.saliency import saliencies
from pct.text.encodings import check_encoding
from pct.text.tokens import REMOVE
from pct.text.words import SPACES, check_rule

CORPORA = ("planted", "mr", "ag_news", "imdb", "movie_rationales", "sst_rationales", "files")
HUB_PREFIX = "hub:"  # of a corpus hub:OWNER/NAME
ON_BAD_ROW = ("error", "skip")
LABELS = ("names", "indices")
METHODS = tuple(methods.own)
SALIENCIES = tuple(saliencies.own)
BASELINES = ("zero", "mask", "pad")
SALIENCY_OF = ("log_odds", "probability", "logit")
ORDERS = ("static", "recomputed", "beam")
REMOVALS = ("delete", "mask", "unknown")
WORD_MODELS = ("textcnn", "lstm")  # the others are encoders of the transformers library
PRECISIONS = ("auto", "float32", "bf16")
OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "linear", "cosine")
CLASS_WEIGHTS = ("none", "balanced")
NUMBER_SCORES = ("mae", "rmse", "pearson")  # of a model that gives a number
BEST_BY = ("acc", "macro_f1", "masked_acc", *NUMBER_SCORES, "comp-suff", "ur-ir", "i_var-u_var")
CONTRAST_STEPS = ("all", "last")
TRAIN_REMOVALS = ("delete", "mask", "either")
POSITIVE = ("lr", "temperature", "epochs", "batch_size", "integrated_steps", "vocabulary_size", "contrast_every")
OUTPUT_KINDS = ("softmax", "sigmoid", "value")
# the options of peft.LoraConfig that take a list, and the name in the place of a list of modules
LORA_LISTS = (
    "target_modules", "exclude_modules", "modules_to_save", "target_parameters", "layers_to_transform",
    "layers_pattern", "trainable_token_indices", "alora_invocation_tokens",
)  # fmt: skip
ALL_LINEAR = "all-linear"
MOST_WINDOWS = 16  # of a text
MAX_SEED = 2**63 - 1  # the largest seed of torch
MAX_THREADS = 1024  # OpenMP aborts the process if it cannot create all threads

# The paper's (lr, alpha, temperature) for each of its models. Other encoders use those of BERT.
PAPER_SETTINGS = {
    "textcnn": (5e-4, 0.1, 0.7),
    "lstm": (5e-4, 0.1, 0.7),
    "bert": (3e-5, 1.2, 0.7),
    "distilbert": (3e-5, 0.15, 0.15),
}

# the settings whose defaults depend on the model, in the order of `paper_settings` and `default_optimizer`
MODEL_SETTINGS = ("lr", "alpha", "temperature", "optimizer", "weight_decay", "warmup", "schedule")

# the defaults of further training of a fine-tuned encoder, whose gain was measured: docs/results/finetune.md
OF_FURTHER_TRAINING = {"method": "removal_margin", "epochs": 1, "lr": 5e-5, "batch_size": 32}

# Defaults for saved settings of version 0.1.0, which did not have these.
LEGACY_DEFAULTS = {"words": SPACES, "optimizer": "adam", "warmup": 0.0, "schedule": "constant"}


def paper_settings(model: str) -> tuple[float, float, float]:
    """The paper's learning rate, alpha and temperature for a model."""
    if model in PAPER_SETTINGS:
        return PAPER_SETTINGS[model]
    return PAPER_SETTINGS["distilbert" if "distilbert" in model.lower() else "bert"]


def default_optimizer(model: str) -> tuple[str, float, float, str]:
    """Optimizer, weight decay, warm-up and schedule for a model: the paper's Adam for models with random weights, and
    AdamW with a linear schedule for encoders, as is usual in finetuning."""
    return ("adam", 0.0, 0.0, "constant") if model in WORD_MODELS else ("adamw", 0.01, 0.1, "linear")


def _setting(default: Any, help_text: str, choices: Sequence[str] = (), of_method: bool = False) -> Any:
    """A field. help_text: with {} for the choices, where there are any. of_method: whether it is of a method alone."""
    shown = help_text.format(", ".join(filter(None, choices))) if choices else help_text
    return field(default=default, metadata={"help": shown, "choices": choices, "of_method": of_method})


_of_method = partial(_setting, of_method=True)


@dataclass(frozen=True)
class Settings:
    """All settings of a training run. Strings, as from a command line, are converted to the setting's type.

    If None, `lr`, `alpha` and `temperature` are the paper's values for the model, and `optimizer`, `weight_decay`,
    `warmup` and `schedule` the usual ones for its kind.

    Raises:
        ValueError: a setting is of the wrong type or out of its range; the message has the value and the range.
    """

    # what is trained
    corpus: str = _setting("planted", f"the texts: {', '.join(CORPORA)}, or hub:OWNER/NAME")
    model: str = _setting("textcnn", "textcnn, lstm, bert, distilbert, or a model by hub name or folder")
    method: str = _setting("pct", f"the training method: {', '.join(METHODS)}, or one of another package")
    seed: int = _setting(0, "of the weights, the dropout and the order of the texts")
    # data
    limit: int = _setting(0, "the maximum number of rows per split; 0 uses all")
    train_file: str = _setting(
        "",
        "corpus=files: the training rows: .csv .tsv .txt .xlsx .jsonl .json .parquet .arrow (.gz too); - reads stdin",
    )
    validation_file: str = _setting("", "corpus=files: the validation rows; if empty, a tenth of the training rows")
    test_file: str = _setting("", "corpus=files: the test rows; if empty, a tenth of the training rows")
    text_column: str = _setting("text", "files and hub: the column of the texts")
    text_pair_column: str = _setting(
        "", "files and hub: the column of the second texts of pairs; if empty, text_pair where there is one"
    )
    label_column: str = _setting(
        "label", "files and hub: the column of the labels; of multi_label also one column per label, as toxic,insult"
    )
    separator: str = _setting("", "of CSV files; detected if empty")
    encoding: str = _setting("", "of text files, such as utf-8 or cp1252; if empty, by a byte order mark, or UTF-8")
    on_bad_row: str = _setting("error", "for a row without a text or with an unknown label: {}", ON_BAD_ROW)
    multi_label: bool = _setting(
        False, "a text may have several labels: lists of names, one column of 0 and 1 per label, or separated names"
    )
    label_separator: str = _setting("", "multi_label: what separates the names of labels in a cell, such as | or ;")
    threshold: float = _setting(0.5, "multi_label: the probability from which a label is assigned")
    labels: str = _setting("names", "the kind of labels: {} of the classes", LABELS)
    train_split: str = _setting("train", "hub: the split of the training rows")
    validation_split: str = _setting("validation", "hub: the validation split; held out if there is none")
    test_split: str = _setting("test", "hub: the test split; held out if there is none")
    corpus_seed: int = _setting(0, "of the planted corpus, and of the rows that are sampled by a limit or held out")
    words: str = _setting("natural", "the word rule: natural, spaces, or a function text -> spans as module:name")
    max_length: int = _setting(64, "tokens per text, special ones included; the rest is truncated")
    windows: str = _setting(
        "", "encoders: read a longer text in windows of max_length tokens that start every N tokens: stride=N, or "
        "stride=N,most=M for at most M windows (16); the rest is truncated"
    )  # fmt: skip
    vocabulary_size: int = _setting(30000, "textcnn, lstm: the most frequent words that get an embedding")
    glove: str = _setting("", "textcnn, lstm: a GloVe, word2vec or fastText text file (.gz too); random if empty")
    # optimisation
    epochs: int = _setting(6, "passes over the training texts")
    batch_size: int = _setting(64, "texts in a mini-batch")
    optimizer: str = _setting(None, "{}; by default adam for textcnn and lstm, adamw for encoders", OPTIMIZERS)
    lr: float = _setting(None, "the learning rate; by default the paper's for the model")
    weight_decay: float = _setting(None, "of the optimizer; by default 0.01 for encoders, else 0")
    warmup: float = _setting(
        None, "the share of steps in which the learning rate rises; by default 0.1 for encoders, else 0"
    )
    schedule: str = _setting(None, "of the learning rate: {}; by default linear for encoders, else constant", SCHEDULES)
    gradient_clip: float = _setting(0.0, "the maximum norm of the gradient; 0 is off")
    dropout: float = _setting(0.5, "before the last layer (textcnn, lstm)")
    fresh_head: bool = _setting(False, "for a fine-tuned classifier as model: train a new head instead of its own")
    lora: str = _setting(
        "", "encoders: train low-rank updates instead of all weights, by peft's LoraConfig: r=8,alpha=16,dropout=0.1"
    )
    head: str = _setting(
        "",
        "what the outputs are: {} (softmax: one class; sigmoid: several labels, or the log-odds of one; value: a "
        "number); if empty, as a classifier's configuration says",
        ("", *OUTPUT_KINDS),
    )
    class_weights: str = _setting("none", "of the loss: {} (rare classes weigh more)", CLASS_WEIGHTS)
    best_by: str = _setting("acc", "the validation metric of the best epoch: {}", BEST_BY)
    patience: int = _setting(0, "epochs without improvement before training stops; 0 never stops early")
    restore_best: bool = _setting(True, "keep the weights of the best validation epoch")
    # the methods
    alpha: float = _of_method(None, "pct: the weight of the contrastive loss; by default the paper's for the model")
    temperature: float = _of_method(None, "pct: tau of the contrastive loss; by default the paper's")
    contrast_steps: str = _of_method(
        "all", "pct: which reduced texts of a side are contrasted: {} (all words removed)", CONTRAST_STEPS
    )
    contrast_every: int = _of_method(
        1, "pct, removal_margin, unirex: the method's loss in every n-th mini-batch; the others have the normal loss"
    )
    entropy_weight: float = _of_method(1e-3, "entropy: lambda, the weight of the entropy term")
    guided_weight: float = _of_method(1.0, "saliency_guided: lambda, the weight of the divergence")
    rationale_weight: float = _of_method(0.1, "rationale: lambda, the weight of gradients outside the rationale")
    margin_weight: float = _of_method(
        0.3, "removal_margin: the weight of the hinge loss on the drop of log-odds without the important words"
    )
    margin_bound: float = _of_method(
        None,
        "removal_margin: the target drop of log-odds without the important words, in nats (of a number its change, in "
        "its unit); above, the loss is 0; by default 4 for an encoder's log-odds, else 2",
    )
    keep_weight: float = _of_method(
        1.0, "removal_margin: the weight of the divergence from the text without unimportant words"
    )
    random_weight: float = _of_method(
        1.0, "removal_margin: the weight of the divergence from the text without random words"
    )
    comp_weight: float = _of_method(0.5, "unirex: the weight of the comprehensiveness loss")
    comp_bound: float = _of_method(1.0, "unirex: the bound of the comprehensiveness loss, in nats")
    suff_weight: float = _of_method(0.5, "unirex: the weight of the sufficiency loss")
    suff_bound: float = _of_method(0.1, "unirex: the bound of the sufficiency loss, in nats")
    mask_weight: float = _of_method(0.1, "vmask: beta, the weight of the divergence of the word masks from a fair coin")
    train_removal: str = _of_method(
        "delete", "removal_margin, unirex: of words in training: {} (random for each text)", TRAIN_REMOVALS
    )
    p_important: float = _of_method(0.1, "the share of words removed as important, in (0, 1]; in training 0 is allowed")
    p_unimportant: float = _of_method(
        0.1, "the share of words removed as unimportant, in (0, 1]; in training 0 is allowed"
    )
    # explanation
    saliency: str = _setting("l2", f"ranks the words: {', '.join(saliencies.own)}, or one of another package")
    explain_by: str = _setting(
        "", "the saliency of explanations; if empty, the best one in measurements of the model's kind"
    )
    saliency_of: str = _setting("log_odds", "the differentiated output: {}", SALIENCY_OF)
    integrated_steps: int = _setting(
        16, "the initial number of steps of integrated gradients; doubled until the completeness error is small"
    )
    integrated_baseline: str = _setting(
        "zero", "the start of the path of integrated gradients: {} (the embedding of that token)", BASELINES
    )
    order: str = _setting("static", "words are ranked once, again after each removal, or by a beam of five: {}", ORDERS)
    removal: str = _setting(
        "delete", "of words in measurements and explanations: {} (replaced by that token)", REMOVALS
    )
    remove: str = _setting("both", "of pairs: whose words are ranked and may be removed: {}", REMOVE)
    # measuring
    measure_limit: int = _setting(
        0, "the maximum number of rows of the validation and test splits, for faster measurements; 0 uses limit"
    )
    measure_important: float = _setting(0.0, "the share of important words removed in measurements; 0 uses p_important")
    measure_unimportant: float = _setting(
        0.0, "the share of unimportant words removed in measurements; 0 uses p_unimportant"
    )
    extra_metrics: str = _setting("", "further metrics of a finished run by name, such as margin,win; or all")
    evaluate_epochs: bool = _setting(True, "measure the pathology metrics on validation after each epoch")
    evaluate_limit: int = _setting(512, "the maximum number of validation texts for these metrics; 0 uses all")
    # the machine
    device: str = _setting("auto", "auto, cpu, cuda; auto uses a GPU if there is one")
    precision: str = _setting(
        "auto",
        "of the model's arithmetic: {}; auto trains in bf16 on a GPU that has it",
        PRECISIONS,
    )
    step_tokens: int = _setting(
        0, "tokens of reduced texts in memory at once, padding included; 0 uses the capacity of the device"
    )
    compile: bool = _setting(False, "torch.compile the model's body in training")
    checkpoint_minutes: float = _setting(
        10.0, "minutes from one checkpoint to the next within a long epoch; 0 writes them only after epochs"
    )
    keep_checkpoint: bool = _setting(
        False,
        "keep the last checkpoint of a finished run, so that it can be trained for more epochs; it is up to four times "
        "as large as the model",
    )
    threads: int = _setting(0, "CPU threads; 0 leaves torch's choice")

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _read(f, getattr(self, f.name)))
        defaults = (*paper_settings(self.model), *default_optimizer(self.model))
        for name, value in zip(MODEL_SETTINGS, defaults, strict=True):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.margin_bound is None:
            object.__setattr__(self, "margin_bound", 2.0 if self.model in WORD_MODELS or self.has_number else 4.0)
        if self.label_separator:
            object.__setattr__(self, "multi_label", True)
        if self.has_number and self.best_by == "acc":
            object.__setattr__(self, "best_by", "mae")
        self._check_names()
        self._check_ranges()

    @property
    def has_number(self) -> bool:
        """Whether the model's output is a number, and a label a number too."""
        return self.head == "value"

    def _check_names(self) -> None:
        for f in fields(self):
            allowed, value = f.metadata["choices"], getattr(self, f.name)
            if allowed and value not in allowed:
                raise ValueError(f"{f.name} must be one of {', '.join(allowed)}, got {value!r}")
        # empty: a classifier without a training corpus
        if self.corpus not in (*CORPORA, "") and not re.fullmatch(r"hub:[\w.-]+(/[\w.-]+)?(:[\w.-]+)?", self.corpus):
            raise ValueError(f"corpus must be one of {', '.join(CORPORA)}, or hub:OWNER/NAME, got {self.corpus!r}")
        methods.check(self.method)
        saliencies.check(self.saliency)
        if self.explain_by:
            saliencies.check(self.explain_by)
        check_rule(self.words)
        of_numbers = self.best_by in NUMBER_SCORES
        if of_numbers != self.has_number and "-" not in self.best_by:
            kind = "numbers (head value)" if of_numbers else "classes"
            raise ValueError(f"best_by {self.best_by} is of {kind}: choose another")
        if self.has_number and self.class_weights != "none":
            raise ValueError(f"class_weights {self.class_weights} weighs classes, and a number has none: leave it out")
        if self.has_number and self.threshold != Settings.threshold:
            raise ValueError(f"threshold {self.threshold} is for several labels, and head value has none: leave it out")
        if self.has_number and self.multi_label:
            raise ValueError("head value is for one number per text, multi_label for names of labels: leave one out")
        if "-" in self.best_by and not self.evaluate_epochs:
            raise ValueError(f"best_by {self.best_by} is measured after each epoch: it needs evaluate_epochs")
        if not self.model:
            raise ValueError("model must be textcnn, lstm, or an encoder's hub name or folder, got ''")
        if self.corpus == "files" and not self.train_file:
            raise ValueError("corpus files needs train_file: give a file with the training rows")
        check_encoding(self.encoding)
        lora_options(self.lora)
        self._check_windows()
        for name, does in (("lora", "lora trains"), ("windows", "windows are for")):
            if getattr(self, name) and (self.model in WORD_MODELS or self.compile):
                what = "compile" if self.compile else f"the model {self.model}"
                raise ValueError(f"{does} encoders of the transformers library, not with {what}: leave it empty")
        if self.lora and self.method == "vmask":
            raise ValueError("method vmask changes the word embeddings, which lora leaves: choose one of the two")
        if len(self.separator.replace("\\t", "\t")) > 1:
            raise ValueError(f"separator must be one character, or empty, got {self.separator!r}")

    def _check_windows(self) -> None:
        if not self.windows:
            return
        stride, most = window_options(self.windows)
        if not 0 < stride < self.max_length or most < 1:
            raise ValueError(
                f"windows needs a stride of 1 to {self.max_length - 1} tokens, less than max_length, and at least one "
                f"window, got {self.windows!r}"
            )

    def _check_ranges(self) -> None:
        for name in ("important", "unimportant"):
            share, measured = getattr(self, f"p_{name}"), getattr(self, f"measure_{name}")
            if not 0 <= measured <= 1:
                raise ValueError(f"measure_{name} must be in [0, 1], got {measured}")
            if not 0 < share <= 1 and not (share == 0 and measured):
                hint = f"; 0 needs measure_{name} to be given" if share == 0 else ""
                raise ValueError(f"p_{name} must be in (0, 1], got {share}{hint}")
        if self.seed > MAX_SEED:
            raise ValueError(f"seed must be at most {MAX_SEED}, got {self.seed}")
        if self.threads > MAX_THREADS:
            raise ValueError(f"threads must be at most {MAX_THREADS}, got {self.threads}; 0 leaves torch's choice")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be in [0, 1), got {self.warmup}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be in (0, 1), got {self.threshold}")
        if self.max_length < 3:
            raise ValueError(f"max_length must be at least 3 (two special tokens and a word), got {self.max_length}")
        for name in (f.name for f in fields(self) if str(f.type).startswith(("int", "float"))):
            value, sign = getattr(self, name), ">" if name in POSITIVE else ">="
            if not 0 <= value < math.inf or (value == 0 and name in POSITIVE):
                raise ValueError(f"{name} must be {sign} 0 and finite, got {value}")

    @property
    def model_name(self) -> str:
        """A short name of the model, fit for a registry: the last part of a hub name or path."""
        return Path(self.model).name or self.model

    @property
    def stride(self) -> int:
        """The tokens from the start of a window to the start of the next."""
        return window_options(self.windows)[0]

    @property
    def text_length(self) -> int:
        """The most tokens of a text, special ones included: `max_length`, or those of all windows."""
        if not self.windows:
            return self.max_length
        stride, most = window_options(self.windows)
        return self.max_length + (most - 1) * stride

    @property
    def reading(self) -> str:
        """How texts beyond `max_length` are read: the windows; empty if they are truncated."""
        return f"windows of {self.max_length} tokens, stride {self.stride}" if self.windows else ""

    @property
    def measured_shares(self) -> tuple[float, float]:
        """The shares of important and unimportant words that are removed in measurements."""
        return self.measure_important or self.p_important, self.measure_unimportant or self.p_unimportant

    @property
    def evaluation_options(self) -> dict[str, Any]:
        """The arguments of `pct.evaluate` and `pct.explain` by the settings: shares, order, removal, remove."""
        important, unimportant = self.measured_shares
        return {
            "p_important": important, "p_unimportant": unimportant, "order": self.order, "removal": self.removal,
            "remove": self.remove,
        }  # fmt: skip

    def replace(self, **changes: Any) -> Self:
        """A copy with changed settings, which are checked.

        Args:
            **changes: by name. With `model` or `head`, a setting that has its default for the old ones, and is not
                among the changes, has its default for the new ones.
        """
        if "model" in changes or "head" in changes:
            old = type(self)(model=self.model, head=self.head)
            depending = (f for f in fields(self) if f.name in (*MODEL_SETTINGS, "margin_bound", "best_by"))
            free = {f.name: f.default for f in depending if getattr(self, f.name) == getattr(old, f.name)}
            changes = {**free, **changes}
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON types."""
        return asdict(self)

    def to_json(self) -> str:
        """The settings as indented JSON."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Settings from names and values.

        Args:
            values: by name.

        Raises:
            ValueError: an unknown name, or a value of the wrong type or out of its range.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown setting {', '.join(unknown)}; known: {', '.join(known)}")
        return cls(**values)

    @classmethod
    def from_saved(cls, values: dict[str, Any]) -> Self:
        """Settings that any version saved. Settings that an older version lacked have its fixed values.

        Args:
            values: the result of `to_dict`.

        Raises:
            ValueError: as `from_dict`.
        """
        return cls.from_dict(LEGACY_DEFAULTS | values)


def lora_options(text: str) -> dict[str, Any]:
    """`r=8,alpha=16,use_rslora=true,target_modules=query+value` as the options of `peft.LoraConfig`.

    Raises ValueError for a part without "=".
    """
    names = {"alpha": "lora_alpha", "dropout": "lora_dropout"}
    return {
        names.get(key, key): [_scalar(part) for part in value.split("+")]
        if key in LORA_LISTS and value != ALL_LINEAR
        else _scalar(value)
        for key, value in _named_values(text, "lora", "r=8,alpha=16").items()
    }


def window_options(text: str) -> tuple[int, int]:
    """`stride=128,most=16` as the stride in tokens and the largest number of windows.

    Raises ValueError for another option, or a value that is no whole number.
    """
    example = "stride=128"
    values = _named_values(str(text), "windows", example)
    try:
        stride, most = int(values.pop("stride")), int(values.pop("most", MOST_WINDOWS))
        valid = not values
    except (KeyError, ValueError):
        valid = False
    if not valid:
        raise ValueError(f"windows is {example} or {example},most=16, in whole numbers; got {text!r}")
    return stride, most


def _named_values(text: str, name: str, example: str) -> dict[str, str]:
    """NAME=VALUE,... as a dictionary."""
    parts = [part.partition("=") for part in text.replace(" ", ",").split(",") if part]
    for key, equals, _ in parts:
        if not equals:
            raise ValueError(f"{name} is NAME=VALUE,..., as {example}; got {key!r}")
    return {key: value for key, _, value in parts}


def _scalar(text: str) -> bool | int | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _read(setting: Field[Any], value: Any) -> Any:
    """The value of a setting in its type. Raises ValueError for a value of another type."""
    name, kind = setting.name, f"{setting.type} | None" if setting.default is None else str(setting.type)
    if value is None:
        if "None" in kind:
            return None
        raise ValueError(f"{name} must be of type {kind}, got None")
    if kind == "bool":
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(value).lower() not in words:
            raise ValueError(f"{name} must be true or false, got {value!r}")
        return words[str(value).lower()]
    if "None" in kind and value == "":
        return None
    reader = {"int": int, "float": float, "str": str}[kind.removesuffix(" | None")]
    try:
        if reader is int and isinstance(value, float) and not value.is_integer():
            raise ValueError(value)  # int() would truncate 1.5 to 1
        return reader(value)
    except (ValueError, TypeError):
        raise ValueError(f"{name} must be of type {kind}, got {value!r}") from None
