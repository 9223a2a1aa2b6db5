"""Every choice that a run makes, in one frozen object: checked where it is made, logged whole, saved with the model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

CORPORA = ("planted", "mr", "ag_news", "imdb", "files")
METHODS = ("normal", "entropy", "pct")
SALIENCIES = ("l2", "l1", "grad_x_input", "integrated_gradients")
SALIENCY_OF = ("log_odds", "probability", "logit")
ORDERS = ("static", "recomputed")

# The paper's (lr, alpha, temperature) for each of its models; an encoder not named here is treated as BERT.
PAPER_SETTINGS = {
    "textcnn": (5e-4, 0.1, 0.7),
    "lstm": (5e-4, 0.1, 0.7),
    "bert": (3e-5, 1.2, 0.7),
    "distilbert": (3e-5, 0.15, 0.15),
}


def paper_settings(model: str) -> tuple[float, float, float]:
    """The paper's learning rate, alpha and temperature for a model's name."""
    if model in PAPER_SETTINGS:
        return PAPER_SETTINGS[model]
    return PAPER_SETTINGS["distilbert" if "distilbert" in model.lower() else "bert"]


@dataclass(frozen=True)
class Settings:
    """All settings of a training run. `lr`, `alpha` and `temperature` left at None take the paper's for the model.

    Raises ValueError, naming the value and what is allowed, when a setting is out of its range.
    """

    # what is trained
    corpus: str = "planted"
    model: str = "textcnn"  # textcnn, lstm, or a transformers encoder by hub name or folder
    method: str = "pct"
    seed: int = 0
    # data
    limit: int = 0  # rows a split; 0 takes all
    train_file: str = ""
    validation_file: str = ""
    test_file: str = ""
    text_column: str = "text"
    label_column: str = "label"
    corpus_seed: int = 0
    max_length: int = 64
    vocabulary_size: int = 30000
    glove: str = ""
    # optimisation
    epochs: int = 6
    batch_size: int = 64
    lr: float | None = None
    weight_decay: float = 0.0
    gradient_clip: float = 0.0  # norm; 0 is off
    dropout: float = 0.5
    patience: int = 0  # epochs without a better validation accuracy before stopping; 0 never stops
    restore_best: bool = True  # keep the weights of the best validation epoch
    # PCT and entropy
    alpha: float | None = None
    temperature: float | None = None
    entropy_weight: float = 1e-3
    p_important: float = 0.1
    p_unimportant: float = 0.1
    # explanation
    saliency: str = "l2"
    saliency_of: str = "log_odds"
    integrated_steps: int = 16
    order: str = "static"
    # measuring
    evaluate_epochs: bool = True  # the pathology metrics on the validation split after each epoch
    evaluate_limit: int = 512  # texts of the validation split that those metrics use; 0 takes all
    # the machine
    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    threads: int = 0  # CPU threads; 0 leaves torch's choice

    def __post_init__(self) -> None:
        lr, alpha, temperature = paper_settings(self.model)
        for name, value in (("lr", lr), ("alpha", alpha), ("temperature", temperature)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        self._check_names()
        self._check_ranges()

    def _check_names(self) -> None:
        choices = {
            "corpus": CORPORA,
            "method": METHODS,
            "saliency": SALIENCIES,
            "saliency_of": SALIENCY_OF,
            "order": ORDERS,
            "precision": ("float32", "bf16"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if not self.model:
            raise ValueError("model must be textcnn, lstm, or an encoder's hub name or folder, got ''")
        if self.corpus == "files" and not (self.train_file and self.test_file):
            raise ValueError("corpus files needs train_file and test_file (CSV or JSONL), one of them is empty")

    def _check_ranges(self) -> None:
        for name in ("p_important", "p_unimportant"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        positive = ("lr", "temperature", "epochs", "batch_size", "integrated_steps", "vocabulary_size")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in (
            "alpha",
            "entropy_weight",
            "weight_decay",
            "gradient_clip",
            "limit",
            "patience",
            "threads",
            "evaluate_limit",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.max_length < 3:
            raise ValueError(f"max_length must be at least 3 (two special tokens and a word), got {self.max_length}")

    @property
    def model_name(self) -> str:
        """A short name of the model, fit for a registry: the last part of a hub name or path."""
        return Path(self.model).name or self.model

    def replace(self, **changes: Any) -> Self:
        """A copy with some settings changed, checked anew."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON types."""
        return asdict(self)

    def to_json(self) -> str:
        """The settings as indented JSON."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Settings from names and values; strings are read as the setting's own type, as a command line gives them.

        Raises ValueError for an unknown name or a value that is not of the type.
        """
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown setting {', '.join(unknown)}; known: {', '.join(known)}")
        return cls(**{name: _read(name, str(known[name].type), value) for name, value in values.items()})


def _read(name: str, kind: str, value: Any) -> Any:
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
        return reader(value)
    except ValueError:
        raise ValueError(f"{name} must be of type {kind}, got {value!r}") from None
