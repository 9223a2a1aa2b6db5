"""Texts as words with character offsets. A word is what saliency, ranks, reduced texts and N count, for every model.

The rule that makes words of a text is a setting, saved with the model: `natural`, `spaces`, or a function of the
user's own, named module:function.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Self

Span = tuple[int, int]
FindWords = Callable[[str], list[Span]]
NATURAL, SPACES = "natural", "spaces"
_used: set[str] = set()  # functions that this program has named itself


class Document(tuple[str, ...]):
    """A text as its words: an immutable sequence of them.

    text: the string as it was given. spans: where each word stands in it, (start, end) in characters, end exclusive.
    """

    text: str
    spans: list[Span]

    def __new__(cls, text: str, spans: list[Span]) -> Self:
        made = super().__new__(cls, [text[start:end] for start, end in spans])
        made.text, made.spans = text, spans
        return made

    def __getnewargs__(self) -> tuple[str, list[Span]]:
        return self.text, self.spans

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Self:
        """Words that are known already; the text has a space between any two."""
        spans, place = [], 0
        for word in words:
            spans.append((place, place + len(word)))
            place += len(word) + 1
        return cls(" ".join(words), spans)


def as_document(words: Sequence[str]) -> Document:
    """A document as it is, any other sequence of words as a document of these words."""
    return words if isinstance(words, Document) else Document.of_words(words)


def split(text: str | Sequence[str], rule: str = NATURAL) -> Document:
    """A text as its words, by the rule; a list of words, or a document, keeps its own.

    Lone surrogates become U+FFFD, see `replace_surrogates`. Raises TypeError for what is no text, ValueError for a text
    without words, a word in a list that has white space in it, or a rule that there is not.
    """
    return _split(text, find_words(rule))


def split_each(texts: Iterable[str | Sequence[str]], rule: str = NATURAL) -> Iterator[Document]:
    """Texts as documents, one at a time. Raises, naming the text's place, when one is empty or not a text."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) == 0:
        raise TypeError(f"texts must be a list of texts, got one {type(texts).__name__}: write [text]")
    find = find_words(rule)
    for place, text in enumerate(texts):
        try:
            document = _split(text, find)
        except (ValueError, TypeError) as problem:
            raise type(problem)(f"text {place}: {problem}") from None
        yield document


def split_all(texts: Iterable[str | Sequence[str]], rule: str = NATURAL) -> list[Document]:
    """`split_each` as a list."""
    return list(split_each(texts, rule))


def _split(text: str | Sequence[str], find: FindWords) -> Document:
    if isinstance(text, Document):
        found = text
    elif isinstance(text, str):
        whole = replace_surrogates(text)
        found = Document(whole, find(whole))
    elif isinstance(text, (list, tuple)) and all(isinstance(w, str) for w in text):
        words = [replace_surrogates(w) for w in text if w.strip()]
        if spaced := next((w for w in words if w.split() != [w]), None):
            raise ValueError(
                f"a list is a text's words, and {spaced!r:.80} has white space in it: give a text as one string; pairs "
                "of texts are not taken"
            )
        found = Document.of_words(words)
    else:
        raise TypeError(f"a text must be a string or a list of words, got {type(text).__name__}: {text!r:.80}")
    if not found:
        raise ValueError(f"a text needs at least one word, got {text!r:.80}")
    return found


def replace_surrogates(text: str) -> str:
    """The text, its lone surrogates made U+FFFD: JSON can bring them, tokenizers and UTF-8 files cannot take them."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_rule(rule: str) -> None:
    """Raises ValueError for what cannot name a rule; whether a function is there is found out when it is needed."""
    if rule not in (NATURAL, SPACES) and not re.fullmatch(r"[\w.]+:[\w.]+", rule):
        raise ValueError(f"words must be {NATURAL}, {SPACES}, or a function text -> spans as module:name, got {rule!r}")


@cache
def find_words(rule: str) -> FindWords:
    """The function text -> spans of a rule. Raises ValueError where it cannot be had."""
    check_rule(rule)
    if rule == NATURAL:
        pattern = natural_words()
    elif rule == SPACES:
        pattern = re.compile(r"\S+")
    else:
        found = _checked(rule, _imported(rule))
        _used.add(rule)
        return found
    return lambda text: [m.span() for m in pattern.finditer(text)]


@cache
def natural_words() -> re.Pattern[str]:
    """What a reader would call words; every character that is no space lies in one.

    A run of letters, digits and combining marks, with single apostrophes, hyphens and dots inside it; an abbreviation
    of single letters with its last dot (U.S.); any other mark, a run of the same mark as one word, with the combining
    marks behind it. Letters of scripts that are written without spaces stand alone.
    """
    # marks that are shown with the character before them, format characters and skin tones among them
    joined = _class_of(lambda c: unicodedata.category(c) in ("Mn", "Mc", "Me", "Cf") or 0x1F3FB <= ord(c) <= 0x1F3FF)
    alone = _class_of(str.isalpha, _ALONE) + _IDEOGRAPHS
    letters = f"(?:[^\\W_{alone}]++|[{joined}]++)++"
    mark = f"(?:[^\\s\\w]|_)[{joined}]*+"
    # ASCII first: most words of most texts need none of the large classes
    return re.compile(
        rf"""(?:[A-Za-z]\.){{2,}}+(?!\w)
        | [A-Za-z0-9]++(?:['.-][A-Za-z0-9]++)*+ (?!['.-]?[^\x00-\x7f])
        | ([!-/:-@\[-`{{-~])\1*+ (?![^\x00-\x7f])
        | (?:[^\W\d_{alone}]\.){{2,}}+ (?!\w)
        | {letters} (?:['’.‐‑-]{letters})*+
        | [{alone}][{joined}]*+
        | [\U0001f1e6-\U0001f1ff]{{2}}
        | ({mark} (?:(?<=\u200d){mark})*+) \2*+""",
        re.VERBOSE,
    )


# Thai and Lao; Myanmar and its extensions; Khmer; kana and their extensions, of full and half width
_ALONE = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0x1780, 0x17FF), (0x3040, 0x30FF),
    (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F),
)  # fmt: skip
_IDEOGRAPHS = (
    "\u3005-\u3007\u3021-\u3029\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00016fe2\U00016fe3\U00020000-\U000323af"
)
# where combining marks and format characters lie
_SPACES_OF_MARKS = ((0x80, 0x1FFFF), (0xE0000, 0xE01FF))


def _class_of(belongs: Callable[[str], bool], within: Sequence[Span] = _SPACES_OF_MARKS) -> str:
    """The characters of some ranges (both ends inclusive) for which it is true, as the inside of a regex class."""
    runs: list[list[int]] = []
    for code in (c for first, last in within for c in range(first, last + 1) if belongs(chr(c))):
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in runs)


def check_saved_rule(rule: str) -> None:
    """Raises ValueError for a function that a saved model names and nobody else does.

    A model's folder may be a stranger's: what it names is not run unless this program has used it, an installed package
    declares it (an entry point of the group `pct.words`), or `PCT_WORDS` holds it.
    """
    check_rule(rule)
    declared = (point.value for point in entry_points(group="pct.words"))
    trusted = {NATURAL, SPACES, *_used, *os.environ.get("PCT_WORDS", "").split(","), *declared}
    if rule not in trusted:
        raise ValueError(
            f"the model splits texts by the function {rule}, which is not run only because a model's folder names it; "
            f"if you trust it, set PCT_WORDS={rule}"
        )


def _imported(rule: str) -> Any:
    module, _, name = rule.partition(":")
    if module.split(".")[0] in sys.stdlib_module_names:
        raise ValueError(f"words {rule}: a function of Python's own library splits no texts; name one of yours")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as problem:
        raise ValueError(f"words {rule} cannot be had ({problem}); install or repair its module") from problem
    return found


def _checked(rule: str, function: Callable[[str], Iterable[Sequence[int]]]) -> FindWords:
    def find(text: str) -> list[Span]:
        spans, last = [], 0
        for span in function(text):
            start, end = (int(x) for x in span)
            if not last <= start < end <= len(text):
                raise ValueError(
                    f"words {rule}: spans must be (start, end) within the text, one behind the other, got "
                    f"{(start, end)} behind {last} in {len(text)} characters"
                )
            spans.append((start, end))
            last = end
        return spans

    return find
