"""A sequence classifier of the transformers library with its own head."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pct.models.attention_mask import attention_mask
from pct.models.base import Features, TextModel, without_dropout
from pct.models.checks import close, one_line, padding_changes, probe_ids
from pct.models.encoder import last_state, mean_state
from pct.models.outputs import SIGMOID_KIND, SOFTMAX_KIND, TwoClasses, class_names, two_logits
from pct.models.token_types import embedded_tokens, inputs_of, inputs_of_ids, plain_table

TRACE_LENGTH = 4  # tokens of the text with which a head is traced
STARTS_WITH_LAST_TOKEN = ("mbart", "plbart")  # models whose decoder starts from the text's last token


class Wrapped(TextModel):
    """Any `AutoModelForSequenceClassification`; its logits are the model's own.

    r(X) is the input of the last dense layer of its head. The states of a head that reads every token are pooled here:
    the last token, as in decoders, or the mean. The head of an encoder-decoder reads the decoder's state at the last
    token. Any other head runs as it is, and forward hooks capture the input.

    Args:
        model: the classifier. Two forward hooks are registered on its head.
        name: its hub name or folder.
        padding: the side, "right" or "left" (XLNet); detected if empty.
        reads_types: whether the model is given the token types (see `pct.models.token_types.reads_types`).
        unread: the number of tokens at the end of each text that the model treats as padding, because its end token is
            the padding token (GPT-2). A decoder's head reads the state before them.
        head: the kind of its outputs (see `pct.models.outputs`); one output z of kind sigmoid has the logits (0, z).

    Raises:
        ValueError: the model takes no embeddings, its head is not supported, or padding changes its result.
    """

    family = "wrapped"
    model: Any  # the library's types are not used

    def __init__(
        self,
        model: nn.Module,
        name: str = "",
        padding: str = "",
        reads_types: bool = False,
        unread: int = 0,
        head: str = "",
    ) -> None:
        super().__init__()
        self.model, self.name, self.reads_types, self.unread = model, name, reads_types, unread
        self.output_kind = head
        self.task_kind = SOFTMAX_KIND if self._has_score or not head else head
        self.padding = padding or "right"
        self.padding_ids = _padding_ids(model)
        self._has_decoder = bool(getattr(self.model.config, "is_encoder_decoder", False))
        self._pooling, self._reads_states = "", False
        self._capture = _InputCapture()
        # not registered as submodules: they are parts of the model, and its weights must be saved once
        object.__setattr__(self, "dense", last_dense(model))
        object.__setattr__(self, "dropout", nn.Dropout(0.0))
        try:
            self._trace_head()
            if self._has_score:
                object.__setattr__(self, "dense", TwoClasses(self.dense))
            # the first side on which padding changes nothing is kept
            wrong_side = not padding and all(padding_changes(self) for self.padding in ("right", "left"))
        except UnsupportedHead:
            raise
        except Exception as problem:
            raise ValueError(
                f"{type(model).__name__} takes no embeddings in place of token ids ({one_line(problem)}): there is no "
                "gradient at its words; use another architecture"
            ) from problem
        if wrong_side:
            raise ValueError(
                f"{type(model).__name__} gives a text another result when it is padded, on either side: its "
                "predictions depend on the batch, so it cannot be measured; use another architecture"
            )

    def embed(self, ids: Tensor) -> Tensor:
        """See `TextModel.embed`: the model's `inputs_embeds`."""
        holder = self.model.get_encoder() if self._has_decoder else self.model
        return embedded_tokens(holder.get_input_embeddings(), ids, self.reads_types)

    @property
    def word_table(self) -> nn.Embedding | None:
        """See `TextModel.word_table`. A decoder reads the table of its encoder."""
        return None if self._has_decoder else plain_table(self.model)

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        """See `TextModel.features`."""
        pooled = self._read(embeddings, mask)
        return Features(pooled, pooled)

    def same_logits_from_embeddings(self, ids: Tensor) -> bool:
        """Whether the model gives token ids (1, length) and their embeddings the same logits, in windows if it reads
        them."""

        def from_ids(ids: Tensor, mask: Tensor) -> Features:
            # each row alone, since a model recognises padding by its id
            rows = [inputs_of_ids(row[real, 0][None], self.reads_types) for row, real in zip(ids, mask, strict=True)]
            ones = [torch.ones_like(inputs["input_ids"]) for inputs in rows]
            own = [self.model(**inputs, attention_mask=x).logits for inputs, x in zip(rows, ones, strict=True)]
            logits = self.logits_of(torch.cat(own))
            return Features(logits, logits)

        mask = torch.ones_like(ids, dtype=torch.bool)
        read = from_ids if self.text_windows is None else partial(self.text_windows.read, from_ids)
        with torch.no_grad(), without_dropout(self):
            return close(read(ids[..., None], mask).pooled, self.encode(self.embed(ids), mask).logits)

    @property
    def _has_score(self) -> bool:
        return self.output_kind == SIGMOID_KIND and self.model.config.num_labels == 1

    @property
    def classes(self) -> list[str]:
        """The names of its classes, by its configuration."""
        return class_names(self.model.config, self.output_kind or SIGMOID_KIND)

    def logits_of(self, own: Tensor) -> Tensor:
        """The logits of the classes, from the model's own logits."""
        return two_logits(own) if self._has_score else own

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`. It has the model's whole configuration, so that loading needs no hub."""
        return {
            "family": self.family, "name": self.name, "padding": self.padding,
            "reads_types": self.reads_types, "unread": self.unread, "model": self.model.config.to_dict(),
            **({"head": self.output_kind} if self.output_kind else {}),
        }  # fmt: skip

    def _read(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """The input of the last dense layer before its dropout, (batch, width)."""
        if self._has_decoder:
            self.model.classification_head(last_state(self._decode(embeddings, mask), mask))
            return self._capture.take()
        if self._reads_states:  # not with the model's own pooling, which cannot detect padding in embeddings
            inputs = inputs_of(embeddings, self.reads_types)
            given = attention_mask(self.model, mask)
            states = self.model.base_model(**inputs, attention_mask=given, use_cache=False)[0]
        else:
            self._run(embeddings, mask)
            states = self._capture.take()
        return _POOLINGS[self._pooling](states, mask, self.unread) if self._pooling else states

    def _run(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """The model's own logits, with padding on the model's side."""
        if self.padding == "left":
            index = _left_padded_index(mask)
            embeddings = embeddings.gather(1, index[..., None].expand_as(embeddings))
            mask = mask.gather(1, index)
        given = attention_mask(self.model, mask)
        return self.model(**inputs_of(embeddings, self.reads_types), attention_mask=given).logits

    def _decode(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """The decoder's states, (batch, length, width). Its input is the text, shifted by one token."""
        if self.model.config.model_type in STARTS_WITH_LAST_TOKEN:
            start = last_state(embeddings, mask)[:, None]
        else:
            ids = mask.new_full((mask.shape[0], 1), self.model.config.decoder_start_token_id, dtype=torch.long)
            start = self.embed(ids)
        shifted = torch.cat([start, embeddings[:, :-1]], 1)
        return self.model.base_model(
            inputs_embeds=embeddings, attention_mask=mask.long(), decoder_inputs_embeds=shifted, use_cache=False
        )[0]

    def _trace_head(self) -> None:
        """Finds the last dense layer, the dropout before it, and whether it reads the state of every token."""
        ids = probe_ids(self.model, TRACE_LENGTH)[None]
        mask = torch.ones_like(ids, dtype=torch.bool)
        if self._has_decoder:
            if not hasattr(self.model, "classification_head"):
                raise _unsupported_head(self.model)
            self.dense.register_forward_pre_hook(self._capture.enter_dense)
            with torch.no_grad(), without_dropout(self.model), _calls(self.model, nn.Dropout) as dropouts:
                self._capture_dropout(dropouts, self._read(self.embed(ids), mask))
            return
        with torch.no_grad(), without_dropout(self.model), _calls(self.model, nn.Dropout, nn.Linear) as calls:
            logits = self.model(**inputs_of_ids(ids, self.reads_types), attention_mask=mask.long()).logits
        heads = [call for call in calls if _has_outputs(call.module, self.model)]
        if not heads:
            raise _unsupported_head(self.model)
        object.__setattr__(self, "dense", heads[-1].module)
        self.dense.register_forward_pre_hook(self._capture.enter_dense)
        self._capture_dropout([c for c in calls if isinstance(c.module, nn.Dropout)], heads[-1].given)
        if heads[-1].given.ndim == 3:
            self._find_pooling(heads[-1].given, logits, ids, mask)

    def _capture_dropout(self, calls: Sequence[_Call], pooled: Tensor) -> None:
        # without training, the output of a dropout is its input, with the same memory address
        before = [call.module for call in calls if call.out.data_ptr() == pooled.data_ptr()]
        if before:
            object.__setattr__(self, "dropout", before[-1])
            self.dropout.register_forward_pre_hook(self._capture.enter_dropout)

    def _find_pooling(self, states: Tensor, logits: Tensor, ids: Tensor, mask: Tensor) -> None:
        with torch.no_grad(), without_dropout(self.model):
            matching = [k for k, pool in _POOLINGS.items() if close(self.dense(pool(states, mask, 0)), logits)]
            if not matching:
                raise _unsupported_head(self.model)
            self._pooling = matching[0]
            inputs = inputs_of(self.embed(ids), self.reads_types)
            base = self.model.base_model(**inputs, attention_mask=mask.long(), use_cache=False)[0]
            self._reads_states = base.shape == states.shape and close(base, states)


def _padding_ids(model: Any) -> set[int]:
    """The ids that a model takes for padding, by its configuration or its layers; its tokenizer may have another."""
    own = (model.config.get_text_config().pad_token_id, *(getattr(x, "padding_idx", None) for x in model.modules()))
    return {x for x in own if isinstance(x, int)}


class _Call(NamedTuple):
    """A module's forward call. given: its first argument. out: its result."""

    module: Any
    given: Tensor
    out: Tensor


@contextmanager
def _calls(model: nn.Module, *kinds: type[nn.Module]) -> Iterator[list[_Call]]:
    """Records the calls of all modules of the given types, in order."""
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


class _InputCapture:
    """Captures the input of a head's last dropout, or of its last dense layer if no dropout precedes it.

    Its `enter_` methods are forward hooks that stay on the head. Each thread has its own value, so that threads can
    share a model. Copies of a model share the object: a thread must take a value before its next pass.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def __deepcopy__(self, _: dict[int, Any]) -> _InputCapture:
        return self

    def __reduce__(self) -> tuple[type[_InputCapture], tuple[()]]:
        return _InputCapture, ()

    def enter_dropout(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """The hook of the dropout."""
        self._of_thread.by_dropout = inputs[0]

    def enter_dense(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """The hook of the dense layer."""
        by_dropout = self._of_thread.__dict__.pop("by_dropout", None)
        self._of_thread.seen = inputs[0] if by_dropout is None else by_dropout

    def take(self) -> Tensor:
        """Returns and removes the value of this thread's last pass."""
        return self._of_thread.__dict__.pop("seen")


def _has_outputs(module: nn.Module, model: Any) -> bool:
    return isinstance(module, nn.Linear) and module.out_features == model.config.num_labels


def last_dense(model: nn.Module) -> nn.Linear:
    """The last dense layer with as many outputs as the model has classes. Raises `UnsupportedHead` if there is none."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear) and _has_outputs(m, model)]
    if not layers:
        raise _unsupported_head(model)
    return layers[-1]


class UnsupportedHead(ValueError):
    """A classifier's logits are not the output of a last dense layer."""


def _unsupported_head(model: Any) -> UnsupportedHead:
    return UnsupportedHead(
        f"the logits of {type(model).__name__} are not those of a last dense layer (torch.nn.Linear) of "
        f"{model.config.num_labels} outputs, read at the last token or at the mean of all: its head has an unknown "
        "form; give pct.predictor_from a function that calls it"
    )


_POOLINGS = {"last": last_state, "mean": mean_state}


def _left_padded_index(mask: Tensor) -> Tensor:
    """(batch, length) the index, in texts padded on the right, of each token of the texts padded on the left."""
    length = mask.shape[1]
    index = torch.arange(length, device=mask.device) + mask.sum(1, keepdim=True)
    return torch.where(index < length, index, index - length)
