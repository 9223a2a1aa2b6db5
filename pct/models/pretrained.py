"""Models of the transformers library, from a folder or the hub: encoders, and classifiers with a head of their own."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from pct.models.base import TextModel
from pct.models.checks import (
    check_classes,
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
from pct.models.wrapped import Wrapped
from pct.text.subwords import SubWords

ALIASES = {"bert": "bert-base-uncased", "distilbert": "distilbert-base-uncased"}
CLASSIFIER = "ForSequenceClassification"
NO_LIMIT = 2**20  # tokens of a text, where neither the model nor its tokenizer knows a limit
_log = logging.getLogger(__name__)


def load_tokenizer(name: str) -> SubWords:
    """The tokenizer of a folder or hub name. Raises OSError, ValueError or ImportError, with the remedy."""
    return SubWords(pretrained("AutoTokenizer", name, use_fast=True))


def load_classifier(name: str) -> Any:
    """A classifier with the head that its folder or hub name has, as transformers gives it.

    Raises:
        ValueError: it has no head, or not all of its weights.
        OSError: neither the disk nor the hub has it.
    """
    config = pretrained("AutoConfig", name)
    _check_class(config, name)
    if not has_head(config):
        raise ValueError(
            f"{name} has no classifier's head ({', '.join(config.architectures or ['no architecture'])}): train one by "
            f"`pct train --model {name}`"
        )
    options = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    model, info = pretrained("AutoModel" + CLASSIFIER, name, **options)
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"{name} lacks weights of its own architecture ({', '.join(missing[:3])}): take a whole copy")
    return model


def wrap_model(model: Any, tokenizer: Any, name: str) -> Wrapped:
    """A classifier of transformers as a `TextModel`, after all that is assumed of it was checked.

    Raises ValueError in one line: no classifier, classes without names, several labels at once, regression, no fast
    tokenizer, token ids without embeddings, weights that are not finite or of half precision, padding that changes the
    result, or other logits than the model's own; TypeError for what is no model.
    """
    check_kind(model, name)
    check_classes(model, name)
    SubWords(tokenizer)
    check_vocabulary(tokenizer, model, name)
    check_precision(model, name)
    check_finite(model, name)
    check_outputs(model, tokenizer, name)
    made = Wrapped(model, name, types=_types(tokenizer), unread=_unread(model, tokenizer))
    check_logits(made, tokenizer, name)
    return made


def load_untrained(name: str, classes: Sequence[str], max_length: int, fresh_head: bool = False) -> TextModel:
    """What a run starts from: a classifier with the head that it has, or a model with a fresh one.

    A fresh head reads the state of the first token where that is a special one which the whole text reaches (BERT's
    [CLS]); any other model gets the head that its architecture has for classifying.

    Raises:
        ValueError: what is assumed of the model does not hold (see `pct.models.checks`), or its head is for other
            classes.
        OSError: neither the disk nor the hub has it.
    """
    config, tokenizer = pretrained("AutoConfig", name), load_tokenizer(name).tokenizer
    _check_class(config, name)
    if has_head(config) and not fresh_head:
        made = wrap_model(load_classifier(name), tokenizer, name)
        order_head(made, classes)
        check_length(max_length, classifier.model, name)
        return made
    encoder = _first_token_encoder(name, config, tokenizer)
    model = _with_default_head(name, tokenizer, classes) if encoder is None else encoder
    check_vocabulary(tokenizer, model, name)
    check_length(max_length, model, name)
    check_finite(model, name)
    if encoder is None:
        return wrap_model(model, tokenizer, name)
    return Transformer(encoder, len(classes), name=ALIASES.get(name, name))


def adapter_error(name: str) -> ValueError:
    """The error for a folder of the peft library."""
    return ValueError(
        f"{name} holds an adapter (adapter_config.json), not a whole model: load it by peft, save "
        "model.merge_and_unload().save_pretrained(FOLDER) with the tokenizer beside it, and give that folder"
    )


def _own_code(name: str, what: str) -> str:
    return f"{name} has {what}: load it by its own code, and give pct.wrap the model and its tokenizer"


def _check_class(config: Any, name: str) -> None:
    """Raises where a folder's weights belong to a class that transformers does not have: it would load another."""
    import transformers

    own = [x for x in config.architectures or [] if not hasattr(transformers, x)]
    if own or "AutoModel" + CLASSIFIER in (getattr(config, "auto_map", None) or {}):
        raise ValueError(_own_code(name, f"a class of its own ({', '.join(own) or 'auto_map in config.json'})"))


def has_head(config: Any) -> bool:
    """Whether a configuration is that of a classifier with a head of its own."""
    return any(x.endswith(CLASSIFIER) for x in config.architectures or [])


def class_names(config: Any) -> list[str]:
    """The names of a classifier's classes, in the order of its logits."""
    return [str(config.id2label[i]) for i in range(config.num_labels)]


def max_tokens(model: Any, tokenizer: Any) -> int:
    """Tokens of the longest text that a model takes whole: what its positions and its tokenizer allow."""
    limits = (positions(model), tokenizer.model_max_length, NO_LIMIT)
    return int(min(x for x in limits if x is not None))


def order_head(classifier: Wrapped, classes: Sequence[str]) -> None:
    """Puts the outputs of a head into the order of these classes; names are compared without their case.

    A head whose names say nothing (LABEL_0, ..) takes these. Raises ValueError where the classes are others.
    """
    config: Any = classifier.model.config
    own = class_names(config)
    if all(re.fullmatch(r"LABEL_\d+", x) for x in own) and len(own) == len(classes):
        _log.warning("%s names its classes %s: they are taken for %s", classifier.name, ", ".join(own), ", ".join(classes))
        order = list(range(len(own)))
    else:
        index = {x.casefold(): i for i, x in enumerate(own)}
        if len(index) < len(own) or set(index) != {x.casefold() for x in classes} or len(own) != len(classes):
            raise ValueError(
                f"{classifier.name} has a head for the classes {', '.join(own)}, the corpus has {', '.join(classes)}: give "
                "texts of the model's classes, or --fresh-head true to train a new head"
            )
        order = [index[x.casefold()] for x in classes]
    with torch.no_grad():
        for weight in classifier.dense.parameters():
            weight.copy_(weight[order].clone())
    config.id2label = dict(enumerate(classes))
    config.label2id = {x: i for i, x in enumerate(classes)}


def pretrained(kind: str, name: str, **options: Any) -> Any:
    """`from_pretrained` of a class of transformers, without code that a folder brings.

    Raises OSError, ImportError or (for an adapter, or code of its own) ValueError, in one line with the remedy.
    """
    try:
        import transformers
    except ImportError:
        raise ImportError(f"model {name!r} needs transformers: pip install 'pct-explain[transformers]'") from None
    if (Path(name) / "adapter_config.json").is_file():
        raise adapter_error(name)
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        return getattr(transformers, kind).from_pretrained(ALIASES.get(name, name), trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as problem:
        if "trust_remote_code" in str(problem):
            raise ValueError(_own_code(name, "code of its own, which is not run")) from problem
        raise OSError(
            f"model {name!r} is neither textcnn, lstm, a folder with config.json, model.safetensors and a tokenizer, "
            f"nor a model that the Hugging Face hub gave: {(str(problem).splitlines() or ['no word of why'])[0]}"
        ) from problem
    finally:
        if shown:
            bars.enable_progress_bar()


def _first_token_encoder(name: str, config: Any, tokenizer: Any) -> Any:
    """The encoder where its first token's state speaks for the whole text; None where it does not."""
    if getattr(config, "is_encoder_decoder", False):
        return None
    first = tokenizer("a")["input_ids"][:1]
    if not first or first[0] not in tokenizer.all_special_ids:
        return None
    encoder = pretrained("AutoModel", name, use_safetensors=True, dtype=torch.float32)
    check_vocabulary(tokenizer, encoder, name)
    return encoder if is_bidirectional(encoder) else None


def _with_default_head(name: str, tokenizer: Any, classes: Sequence[str]) -> Any:
    names = dict(enumerate(classes))
    model = pretrained(
        "AutoModel" + CLASSIFIER, name, use_safetensors=True, dtype=torch.float32, id2label=names,
        label2id={x: i for i, x in names.items()},
    )  # fmt: skip
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return model


def _types(tokenizer: Any) -> tuple[int, int, int]:
    """The token types of a text's first token, of those between, and of its last one."""
    given = tokenizer("a a a")
    types = given.get("token_type_ids") or [0]
    return int(types[0]), int(types[len(types) // 2]), int(types[-1])


def _unread(model: Any, tokenizer: Any) -> int:
    """How many tokens of the frame at a text's end are the padding token of the model's configuration."""
    padding = model.config.get_text_config().pad_token_id
    ids = tokenizer("a")["input_ids"]
    return len(ids) - max((i + 1 for i, token in enumerate(ids) if token != padding), default=1)
