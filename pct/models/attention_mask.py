"""The attention mask that a model of transformers is given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pct.models.transfer import reading_is_free

# Families that pass a mask of four dimensions on to PyTorch's attention unchanged.
FOUR_DIMENSIONS = {"albert", "bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta"}


def attention_mask(model: Any, mask: Tensor) -> Tensor:
    """The argument `attention_mask`.

    transformers checks whether a mask of two dimensions has padding, which makes the host wait for the GPU in each pass
    of a training step. So on a GPU the mask has four, if the model accepts it.

    Args:
        model: of transformers, or of peft around one.
        mask: (batch, length), true at real tokens.

    Returns:
        (batch, length), 1 at real tokens; or (batch, 1, 1, length), true at real tokens.
    """
    if reading_is_free(mask.device) or not torch.is_grad_enabled():
        return mask.long()
    config, adapter = model.config, getattr(model, "active_peft_config", None)
    takes_four = (
        config.model_type in FOUR_DIMENSIONS
        and getattr(config, "_attn_implementation", "") == "sdpa"
        # a decoder does not add its causal mask to one of four dimensions
        and not getattr(config, "is_decoder", False)
        and not getattr(adapter, "is_prompt_learning", False)  # peft puts its own tokens before the mask's
    )
    return mask[:, None, None] if takes_four else mask.long()
