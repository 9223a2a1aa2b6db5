"""Special tokens: replacements of removed words, baselines of integrated gradients, padding tokens inside texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.text.tokens import TOKEN_TYPE, Ints, Tokens
from pct.text.vocabulary import PADDING, UNKNOWN


def replacement_token_id(words: Any, removal: str) -> int:
    """The id of the token that replaces a removed word.

    Args:
        words: a vocabulary, or a sub-word tokenizer.
        removal: `mask` for the tokenizer's mask token, or its unknown token if it has no mask token; `unknown` for the
            unknown token. A vocabulary has only the unknown token.

    Raises:
        ValueError: another removal, or a tokenizer that has no such token.
    """
    if removal not in ("mask", "unknown"):
        raise ValueError(f"removal must be mask or unknown, got {removal!r}")
    tokenizer = getattr(words, "tokenizer", None)
    if tokenizer is None:
        return UNKNOWN
    names = (tokenizer.mask_token, tokenizer.unk_token) if removal == "mask" else (tokenizer.unk_token,)
    token = next((name for name in names if name is not None), None)
    if token is None:
        raise ValueError(f"the model's tokenizer has no token for removal {removal}; use delete")
    return int(tokenizer.backend_tokenizer.token_to_id(token))


def mask_token_id(words: Any) -> int | None:
    """`replacement_token_id(words, "mask")`; None if the tokenizer has no such token."""
    try:
        return replacement_token_id(words, "mask")
    except ValueError:
        return None


def baseline_token(words: Any, baseline: str) -> int | None:
    """The token whose embedding is the baseline of integrated gradients; None if the tokenizer has no such token.

    Args:
        words: a vocabulary, or a sub-word tokenizer.
        baseline: `pad` for the padding token; any other name for `mask_token_id(words)`.
    """
    if baseline == "pad":
        tokenizer = getattr(words, "tokenizer", None)
        return PADDING if tokenizer is None else tokenizer.pad_token_id
    return mask_token_id(words)


def check_baseline(words: Any, saliency: str, baseline: str) -> None:
    """Raises ValueError if the saliency is integrated gradients and the tokenizer lacks the baseline's token."""
    if saliency == "integrated_gradients" and baseline != "zero" and baseline_token(words, baseline) is None:
        raise no_baseline(baseline)


def no_baseline(baseline: str) -> ValueError:
    """The error for a tokenizer without the baseline's token."""
    return ValueError(f"baseline {baseline}: the model's tokenizer has no {baseline} token; use baseline zero")


def texts_with_padding(tokens: Tokens, padding: Sequence[int]) -> Ints:
    """The indices of the texts that have a token with one of the ids `padding` in a word."""
    occurrences = np.flatnonzero(np.isin(tokens.ids % TOKEN_TYPE, padding) & (tokens.word_ids >= 0))
    return np.unique(np.searchsorted(tokens.starts, occurrences, side="right") - 1)


def padding_skipped(text: int) -> ValueError:
    """The error for a text, by its index, with a padding token that the model skips."""
    return ValueError(
        f"text {text} holds the padding token, which this model skips: the prediction cannot be explained; remove the "
        "token from the text"
    )
