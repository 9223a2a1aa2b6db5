"""Texts that were spaced for machines, as a person would have typed them."""

from __future__ import annotations

import re

# what stands without a space before it, behind it, or on either side, in text as people type it
_BEFORE = re.compile(r" ([,.!?;:%)\]}]|'(?:s|re|ve|ll|d|m)\b|n't\b)")
_BEHIND = re.compile(r"([(\[{$#]) ")
_QUOTED = re.compile(r'" ([^"]*?) "')
_SENTENCE = re.compile(r"(?:^|(?<=[.!?] ))[a-z]")


def as_typed(text: str) -> str:
    """A text whose marks stand between spaces, as the corpora of the literature have them, as people type: marks at
    their words, capitals where sentences begin, one I.

    Args:
        text: as a tokeniser left it, "despite its slow start , the film is brilliant ."

    Returns:
        The text, "Despite its slow start, the film is brilliant."
    """
    text = _QUOTED.sub(r'"\1"', text)
    text = _BEHIND.sub(r"\1", _BEFORE.sub(r"\1", text))
    text = re.sub(r"\bi\b(?!\.)", "I", text)
    return _SENTENCE.sub(lambda m: m[0].upper(), text)
