"""A sequence classifier of the transformers library, with the head that it has."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pct.models.base import Features, TextModel, without_dropout
from pct.models.checks import close, one_line, padding_changes, probe_ids

TRACE_LENGTH = 4  # tokens of the text by which a head is looked at
STARTS_WITH_LAST_TOKEN = ("mbart", "plbart")  # whose decoder starts from the text's last token


class Wrapped(TextModel):
    """Any `AutoModelForSequenceClassification`; its logits are the model's own.

    r(X) is what the last dense layer of its head reads. A head that reads every token is pooled here: over the last
    token, as decoders have it, or over their mean. An encoder-decoder's head reads the decoder's state at the last
    token. Any other head finds its own way, and is watched.

    Args:
        model: the classifier. Two forward hooks are put on its head.
        name: its hub name or folder.
        padding: "right", or "left" where the model needs it there (XLNet); found out where empty.
        types: the token types of a text's first token, of those between, and of its last one (XLNet: 0, 0, 2).
        unread: how many tokens at the end of each text are padding to the model: those of a frame whose token for the
            end is the padding token (GPT-2). A decoder's head reads the state before them.

    Raises:
        ValueError: the model takes no embeddings, its head has another form, or padding changes its result.
    """

    family = "wrapped"

    def __init__(
        self,
        model: nn.Module,
        name: str = "",
        padding: str = "",
        types: Sequence[int] = (0, 0, 0),
        unread: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.name, self.types, self.unread = model, name, tuple(types), unread
        self.padding = padding or "right"
        config: Any = model.config
        self._has_decoder = bool(getattr(config, "is_encoder_decoder", False))
        self._pooling, self._reads_states = "", False
        self._watch = _Watch()
        # beside the registered modules: they are parts of the model, and its weights are saved once
        object.__setattr__(self, "dense", _last_dense(model))
        object.__setattr__(self, "dropout", nn.Dropout(0.0))
        try:
            self._trace_head()
            wrong_side = not padding and self._depends_on_padding()
        except UnsupportedHead:
            raise
        except Exception as problem:
            raise ValueError(
                f"{type(model).__name__} takes no embeddings in place of token ids ({one_line(problem)}): there is no "
                "gradient at its words; take another architecture"
            ) from problem
        if wrong_side:
            raise ValueError(
                f"{type(model).__name__} gives a text another result when it is padded, on either side: what it "
                "predicts depends on the batch, so nothing could be measured; take another architecture"
            )

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`: what the model takes as `inputs_embeds`."""
        model: Any = self.model
        table = model.get_encoder().get_input_embeddings() if self._has_decoder else model.get_input_embeddings()
        embedded: Tensor = table(ids)
        return embedded

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`."""
        pooled = self._read(embeddings, mask)
        return Features(pooled, pooled)

    def same_logits_from_embeddings(self, ids: Tensor) -> bool:
        """Whether the model gives token ids (1, length) the logits that it gives their embeddings."""
        model: Any = self.model
        mask = torch.ones_like(ids, dtype=torch.bool)
        with torch.no_grad(), without_dropout(self):
            own = model(input_ids=ids, attention_mask=mask.long()).logits
            return close(own, self.encode(self.embed(ids), mask).logits)

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`: the model's own configuration whole, so that no hub is asked at loading."""
        model: Any = self.model
        return {
            "family": self.family, "name": self.name, "padding": self.padding, "types": list(self.types),
            "unread": self.unread, "model": model.config.to_dict(),
        }  # fmt: skip

    def _read(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """What the last dense layer reads, before its dropout: (batch, width)."""
        model: Any = self.model
        if self._has_decoder:
            model.classification_head(_at_last(self._decode(embeddings, mask), mask))
            return self._watch.take()
        if self._reads_states:  # without the model's own pooling, which sees no padding in embeddings
            states = model.base_model(inputs_embeds=embeddings, attention_mask=mask.long(), use_cache=False)[0]
        else:
            self._run(embeddings, mask)
            states = self._watch.take()
        return _POOLINGS[self._pooling](states, mask, self.unread) if self._pooling else states

    def _run(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """The model's own logits, of a batch that is padded on the side that it needs."""
        model: Any = self.model
        given: dict[str, Any] = {}
        if any(self.types):
            first, inner, last = self.types
            place, end = torch.arange(mask.shape[1], device=mask.device), mask.sum(1, keepdim=True) - 1
            types = torch.where(place == end, last, torch.where(place == 0, first, inner))
            given["token_type_ids"] = torch.where(place > end, 0, types)
        if self.padding == "left":
            index = _left_padded_index(mask)
            embeddings = embeddings.gather(1, index[..., None].expand_as(embeddings))
            mask, given = mask.gather(1, index), {k: v.gather(1, index) for k, v in given.items()}
        logits: Tensor = model(inputs_embeds=embeddings, attention_mask=mask.long(), **given).logits
        return logits

    def _decode(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """The decoder's states, (batch, length, width): it reads the text itself, one place late."""
        model: Any = self.model
        if model.config.model_type in STARTS_WITH_LAST_TOKEN:
            start = _at_last(embeddings, mask)[:, None]
        else:
            ids = mask.new_full((mask.shape[0], 1), model.config.decoder_start_token_id, dtype=torch.long)
            start = self.embed(ids)
        late = torch.cat([start, embeddings[:, :-1]], 1)
        states: Tensor = model.base_model(
            inputs_embeds=embeddings, attention_mask=mask.long(), decoder_inputs_embeds=late, use_cache=False
        )[0]
        return states

    def _trace_head(self) -> None:
        """Finds the last dense layer, the dropout that it reads from, and whether it reads the state of every token."""
        model: Any = self.model
        ids = probe_ids(model, TRACE_LENGTH)[None]
        mask = torch.ones_like(ids, dtype=torch.bool)
        if self._has_decoder:
            if not hasattr(model, "classification_head"):
                raise _unsupported_head(model)
            self.dense.register_forward_pre_hook(self._watch.enter_dense)
            with torch.no_grad(), without_dropout(model), _calls(model, nn.Dropout) as dropouts:
                self._watch_dropout(dropouts, self._read(self.embed(ids), mask))
            return
        with torch.no_grad(), without_dropout(model), _calls(model, nn.Dropout, nn.Linear) as calls:
            logits = model(input_ids=ids, attention_mask=mask.long()).logits
        heads = [call for call in calls if _has_outputs(call.module, model)]
        if not heads:
            raise _unsupported_head(model)
        object.__setattr__(self, "dense", heads[-1].module)
        self.dense.register_forward_pre_hook(self._watch.enter_dense)
        self._watch_dropout([c for c in calls if isinstance(c.module, nn.Dropout)], heads[-1].given)
        if heads[-1].given.ndim == 3:
            self._find_pooling(heads[-1].given, logits, ids, mask)

    def _watch_dropout(self, calls: Sequence[_Call], pooled: Tensor) -> None:
        # out of training a dropout gives what it was given, at the same place of the memory
        before = [call.module for call in calls if call.out.data_ptr() == pooled.data_ptr()]
        if before:
            object.__setattr__(self, "dropout", before[-1])
            self.dropout.register_forward_pre_hook(self._watch.enter_dropout)

    def _find_pooling(self, states: Tensor, logits: Tensor, ids: Tensor, mask: Tensor) -> None:
        model: Any = self.model
        with torch.no_grad(), without_dropout(model):
            matching = [k for k, pool in _POOLINGS.items() if close(self.dense(pool(states, mask, 0)), logits)]
            if not matching:
                raise _unsupported_head(model)
            self._pooling = matching[0]
            base = model.base_model(inputs_embeds=self.embed(ids), attention_mask=mask.long(), use_cache=False)[0]
            self._reads_states = base.shape == states.shape and close(base, states)

    def _depends_on_padding(self) -> bool:
        return all(padding_changes(self) for self.padding in ("right", "left"))


class _Call(NamedTuple):
    """module: what was called. given: its first argument. out: its result."""

    module: Any
    given: Tensor
    out: Tensor


@contextmanager
def _calls(model: nn.Module, *kinds: type[nn.Module]) -> Iterator[list[_Call]]:
    """The calls of all modules of some kinds, in their order."""
    calls: list[_Call] = []

    def record(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
        if given and isinstance(given[0], Tensor) and isinstance(out, Tensor):
            calls.append(_Call(module, given[0], out))

    hooks = [m.register_forward_hook(record) for m in model.modules() if isinstance(m, kinds)]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


class _Watch:
    """What entered a head's last dropout, or its last dense layer where no dropout comes first.

    Its two methods are forward hooks that stay on the head. Each thread has a value of its own, so that threads can
    share a model. Copies of a model share the watch: a thread takes a value before it begins another pass.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def __deepcopy__(self, _: dict[int, Any]) -> _Watch:
        return self

    def __reduce__(self) -> tuple[type[_Watch], tuple[()]]:
        return _Watch, ()

    def enter_dropout(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """The hook of the dropout."""
        self._of_thread.by_dropout = inputs[0]

    def enter_dense(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """The hook of the dense layer."""
        by_dropout = self._of_thread.__dict__.pop("by_dropout", None)
        self._of_thread.seen = inputs[0] if by_dropout is None else by_dropout

    def take(self) -> Tensor:
        """The value of this thread's last pass; it is not kept."""
        seen: Tensor = self._of_thread.__dict__.pop("seen")
        return seen


def _has_outputs(module: nn.Module, model: nn.Module) -> bool:
    config: Any = model.config
    return isinstance(module, nn.Linear) and module.out_features == config.num_labels


def _last_dense(model: nn.Module) -> nn.Linear:
    layers = [m for m in model.modules() if isinstance(m, nn.Linear) and _has_outputs(m, model)]
    if not layers:
        raise _unsupported_head(model)
    return layers[-1]


class UnsupportedHead(ValueError):
    """A classifier's logits are not those of one last dense layer."""


def _unsupported_head(model: nn.Module) -> UnsupportedHead:
    config: Any = model.config
    return UnsupportedHead(
        f"the logits of {type(model).__name__} are not those of a last dense layer (torch.nn.Linear) of "
        f"{config.num_labels} outputs, read at the last token or at the mean of all: its head has a form that is not "
        "known; give pct.predictor_from a function that calls it"
    )


def _at_last(states: Tensor, mask: Tensor, unread: int = 0) -> Tensor:
    """(batch, length, width), padded on the right -> the states of the last tokens that are read, (batch, width)."""
    last = (mask.sum(1) - 1 - unread).clamp(min=0)
    return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[-1])).squeeze(1)


def _mean(states: Tensor, mask: Tensor, _: int = 0) -> Tensor:
    """(batch, length, width) -> the mean of the states of all tokens, (batch, width)."""
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


_POOLINGS = {"last": _at_last, "mean": _mean}


def _left_padded_index(mask: Tensor) -> Tensor:
    """Where each place of a text that is padded on the left finds its token in one padded on the right."""
    length = mask.shape[1]
    place = torch.arange(length, device=mask.device) + mask.sum(1, keepdim=True)
    return torch.where(place < length, place, place - length)
