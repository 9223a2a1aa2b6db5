"""Checks of models of the transformers library, before any training.

Each check raises a ValueError with the value and the remedy in one line.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pct.models.base import TextModel, without_dropout
from pct.models.structural_copy import structural_copy
from pct.models.token_types import typed_ids
from pct.text.tokens import Tokens
from pct.text.words import split_all

ROUNDING = 1e-4  # relative to the largest value if that is above 1: float32 sums differ by their order
PROBES = ("a", "Despite its slow start, the film is brilliant: don't miss it!")
PAIR = ("The film is brilliant.", "It is slow, but don't miss it!")
MIN_TOKEN_SHARE = 0.9  # of a model's embeddings must have a token: some tables are padded to a round number
PROBE = 6  # tokens of the longer of two texts that are padded to one length
TYPED_SPECIALS = "a [SEP] b [MASK] c </s> d <s> e <pad> f [PAD] Ä"
SAVED_ROWS = PROBE  # texts of 1 to PROBE tokens with which a reloaded model is compared
_log = logging.getLogger(__name__)
MAX_MESSAGE = 200  # characters of another library's error message


def positions(model: nn.Module) -> int | None:
    """The number of positions of a model, special tokens included; None if it has no limit.

    Learned positions are counted in their table: those of RoBERTa and similar models start after the padding index.
    For rotary positions the limit is in the configuration. Relative positions have no limit.
    """
    config: Any = model.config
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and name.rsplit(".", 1)[-1] in ("position_embeddings", "wpe"):
            before = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - before
    if getattr(config, "relative_attention", False) or getattr(config, "relative_attention_num_buckets", 0):
        return None
    size = getattr(config, "max_position_embeddings", None)
    return int(size) if size and size > 0 else None


def check_length(max_length: int, model: nn.Module, name: str) -> None:
    """Raises if `max_length` exceeds the model's positions."""
    limit = positions(model)
    if limit is not None and max_length > limit:
        raise ValueError(
            f"max_length {max_length} is more than the {limit} positions of {name}: set max_length to {limit} or less"
        )


def check_vocabulary(tokenizer: Any, model: nn.Module, name: str) -> None:
    """Raises if the tokenizer has tokens without an embedding, far fewer tokens than embeddings, or no words."""
    rows = embedding_rows(model)
    special = set(tokenizer.all_special_ids)
    largest = max(tokenizer.get_vocab().values(), default=-1)
    mismatch = (
        f"the tokenizer of {name} has token ids up to {largest}, the model {rows} embeddings: they do not belong "
        "together; use the tokenizer that the model was trained with, or call model.resize_token_embeddings"
    )
    if largest >= rows:
        raise ValueError(mismatch)
    if len(tokenizer) <= len(special):
        raise ValueError(
            f"the tokenizer of {name} has no words, only {len(tokenizer)} special tokens: its files are missing; put "
            "tokenizer.json and tokenizer_config.json beside config.json"
        )
    if len(tokenizer) < MIN_TOKEN_SHARE * rows:
        raise ValueError(mismatch)


def embedding_rows(model: nn.Module) -> int:
    """The number of a model's word embeddings. Raises ValueError if it has no table of them."""
    holder: Any = model
    try:
        table = holder.get_input_embeddings()
        return int(getattr(table, "num_embeddings", None) or table.weight.shape[0])
    except (NotImplementedError, AttributeError) as problem:
        raise ValueError(
            f"{type(model).__name__} has no table of word embeddings ({one_line(problem)}): there is no gradient at "
            "its words; use another architecture"
        ) from problem


def probe_ids(model: nn.Module, count: int) -> torch.Tensor:
    """(count,) token ids for test inputs, without padding and end-of-sequence tokens."""
    config: Any = model.config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    ends = getattr(text, "eos_token_id", None)
    special = {getattr(text, "pad_token_id", None), *(ends if isinstance(ends, (list, tuple)) else [ends])}
    rows = embedding_rows(model)
    plain = [i for i in (*range(4, min(rows, 4 + count + len(special))), 0, 1, 2, 3) if i < rows and i not in special]
    ids = (plain or [0]) * count
    return torch.tensor(ids[:count], device=next(model.parameters()).device)


def one_line(problem: BaseException) -> str:
    """An error's message as one line of at most MAX_MESSAGE characters."""
    message = " ".join(str(problem).split()) or type(problem).__name__
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 3] + "..."


HALF = (torch.float16, torch.bfloat16)


def check_precision(model: nn.Module, name: str) -> None:
    """Raises for weights of half precision on a CPU, which computes them slowly and coarsely."""
    for part, weight in model.named_parameters():
        if weight.dtype in HALF and weight.device.type == "cpu":
            raise ValueError(
                f"the weights of {name} are in half precision ({part} is {weight.dtype}), too coarse to rank words by "
                "on a CPU: call model.float() first"
            )


def in_usable_precision(model: nn.Module, name: str) -> nn.Module:
    """A copy of a model that shares its weights; with weights of half precision on a CPU, a copy in float32.

    A GPU computes half precision, so these weights stay what they are.
    """
    try:
        check_precision(model, name)
    except ValueError:
        _log.warning("the weights of %s are in half precision: a copy in float32 is used on the CPU", name)
        return copy.deepcopy(model).float()
    return structural_copy(model)


def check_finite(model: nn.Module, name: str) -> None:
    """Raises if a weight is NaN or infinite."""
    for part, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise ValueError(f"the weights of {name} are not finite ({part}): use another copy of the model")


def padding_changes(model: TextModel) -> bool:
    """Whether padding a text changes its logits."""
    own: Any = model.model
    ids = probe_ids(own, PROBE).repeat(2, 1)
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[0, PROBE // 2 :] = False
    with torch.no_grad(), without_dropout(model):
        alone = model.encode(model.embed(ids[:1, : PROBE // 2]), mask[:1, : PROBE // 2]).logits
        together = model.encode(model.embed(ids), mask).logits[:1]
    return not close(alone, together)


def is_bidirectional(encoder: nn.Module) -> bool:
    """Whether the state of the first token depends on later tokens. That of a decoder does not."""
    holder: Any = encoder
    ids = probe_ids(encoder, PROBE + 1)[None]
    ids, other = ids[:, :-1], torch.cat([ids[:, :1], ids[:, 2:]], 1)
    with torch.no_grad(), without_dropout(encoder):
        states = [holder(inputs_embeds=holder.get_input_embeddings()(x)).last_hidden_state[:, 0] for x in (ids, other)]
    return not torch.equal(*states)


def close(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors are equal up to rounding. NaN is never equal."""
    scale = max(1.0, float(first.abs().max()))
    difference = float((first.float() - second.float()).abs().max())
    return not math.isnan(difference) and difference <= ROUNDING * scale


def check_kind(model: Any, name: str) -> None:
    """Raises if it is no model of transformers, or if its configuration has no unique class names."""
    if not (isinstance(model, nn.Module) and hasattr(model, "config") and hasattr(model, "get_input_embeddings")):
        raise TypeError(
            f"a {type(model).__name__} is no model of the transformers library; pct.predictor_from takes any function "
            "from texts to probabilities"
        )
    names = getattr(model.config, "id2label", None)
    if not names or set(names) != set(range(len(names))) or len(set(names.values())) < len(names):
        raise ValueError(
            f"the configuration of {name} does not name its classes, or not uniquely (id2label is {names}): set it as "
            'in model.config.id2label = {0: "negative", 1: "positive"}'
        )
    back = getattr(model.config, "label2id", None) or {}
    if set(back) == set(names.values()) and any(back[x] != i for i, x in names.items()):
        raise ValueError(
            f"the configuration of {name} contradicts itself: id2label is {names}, label2id is {back}; set both to the "
            "order of the model's outputs"
        )


def check_outputs(model: Any, tokenizer: Any, name: str) -> None:
    """Raises unless the model gives a text one logit per class, deterministically."""
    limit = {"truncation": True, "max_length": n} if (n := positions(model)) else {}
    try:
        with torch.no_grad(), without_dropout(model):
            given, again = (model(**tokenizer(PROBES[1], return_tensors="pt", **limit).to(model.device)) for _ in "12")
    except Exception as problem:
        raise ValueError(
            f"{name} ({type(model).__name__}) gives no logits for the tokens of a text ({one_line(problem)}): "
            "configure it so that transformers can classify a text with it, or use another architecture"
        ) from problem
    shape = tuple(given.logits.shape) if hasattr(given, "logits") else None
    if shape != (1, model.config.num_labels):
        raise ValueError(
            f"{name} ({type(model).__name__}) does not give a text one logit for each of {model.config.num_labels} "
            "classes: it is no sequence classifier; give a model of AutoModelForSequenceClassification"
        )
    if not close(given.logits, again.logits):
        raise ValueError(
            f"{name} ({type(model).__name__}) gives a text different logits at each call: it cannot be measured; make "
            "it deterministic by its configuration, or use another architecture"
        )


def check_logits(model: TextModel, tokenizer: Any, name: str) -> None:
    """Raises if the logits of texts in a batch differ from those that transformers gives each text."""
    own: Any = model.model
    limit = {"truncation": True, "max_length": n} if (n := positions(own)) else {}
    given = [tokenizer(text, return_tensors="pt", **limit).to(model.device) for text in PROBES]
    if not (difference := _logits_differ(model, given)):
        return
    if _same_from_embeddings(own, given[0]):
        raise ValueError(
            f"{name} ({type(own).__name__}) has logits that are not those of its last dense layer, by {difference}: "
            "its head has an unknown form; give pct.predictor_from a function that calls it"
        )
    raise ValueError(
        f"{name} ({type(own).__name__}) has other logits from embeddings than from token ids, by {difference}: there "
        "is no gradient at its words; use another architecture"
    )


def check_pairs(model: TextModel, tokenizer: Any, name: str) -> None:
    """Raises if the logits of a pair of texts differ from those that transformers gives it, or if it gives none."""
    try:
        given = tokenizer(*PAIR, return_tensors="pt").to(model.device)
        difference = _logits_differ(model, [given])
    except Exception as problem:  # the model's own errors have no common base
        difference = one_line(problem)
    if difference:
        raise ValueError(f"{name} cannot read pairs of texts ({difference}): give each text alone")


def _logits_differ(model: TextModel, given: Sequence[Any]) -> str:
    """By how much the logits of tokenised texts in a batch differ from those of transformers; empty if by rounding."""
    own: Any = model.model
    rows = [typed_ids(x)[0] for x in given]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(x, dtype=torch.bool) for x in rows], batch_first=True)
    with torch.no_grad(), without_dropout(own):
        theirs = model.logits_of(torch.cat([own(**x).logits for x in given]))  # type: ignore[operator]
        ours = model(ids, mask).logits
    return "" if close(theirs, ours) else f"{float((theirs - ours).abs().max()):.2g}"


def _same_from_embeddings(own: Any, given: Any) -> bool:
    """Whether a model gives a text the same logits from the embeddings of its tokens."""
    embedded = {k: v for k, v in given.items() if k != "input_ids"}
    with torch.no_grad(), without_dropout(own):
        embedded["inputs_embeds"] = own.get_input_embeddings()(given["input_ids"])
        return close(own(**given).logits, own(**embedded).logits)


def check_reloaded(before: TextModel, after: TextModel, name: str) -> None:
    """Raises if a model has different logits after it was saved and loaded."""
    rows = embedding_rows(getattr(before, "model", getattr(before, "encoder", before)))
    ids = torch.randint(rows, (SAVED_ROWS, PROBE), generator=torch.Generator().manual_seed(0)).to(before.device)
    mask = torch.arange(PROBE, device=ids.device) < torch.arange(1, SAVED_ROWS + 1, device=ids.device)[:, None]
    with torch.no_grad(), without_dropout(before), without_dropout(after):
        logits, again = before(ids, mask).logits, after(ids, mask).logits
    if not close(logits, again):
        raise ValueError(cannot_be_saved(name, f"it has other logits, by {float((logits - again).abs().max()):.2g}"))


def cannot_be_saved(name: str, reason: str) -> str:
    """The message for a model that changes when it is saved and loaded."""
    return (
        f"{name} cannot be saved: loaded again by transformers, {reason}; the files do not contain its class or its "
        "changes. Keep its own code and give pct.wrap the model, or export it with pct.onnx.export.export"
    )


def check_same_tokens(before: Callable[..., Tokens], after: Callable[..., Tokens]) -> None:
    """Raises if a tokenizer gives different tokens after it was saved and loaded."""
    documents = split_all([*PROBES, " ".join(PROBES * 40), TYPED_SPECIALS])
    if not np.array_equal(before(documents).ids, after(documents).ids):
        raise ValueError(
            "the tokenizer cannot be saved: loaded again by transformers, it gives other tokens; save it by its own "
            "save_pretrained, load it by AutoTokenizer, and wrap the model with that"
        )
