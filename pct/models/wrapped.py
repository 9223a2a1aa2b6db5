"""A sequence classifier of the transformers library, with the head that it has."""

from __future__ import annotations

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

    family = "wrapped"

    def __init__(self, model: nn.Module, name: str = "", padding: str = "", last_type: int = 0) -> None:
        super().__init__()
        self.model, self.name, self.last_type, self.padding = model, name, last_type, padding or "right"
        config: Any = model.config
        self._has_decoder = bool(getattr(config, "is_encoder_decoder", False))
        self._reads_every_token = False
        # beside the registered modules: they are parts of the model, and its weights are saved once
        object.__setattr__(self, "dense", _last_dense(model))
        object.__setattr__(self, "dropout", nn.Dropout(0.0))
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
            "family": self.family, "name": self.name, "padding": self.padding, "last_type": self.last_type,
            "model": model.config.to_dict(),
        }  # fmt: skip

    def _read(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """What the last dense layer reads, before its dropout: (batch, width)."""
        model: Any = self.model
        if self._reads_every_token:  # its head would take the last place, be it padding or not
            states = model.base_model(inputs_embeds=embeddings, attention_mask=mask.long(), use_cache=False)[0]
            return _at_last(states, mask)
        with _Watch(self.dropout, self.dense) as watch:
            if self._has_decoder:
                model.classification_head(_at_last(self._decode(embeddings, mask), mask))
            else:
                self._run(embeddings, mask)
        return watch.seen

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
            with torch.no_grad(), without_dropout(self.model), _Watch(self.dropout, self.dense) as watch:
                if self._has_decoder:
                    watch.seen = self._read(self.embed(ids), mask)
                else:
                    self.model(input_ids=ids, attention_mask=mask.long())
        finally:
            for hook in hooks:
                hook.remove()
        self._reads_every_token = watch.seen.ndim == 3
        # out of training a dropout gives what it was given, at the same place of the memory
        before = [module for module, out in given if out.data_ptr() == watch.seen.data_ptr()]
        if before:
            object.__setattr__(self, "dropout", before[-1])

    def _find_side(self) -> None:
        for self.padding in ("right", "left"):
            if not padding_changes(self):
                return
        raise ValueError(
            f"{type(self.model).__name__} gives a text another result when it is padded, on either side: what it "
            "predicts depends on the batch, so nothing could be measured; take another architecture"
        )


class _Watch:
    """What enters a head's last dropout, or its last dense layer where no dropout comes first."""

    seen: Tensor

    def __init__(self, dropout: nn.Dropout, dense: nn.Linear) -> None:
        self.dropout, self.dense = dropout, dense

    def __enter__(self) -> _Watch:
        self._by_dropout: Tensor | None = None
        self._hooks = [
            self.dropout.register_forward_pre_hook(self._enter_dropout),
            self.dense.register_forward_pre_hook(self._enter_dense),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _enter_dropout(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._by_dropout = inputs[0]

    def _enter_dense(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.seen = inputs[0] if self._by_dropout is None else self._by_dropout


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
