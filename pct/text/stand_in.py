"""What is put in the place of a word that is removed without closing the gap."""

from __future__ import annotations

from typing import Any

from pct.text.vocabulary import PADDING, UNKNOWN


def stand_in(words: Any, removal: str) -> int:
    """The token that stands for a removed word.

    Args:
        words: a vocabulary, or a sub-word tokenizer.
        removal: `mask`, the tokenizer's mask token, or where it has none what is unknown, as in a vocabulary;
            `unknown`, what stands for a word that it does not know.

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


def baseline_token(words: Any, baseline: str) -> int | None:
    """The token whose embedding is the baseline of integrated gradients; None where the tokenizer has none.

    Args:
        words: a vocabulary, or a sub-word tokenizer.
        baseline: pad, the padding token; for any other name what masks a word, as `stand_in` finds it.
    """
    if baseline == "pad":
        tokenizer = getattr(words, "tokenizer", None)
        return PADDING if tokenizer is None else tokenizer.pad_token_id
    try:
        return stand_in(words, "mask")
    except ValueError:
        return None


def check_baseline(words: Any, saliency: str, baseline: str) -> None:
    """Raises ValueError where a training ranks words by integrated gradients from a token that the tokenizer lacks."""
    if saliency == "integrated_gradients" and baseline != "zero" and baseline_token(words, baseline) is None:
        raise no_baseline(baseline)


def no_baseline(baseline: str) -> ValueError:
    """The error for a tokenizer without the baseline's token."""
    return ValueError(f"baseline {baseline}: the model's tokenizer has no {baseline} token; take baseline zero")
