"""The attention mask that a model of transformers is given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pct.models.transfer import reading_is_free

# Families that pass a mask of four dimensions on to PyTorch's attention unchanged.
FOUR_DIMENSIONS = {"albert", "bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta"}


def attention_mask(config: Any, mask: Tensor) -> Tensor:
    """The argument `attention_mask`.

    transformers reads of a mask of two dimensions whether it has padding, for which the host would wait in each pass of
    a training step on a GPU. So there the mask has four, if the model takes it.

    Args:
        config: of the model.
        mask: (batch, length), true at real tokens.

    Returns:
        (batch, length), 1 at real tokens; or (batch, 1, 1, length), true at real tokens.
    """
    if reading_is_free(mask.device) or not torch.is_grad_enabled():
        return mask.long()
    by_torch = getattr(config, "_attn_implementation", "") == "sdpa"
    return mask[:, None, None] if by_torch and config.model_type in FOUR_DIMENSIONS else mask.long()
