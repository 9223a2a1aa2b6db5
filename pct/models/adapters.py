"""Adapters of the peft library: loading one on its base model, and training one (LoRA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from pct.layout import ADAPTER_CONFIG
from pct.models.wrapped import Wrapped, last_dense
from pct.settings import lora_options
from pct.text.subwords import SubWords
from pct.writing import atomic_folder

ADAPTER_WEIGHTS = "adapter_model.safetensors"
CLASSIFIER = "AutoModelForSequenceClassification"


def is_adapter(name: str) -> bool:
    """Whether a folder or a repository of the hub holds an adapter of the peft library."""
    return has_file(name, ADAPTER_CONFIG)


def has_file(name: str, file: str) -> bool:
    """Whether a folder or a repository of the hub has a file."""
    return _path(name, file) is not None


def base_of(name: str) -> str:
    """The folder or hub name of an adapter's base model.

    Raises:
        ImportError: peft is missing.
        ValueError: the adapter does not name its base model.
    """
    config = _peft(name).PeftConfig.from_pretrained(name)
    if not config.base_model_name_or_path:
        raise ValueError(
            f"the adapter {name} does not name its base model: set base_model_name_or_path in its {ADAPTER_CONFIG}"
        )
    return str(config.base_model_name_or_path)


def load_adapter(name: str) -> Any:
    """The classifier of an adapter: its base model with the adapter's weights merged into it.

    The adapter's own config.json gives the names of the classes, where it has one; else the base model's configuration.
    The number of classes is that of the head which the adapter holds.

    Args:
        name: a folder with adapter_config.json and adapter_model.safetensors, or such a repository of the hub.

    Returns:
        An `AutoModelForSequenceClassification` with the logits of the `PeftModel`, in float32.

    Raises:
        ImportError: peft is missing.
        ValueError: the adapter has no safetensors, cannot be merged (prompts, prefixes), or has no trained head.
        OSError: neither the disk nor the hub has the base model.
    """
    from pct.models import pretrained

    peft, base = _peft(name), base_of(name)
    own = pretrained.pretrained("AutoConfig", base)
    names: dict[str, Any] = {}
    if has_file(name, "config.json"):
        names["id2label"] = pretrained.pretrained("AutoConfig", name).id2label
    shapes = _shapes(name)
    head = _head_name(own)
    rows = [shape[0] for key, shape in shapes.items() if _is_weight(key, f"{head}.weight")]
    if rows:
        default = own.id2label if own.num_labels == rows[0] else {i: f"LABEL_{i}" for i in range(rows[0])}
        names.setdefault("id2label", default)
    if names:
        names["label2id"] = {label: i for i, label in names["id2label"].items()}
    options = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    with _without_report():  # the head is in the adapter, which the report cannot know
        model, info = pretrained.pretrained(CLASSIFIER, base, **options, **names)
    untrained = [part for part in sorted(info["missing_keys"]) if not any(_is_weight(key, part) for key in shapes)]
    if untrained:
        raise ValueError(
            f"neither the adapter {name} nor its base model {base} has {', '.join(untrained[:3])}: the head was not "
            "trained, or not saved (modules_to_save)"
        )
    adapted = peft.PeftModel.from_pretrained(model, name)
    if not hasattr(adapted, "merge_and_unload") or adapted.active_peft_config.is_prompt_learning:
        raise ValueError(
            f"the adapter {name} ({adapted.active_peft_config.peft_type.value}) cannot be merged into its base model: "
            "only adapters of weights can (LoRA, IA3, ...)"
        )
    return adapted.merge_and_unload()


class LoraTraining:
    """A classifier under training whose encoder is frozen but for low-rank updates (Hu et al., ICLR 2022).

    Attributes:
        model: the network to train, a `Wrapped` model; its head is trained as a whole.
    """

    def __init__(self, model: nn.Module, lora: str) -> None:
        """
        Args:
            model: a `Wrapped` model; its modules are used.
            lora: the options of `peft.LoraConfig` (see `lora_options`).

        Raises:
            ImportError: peft is missing.
            ValueError: another model, an unknown option, or no layer to adapt.
        """
        if not isinstance(model, Wrapped):
            raise ValueError(
                f"lora needs a classifier with a head of the transformers library, this is a {type(model).__name__}: "
                "train it with lora from the start"
            )
        peft = _peft("lora")
        try:
            config = peft.LoraConfig(task_type="SEQ_CLS", **lora_options(lora))
            self._adapted = peft.get_peft_model(model.model, config)
        except (AttributeError, TypeError, ValueError) as problem:  # peft does not check the types of its options
            raise ValueError(f"lora {lora!r}: {problem}") from problem
        names = ("name", "padding", "reads_types", "unread")
        self._parts: dict[str, Any] = {name: getattr(model, name) for name in names} | {"head": model.output_kind}
        self.model = Wrapped(self._adapted.get_base_model(), **self._parts)

    def save(self, folder: str | Path, tokenizer: SubWords) -> None:
        """Writes the adapter as peft does, with the tokenizer, and config.json for the names of the classes."""
        with atomic_folder(folder, ADAPTER_CONFIG) as temporary:
            self._adapted.save_pretrained(temporary)
            self._adapted.get_base_model().config.save_pretrained(temporary)
            tokenizer.save_files(temporary)

    def merged(self) -> Wrapped:
        """The network with the updates added to its weights. The training is over: `model` must not be used again."""
        merged = Wrapped(self._adapted.merge_and_unload(), **self._parts)
        merged.text_windows = self.model.text_windows
        return merged


def _is_weight(key: str, name: str) -> bool:
    """Whether a tensor of an adapter's file is that of a model's weight, trained as a whole."""
    return key.replace(".modules_to_save", "").endswith("." + name)


def _head_name(config: Any) -> str:
    """The last part of the name of the layer that gives the logits, without loading weights."""
    import transformers

    with torch.device("meta"):
        model = transformers.AutoModelForSequenceClassification.from_config(config)
    dense = last_dense(model)
    return str(next(name for name, module in model.named_modules() if module is dense))


def _shapes(name: str) -> dict[str, list[int]]:
    """The shapes of an adapter's tensors by name."""
    from safetensors import safe_open

    path = _path(name, ADAPTER_WEIGHTS)
    if path is None:
        raise ValueError(f"the adapter {name} has no {ADAPTER_WEIGHTS} (pickled weights are not read): save it by peft")
    with safe_open(path, framework="pt") as file:
        return {key: list(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - no mapping


@contextmanager
def _without_report() -> Iterator[None]:
    """Suppresses transformers' report of the weights that a checkpoint lacks."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _path(name: str, file: str) -> str | None:
    """The path of a file of a folder, or of a repository of the hub; None where it has no such file."""
    if Path(name).exists():
        path = Path(name) / file
        return str(path) if path.is_file() else None
    try:
        from transformers.utils import cached_file

        return cast("str | None", cached_file(name, file, _raise_exceptions_for_missing_entries=False))
    except (ImportError, OSError, ValueError):  # the loading that follows names what is missing
        return None


def _peft(name: str) -> Any:
    try:
        import peft
    except ImportError:
        raise ImportError(f"{name} needs the peft library: pip install 'pct-explain[adapters]'") from None
    return peft
