"""A sequence classifier of the transformers library, with the head that it has."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn

from pct.models.base import Features, TextModel, without_dropout
from pct.models.checks import padding_changes


class Wrapped(TextModel):
    """Any `AutoModelForSequenceClassification`; its logits are the model's own.

    r(X) is what the last dense layer of its head reads. A decoder's head reads the state of a text's last token, an
    encoder-decoder's the decoder's state there; any other head finds its own way, and is watched.

    Args:
        model: the classifier.
        name: its hub name or folder.
        padding: "right", or "left" where the model needs it there (XLNet); found out where empty.
        last_type: the token type of a text's last token, where all others have 0 (XLNet's is 2).

    Raises:
        ValueError: the model takes no embeddings, or padding changes its result.
    """

    def __init__(self, model: nn.Module, name: str = "", padding: str = "", last_type: int = 0) -> None:
        super().__init__()
        self.model, self.name, self.last_type, self.padding = model, name, last_type, padding or "right"
        config: Any = model.config
        self._has_decoder = bool(getattr(config, "is_encoder_decoder", False))
        self._reads_every_token = False
        self._watch = _Watch()
        # beside the registered modules: they are parts of the model, and its weights are saved once
        object.__setattr__(self, "dense", _last_dense(model))
        object.__setattr__(self, "dropout", nn.Dropout(0.0))
        self.dense.register_forward_pre_hook(self._watch.enter_dense)
        try:
            self._trace_head()
            if not padding:
                self._find_side()
        except (NotImplementedError, TypeError) as problem:
            raise ValueError(
                f"{type(model).__name__} takes no embeddings in place of token ids ({' '.join(str(problem).split())}): "
                "there is no gradient at its words; take another architecture"
            ) from problem

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

    def config(self) -> dict[str, Any]:
        """See `TextModel.config`: the model's own configuration whole, so that no hub is asked at loading."""
        model: Any = self.model
        return {
            "family": "wrapped", "name": self.name, "padding": self.padding, "last_type": self.last_type,
            "model": model.config.to_dict(),
        }  # fmt: skip

    def _read(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """What the last dense layer reads, before its dropout: (batch, width)."""
        model: Any = self.model
        if self._reads_every_token:  # its head would take the last place, be it padding or not
            states = model.base_model(inputs_embeds=embeddings, attention_mask=mask.long(), use_cache=False)[0]
            return _at_last(states, mask)
        if self._has_decoder:
            model.classification_head(_at_last(self._decode(embeddings, mask), mask))
        else:
            self._run(embeddings, mask)
        return self._watch.take()

    def _run(self, embeddings: Tensor, mask: Tensor) -> None:
        model: Any = self.model
        given: dict[str, Any] = {}
        if self.last_type:
            last = torch.arange(mask.shape[1], device=mask.device) == mask.sum(1, keepdim=True) - 1
            given["token_type_ids"] = last * self.last_type
        if self.padding == "left":
            places = _places_from_the_right(mask)
            embeddings = embeddings.gather(1, places[..., None].expand_as(embeddings))
            mask, given = mask.gather(1, places), {k: v.gather(1, places) for k, v in given.items()}
        model(inputs_embeds=embeddings, attention_mask=mask.long(), **given)

    def _decode(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """The decoder's states, (batch, length, width): it reads the text itself, one place late."""
        model: Any = self.model
        start = mask.new_full((mask.shape[0], 1), model.config.decoder_start_token_id, dtype=torch.long)
        late = torch.cat([self.embed(start), embeddings[:, :-1]], 1)
        states: Tensor = model.base_model(
            inputs_embeds=embeddings, attention_mask=mask.long(), decoder_inputs_embeds=late, use_cache=False
        )[0]
        return states

    def _trace_head(self) -> None:
        """Finds the dropout that the last dense layer reads from, and whether it reads the state of every token."""
        ids = torch.arange(4, 8, device=self.device)[None]
        mask = torch.ones_like(ids, dtype=torch.bool)
        given: list[tuple[nn.Dropout, Tensor]] = []
        hooks = [
            m.register_forward_hook(lambda module, _, out: given.append((module, out)))
            for m in self.model.modules()
            if isinstance(m, nn.Dropout)
        ]
        try:
            with torch.no_grad(), without_dropout(self.model):
                if self._has_decoder:
                    pooled = self._read(self.embed(ids), mask)
                else:
                    self.model(input_ids=ids, attention_mask=mask.long())
                    pooled = self._watch.take()
        finally:
            for hook in hooks:
                hook.remove()
        self._reads_every_token = pooled.ndim == 3
        # out of training a dropout gives what it was given, at the same place of the memory
        before = [module for module, out in given if out.data_ptr() == pooled.data_ptr()]
        if before:
            object.__setattr__(self, "dropout", before[-1])
            self.dropout.register_forward_pre_hook(self._watch.enter_dropout)

    def _find_side(self) -> None:
        for self.padding in ("right", "left"):
            if not padding_changes(self):
                return
        raise ValueError(
            f"{type(self.model).__name__} gives a text another result when it is padded, on either side: what it "
            "predicts depends on the batch, so nothing could be measured; take another architecture"
        )


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


def _last_dense(model: nn.Module) -> nn.Linear:
    config: Any = model.config
    found = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == config.num_labels]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no dense layer of {config.num_labels} outputs, one a class: it is no sequence "
            "classifier; give a model of AutoModelForSequenceClassification"
        )
    return found[-1]


def _at_last(states: Tensor, mask: Tensor) -> Tensor:
    """(batch, length, width), padded on the right -> the states of the last tokens, (batch, width)."""
    last = (mask.sum(1) - 1).clamp(min=0)
    return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[-1])).squeeze(1)


def _places_from_the_right(mask: Tensor) -> Tensor:
    """Where each place of a text that is padded on the left finds its token in one padded on the right."""
    length = mask.shape[1]
    place = torch.arange(length, device=mask.device) + mask.sum(1, keepdim=True)
    return torch.where(place < length, place, place - length)
