"""Token types (BERT's segments) as a model reads them: of each token, from its id or from its embedding.

The embedding of a token has a further column, its type, if the model reads types, so that the type stays with its token
however texts are recombined. The gradient at this column is zero.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pct.text.tokens import TOKEN_TYPE

TYPES = "token_type_ids"


def reads_types(model: nn.Module, tokenizer: Any) -> bool:
    """Whether the tokenizer gives types, and the model takes them."""
    return TYPES in tokenizer.model_input_names and TYPES in inspect.signature(model.forward).parameters


def has_types(config: Any) -> bool:
    """Whether a model with this configuration has embeddings of several token types."""
    return (getattr(config, "type_vocab_size", None) or 0) > 1


def embedded_tokens(table: Callable[[Tensor], Tensor], ids: Tensor, types: bool) -> Tensor:
    """The embeddings of tokens by their ids, (.., width), with a column of their types if `types`."""
    embedded = table(ids % TOKEN_TYPE)
    if not types:
        return embedded
    return torch.cat([embedded, (ids // TOKEN_TYPE)[..., None].to(embedded.dtype)], -1)


def plain_table(model: Any) -> nn.Embedding | None:
    """The word embeddings of a model of transformers; None if they are no table."""
    table = model.get_input_embeddings()
    return table if isinstance(table, nn.Embedding) else None


def inputs_of(embeddings: Tensor, types: bool) -> dict[str, Tensor]:
    """The arguments of a model of transformers for what `embedded_tokens` gives."""
    if not types:
        return {"inputs_embeds": embeddings}
    return {"inputs_embeds": embeddings[..., :-1], TYPES: embeddings[..., -1].round().long()}


def inputs_of_ids(ids: Tensor, types: bool) -> dict[str, Tensor]:
    """The arguments of a model of transformers for the ids of tokens."""
    return {"input_ids": ids % TOKEN_TYPE} | ({TYPES: ids // TOKEN_TYPE} if types else {})


def typed_ids(given: Any) -> Tensor:
    """The ids, with types, of what a tokenizer gave."""
    return given["input_ids"] + TOKEN_TYPE * given.get(TYPES, 0)
