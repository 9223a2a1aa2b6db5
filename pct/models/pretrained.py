"""Loads models of the transformers library from a folder or the hub: encoders and sequence classifiers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from pct.models.adapters import base_of, has_file, is_adapter, load_adapter
from pct.models.base import TextModel
from pct.models.checks import (
    HALF,
    check_finite,
    check_kind,
    check_length,
    check_logits,
    check_outputs,
    check_precision,
    check_vocabulary,
    is_bidirectional,
    positions,
)  # fmt: skip
from pct.models.encoder import Transformer
from pct.models.outputs import (
    PROBLEM_TYPES,
    SOFTMAX_KIND,
    VALUE_KIND,
    TwoClasses,
    check_new_head,
    kind_of_output,
    output_names,
)
from pct.models.token_types import reads_types
from pct.models.wrapped import Wrapped
from pct.settings import Settings
from pct.tasks import TASKS, default_names, task_of_settings
from pct.text.subwords import SubWords
from pct.text.words import NATURAL, check_saved_rule

_ALIASES = {"bert": "bert-base-uncased", "distilbert": "distilbert-base-uncased"}
CLASSIFIER = "ForSequenceClassification"
OWN = "pct"  # the key in config.json of how a classifier that was saved here reads texts
READING = ("max_length", "windows", "threshold", "words")  # the settings there
NO_LIMIT = 2**20  # tokens of a text, if neither the model nor its tokenizer has a limit
_log = logging.getLogger(__name__)


def hub_name(name: str) -> str:
    """The name of a model for transformers: bert and distilbert are short for theirs, unless a folder is called so."""
    return name if Path(name).is_dir() else _ALIASES.get(name, name)


def load_tokenizer(name: str) -> SubWords:
    """The tokenizer of a folder or hub name; that of its base model where an adapter has none.

    Raises OSError, ValueError or ImportError, with the remedy.
    """
    if is_adapter(name) and not has_file(name, "tokenizer_config.json"):
        name = base_of(name)
    return SubWords(pretrained("AutoTokenizer", name, use_fast=True))


def load_classifier(name: str, device: str = "cpu") -> Any:
    """A classifier with its own head, as transformers loads it; an adapter of peft is merged into its base model.

    Args:
        name: a folder or hub name.
        device: where it will run. Weights of half precision stay so for a GPU, and are float32 on a CPU.

    Raises:
        ValueError: it has no head, some weights are missing, or it is quantised and runs on a CPU.
        OSError: neither the disk nor the hub has it.
    """
    if is_adapter(name):
        return load_adapter(name)
    config = pretrained("AutoConfig", name)
    _check_class(config, name)
    if not has_head(config):
        raise ValueError(
            f"{name} has no classification head ({', '.join(config.architectures or ['no architecture'])}): train one "
            f"with `pct train --model {name}`"
        )
    on_cpu = torch.device(device).type == "cpu"
    if on_cpu and (quantized := getattr(config, "quantization_config", None)):
        kind = quantized.get("quant_method", "") if isinstance(quantized, dict) else type(quantized).__name__
        raise ValueError(f"{name} is quantised ({kind}), which needs a GPU: give a copy with float weights, or a GPU")
    if on_cpu and getattr(config, "dtype", None) in HALF:
        _log.warning("the weights of %s are in half precision: they are read as float32 on the CPU", name)
    options = {"use_safetensors": True, "dtype": torch.float32 if on_cpu else "auto", "output_loading_info": True}
    model, info = pretrained("AutoModel" + CLASSIFIER, name, **options)
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"{name} lacks weights of its own architecture ({', '.join(missing[:3])}): use a complete copy"
        )
    return model


def wrap_model(model: Any, tokenizer: Any, name: str, head: str = "") -> Wrapped:
    """A classifier of transformers as a `TextModel`, after all checks (see `pct.models.checks`).

    head: the kind of its outputs; if empty, as its configuration says (see `pct.models.outputs.kind_of_output`).

    Raises ValueError for: no sequence classifier, classes without names, several numbers, no fast tokenizer, token ids
    without embeddings, weights that are not finite or, on a CPU, of half precision, padding that changes the result,
    and logits that differ from the model's own. Raises TypeError for what is no model.
    """
    check_kind(model, name)
    kind = kind_of_output(model.config, name, head)
    SubWords(tokenizer)
    check_vocabulary(tokenizer, model, name)
    check_precision(model, name)
    check_finite(model, name)
    check_outputs(model, tokenizer, name)
    own = "" if kind == SOFTMAX_KIND else kind
    types = reads_types(model, tokenizer)
    wrapped = Wrapped(model, name, reads_types=types, unread=_unread(model, tokenizer), head=own)
    check_logits(wrapped, tokenizer, name)
    return wrapped


def load_untrained(settings: Settings, classes: Sequence[str]) -> TextModel:
    """The initial model of a run: a classifier with its own head, or a model with a new head.

    A new head reads the state of the first token if that is a special token that attends to the whole text (BERT's
    [CLS]). Any other model gets the classification head of its architecture; with `lora`, every model.

    Raises:
        ValueError: a check of the model fails (see `pct.models.checks`), or its head is for other classes.
        OSError: neither the disk nor the hub has it.
    """
    name = settings.model
    tokenizer = load_tokenizer(name).tokenizer
    if (adapter := is_adapter(name)) and settings.fresh_head:
        raise ValueError(f"the adapter {name} was trained with its head: train a new head on {base_of(name)}")
    config = None if adapter else pretrained("AutoConfig", name)
    if config is not None:
        _check_class(config, name)
    if adapter or (has_head(config) and not settings.fresh_head):
        classifier = wrap_model(load_classifier(name), tokenizer, name, settings.head)
        task = task_of_settings(settings)
        if classifier.task_kind != task.kind:
            own = TASKS[classifier.task_kind].labels_are
            raise ValueError(
                f"{name} has a head for {own} for each text, the corpus has {task.labels_are}: set fresh_head to train "
                "a new head"
            )
        order_head(classifier, classes)
        check_length(settings.max_length, classifier.model, name)
        return classifier
    check_new_head(settings)
    encoder = None if settings.lora else _first_token_encoder(name, config, tokenizer)
    model = _with_default_head(name, tokenizer, classes, settings, has_head(config)) if encoder is None else encoder
    check_vocabulary(tokenizer, model, name)
    check_length(settings.max_length, model, name)
    check_finite(model, name)
    if encoder is None:
        return wrap_model(model, tokenizer, name)
    return Transformer(encoder, len(classes), name=hub_name(name))


def _own_code(name: str, what: str) -> str:
    return f"{name} has {what}: load it by its own code, and give pct.wrap the model and its tokenizer"


def _check_class(config: Any, name: str) -> None:
    """Raises if transformers does not have the class of a folder's weights: it would load another class."""
    import transformers

    own = [x for x in config.architectures or [] if not hasattr(transformers, x)]
    if own or "AutoModel" + CLASSIFIER in (getattr(config, "auto_map", None) or {}):
        raise ValueError(_own_code(name, f"a class of its own ({', '.join(own) or 'auto_map in config.json'})"))


def has_head(config: Any) -> bool:
    """Whether a configuration is that of a sequence classifier."""
    return any(x.endswith(CLASSIFIER) for x in config.architectures or [])


def kept_reading(config: Any) -> dict[str, Any]:
    """How a saved classifier reads texts, where its configuration has it: the settings `READING`."""
    kept = getattr(config, OWN, None)
    if not isinstance(kept, dict):
        return {}
    check_saved_rule(str(kept.get("words", NATURAL)))
    return {name: kept[name] for name in READING if name in kept}


def max_tokens(model: Any, tokenizer: Any) -> int:
    """The largest number of tokens of a text that both the model's positions and its tokenizer allow."""
    limits = (positions(model), tokenizer.model_max_length, NO_LIMIT)
    return int(min(x for x in limits if x is not None))


def order_head(classifier: Wrapped, classes: Sequence[str]) -> None:
    """Reorders the outputs of a head to the order of these classes. Names are compared without case.

    A head with default names (LABEL_0, ...) gets these names. Raises ValueError if the classes differ.
    """
    config: Any = classifier.model.config
    own = classifier.classes
    if classifier.task_kind == VALUE_KIND:
        config.update(output_names(classes))
        return
    if default_names(config.id2label.values()) and len(own) == len(classes):
        _log.warning(
            "%s names its classes %s: they are read as %s", classifier.name, ", ".join(own), ", ".join(classes)
        )
        order = list(range(len(own)))
    else:
        index = {x.casefold(): i for i, x in enumerate(own)}
        if len(index) < len(own) or set(index) != {x.casefold() for x in classes} or len(own) != len(classes):
            raise ValueError(
                f"{classifier.name} has a head for the classes {', '.join(own)}, the corpus has {', '.join(classes)}: "
                "give texts of the model's classes, or set fresh_head to train a new head"
            )
        order = [index[x.casefold()] for x in classes]
    if isinstance(classifier.dense, TwoClasses):
        if order == [1, 0]:
            classifier.dense.swap()
        config.update(output_names(classes[1:]))
        return
    with torch.no_grad():
        for weight in classifier.dense.parameters():
            weight.copy_(weight[order].clone())
    config.update(output_names(classes))


def pretrained(kind: str, name: str, **options: Any) -> Any:
    """`from_pretrained` of a class of transformers. Code in the model's folder is not run.

    Raises OSError, ImportError, or (for an adapter or a model with its own code) ValueError, with the remedy.
    """
    try:
        import transformers
    except ImportError:
        raise ImportError(f"model {name!r} needs transformers: pip install 'pct-explain[transformers]'") from None
    try:
        with without_bars():
            return getattr(transformers, kind).from_pretrained(hub_name(name), trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as problem:
        if "trust_remote_code" in str(problem):
            raise ValueError(_own_code(name, "code of its own, which is not run")) from problem
        raise OSError(
            f"model {name!r} is neither textcnn, lstm, a folder with config.json, model.safetensors and a tokenizer, "
            f"nor a model of the Hugging Face hub: {(str(problem).splitlines() or [type(problem).__name__])[0]}"
        ) from problem


@contextmanager
def without_bars() -> Iterator[None]:
    """Suppresses the progress bars of transformers, which last seconds at most."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _first_token_encoder(name: str, config: Any, tokenizer: Any) -> Any:
    """The encoder, if its first token is a special token that attends to the whole text; else None."""
    if getattr(config, "is_encoder_decoder", False):
        return None
    first = tokenizer("a")["input_ids"][:1]
    if not first or first[0] not in tokenizer.all_special_ids:
        return None
    encoder = pretrained("AutoModel", name, use_safetensors=True, dtype=torch.float32)
    check_vocabulary(tokenizer, encoder, name)
    return encoder if is_bidirectional(encoder) else None


def _with_default_head(name: str, tokenizer: Any, classes: Sequence[str], settings: Settings, fresh: bool) -> Any:
    """A classifier with the head of its architecture. fresh: it has one, which is replaced by a new one."""
    labels = {**output_names(classes), "problem_type": PROBLEM_TYPES[task_of_settings(settings).kind]}
    weights = {"use_safetensors": True, "dtype": torch.float32}
    if not fresh:
        model = pretrained("AutoModel" + CLASSIFIER, name, **weights, **labels)
    else:
        from transformers import AutoModelForSequenceClassification

        body = pretrained("AutoModel", name, **weights)
        model = AutoModelForSequenceClassification.from_config(
            pretrained("AutoConfig", name, **labels), dtype=torch.float32
        )
        if missing := model.base_model.load_state_dict(body.state_dict(), strict=False).missing_keys:
            raise ValueError(f"{name} can get no new head: its body lacks {', '.join(missing[:3])}")
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return model


def _unread(model: Any, tokenizer: Any) -> int:
    """The number of special tokens at a text's end that equal the padding token of the model's configuration."""
    padding = model.config.get_text_config().pad_token_id
    ids = tokenizer("a")["input_ids"]
    return len(ids) - max((i + 1 for i, token in enumerate(ids) if token != padding), default=1)
