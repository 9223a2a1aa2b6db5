"""Detokenization: text with spaces around its punctuation is converted to ordinary text."""

from __future__ import annotations

import re

# ordinary text has no space before these, after these, and inside quotes
_BEFORE = re.compile(r" ([,.!?;:%)\]}]|'(?:s|re|ve|ll|d|m)\b|n't\b)")
_BEHIND = re.compile(r"([(\[{$#]) ")
_QUOTED = re.compile(r'" ([^"]*?) "')
_SENTENCE = re.compile(r"(?:^|(?<=[.!?] ))[a-z]")


def detokenize(text: str) -> str:
    """Removes the spaces around punctuation, and capitalises sentences and the word I.

    Args:
        text: tokenized text, "despite its slow start , the film is brilliant ."

    Returns:
        The text, "Despite its slow start, the film is brilliant."
    """
    text = _QUOTED.sub(r'"\1"', text)
    text = _BEHIND.sub(r"\1", _BEFORE.sub(r"\1", text))
    text = re.sub(r"\bi\b(?!\.)", "I", text)
    return _SENTENCE.sub(lambda m: m[0].upper(), text)
