"""Texts of more tokens than a model reads at once, read in overlapping windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from pct.models.base import Features
from pct.text.subwords import SubWords

if TYPE_CHECKING:
    from pct.settings import Settings
    from pct.text.tokens import Tokenizer


@dataclass(frozen=True)
class Windows:
    """The windows of a text, and the mean over them.

    The inner tokens of a text are those between its special tokens. Window k has the inner tokens from k * stride on,
    as many as fit, within the special tokens of the text. A text has as many windows as are needed to cover it. Its
    features are the mean over its windows, each weighted by the number of its inner tokens that no earlier window has.
    The last layer of every model is linear, and the weights sum to one, so its logits are the same mean of the logits.

    Attributes:
        length: of a window, in tokens, special ones included.
        stride: the inner tokens from the start of a window to the start of the next.
        before: the special tokens at the start of a text.
        after: the special tokens at its end.
    """

    length: int
    stride: int
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if self.stride > self.inner:
            raise ValueError(
                f"windows: the stride {self.stride} is more than the {self.inner} tokens that a window holds besides "
                f"its special tokens: give {self.inner} or less"
            )

    @classmethod
    def of(cls, settings: Settings, tokenizer: Tokenizer) -> Self | None:
        """The windows that the settings of a model ask for; None for none.

        Raises:
            ValueError: the model reads words, not sub-words, or the stride exceeds a window.
        """
        if not settings.windows:
            return None
        if not isinstance(tokenizer, SubWords):
            raise ValueError(
                "windows are for encoders of the transformers library; this model reads texts of any length: set "
                "max_length"
            )
        return cls(settings.max_length, settings.stride, *tokenizer.frame())

    @property
    def inner(self) -> int:
        """The inner tokens of a full window."""
        return self.length - self.before - self.after

    def read(self, features: Callable[[Tensor, Tensor], Features], embeddings: Tensor, mask: Tensor) -> Features:
        """The features of texts of any length.

        Args:
            features: `TextModel.features`, for texts of at most `length` tokens.
            embeddings: (batch, length of the longest text, width).
            mask: (batch, length of the longest text), true at real tokens.

        Returns:
            Exactly those of `features` where no text has more than one window.
        """
        if mask.shape[1] <= self.length:
            return features(embeddings, mask)
        frame = self.before + self.after
        inner = (mask.sum(1) - frame).clamp(min=0)
        number = 1 + (inner - self.inner + self.stride - 1).div(self.stride, rounding_mode="floor").clamp(min=0)
        # one row for each window: its text, its first inner token, and how many it has
        text = torch.repeat_interleave(number)
        window = torch.arange(len(text), device=mask.device) - (number.cumsum(0) - number)[text]
        start = window * self.stride
        size = (inner[text] - start).clamp(max=self.inner)[:, None]
        column = torch.arange(self.length, device=mask.device)
        # the position in its text of each token of a window
        after = column + (inner[text, None] - size)
        position = torch.where(
            column < self.before, column, torch.where(column < self.before + size, column + start[:, None], after)
        )
        real = column < size + frame
        position = torch.where(real, position, 0)
        pooled, representation = features(embeddings[text[:, None], position], real)
        new = torch.where(window == 0, size[:, 0], size[:, 0] + self.stride - self.inner)
        weight = torch.where(number[text] == 1, 1.0, new / inner[text].clamp(min=1)).to(pooled.dtype)[:, None]
        return Features(*(_sums(weight * x, text, len(mask)) for x in (pooled, representation)))


def _sums(rows: Tensor, group: Tensor, groups: int) -> Tensor:
    """(rows, width) -> (groups, width) the sums of the rows of each group."""
    return rows.new_zeros(groups, rows.shape[1]).index_add_(0, group, rows)
