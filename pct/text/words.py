"""Splits texts into words with character offsets. Words are the unit of saliency, ranks, reduced texts and N.

The word rule is a setting that is saved with the model: `natural`, `spaces`, or a user's function, named
module:function.
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
_used: set[str] = set()  # functions that this process has used as a rule


class Document(tuple[str, ...]):
    """A text, or a pair of texts, as an immutable sequence of its words; those of the second text come last.

    text: the original string, of a pair the first one. spans: the (start, end) of each word in characters of its own
    text, end exclusive. second: the second text of a pair; None for a single text.
    """

    text: str
    spans: list[Span]
    second: Document | None

    def __new__(cls, text: str, spans: list[Span], second: Document | None = None) -> Self:
        words = [text[start:end] for start, end in spans]
        document = super().__new__(cls, words if second is None else [*words, *second])
        document.text, document.second = text, second
        document.spans = spans if second is None else [*spans, *second.spans]
        return document

    def __getnewargs__(self) -> tuple[str, list[Span], Document | None]:
        return self.text, self.spans[: self.first_words], self.second

    @property
    def first_words(self) -> int:
        """The number of words of the first text; of a single text, of all."""
        return len(self) - (0 if self.second is None else len(self.second))

    @property
    def parts(self) -> list[Document]:
        """Its texts: itself, or the two texts of a pair."""
        if self.second is None:
            return [self]
        return [Document(self.text, self.spans[: self.first_words]), self.second]

    @property
    def joined(self) -> Document:
        """A pair as a single text, with a line feed between the two texts; a single text unchanged."""
        if self.second is None:
            return self
        offset, at = len(self.text) + 1, self.first_words
        spans = [*self.spans[:at], *((start + offset, end + offset) for start, end in self.spans[at:])]
        return Document(f"{self.text}\n{self.second.text}", spans)

    @property
    def given(self) -> str | tuple[str, str]:
        """The text as a string, a pair as a tuple of two."""
        return self.text if self.second is None else (self.text, self.second.text)

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Self:
        """A document of given words; its text has a space between any two."""
        spans, start = [], 0
        for word in words:
            spans.append((start, start + len(word)))
            start += len(word) + 1
        return cls(" ".join(words), spans)


def has_pairs(texts: Iterable[Sequence[str]]) -> bool:
    """Whether one of some documents (or lists of words) is a pair of texts."""
    return any(isinstance(text, Document) and text.second is not None for text in texts)


def as_document(words: Sequence[str]) -> Document:
    """A document unchanged, or a document of any other sequence of words."""
    return words if isinstance(words, Document) else Document.of_words(words)


def split(text: str | Sequence[str], rule: str = NATURAL) -> Document:
    """Splits a text into words by the rule. A tuple of two strings is a pair of texts. A list of words and a document
    keep their words.

    Lone surrogates become U+FFFD, see `replace_surrogates`. Raises TypeError for any other type, and ValueError for a
    text without words, a word with white space in a list, or an unknown rule.
    """
    return _split(text, find_words(rule))


def split_each(texts: Iterable[str | Sequence[str]], rule: str = NATURAL, first: int = 0) -> Iterator[Document]:
    """Texts as documents, one at a time. Errors are those of `split` and name the index of the text, from `first`."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) == 0:
        raise TypeError(f"texts must be a list of texts, got one {type(texts).__name__}: write [text]")
    find = find_words(rule)
    for index, text in enumerate(texts, first):
        try:
            document = _split(text, find)
        except (ValueError, TypeError) as problem:
            raise type(problem)(f"text {index}: {problem}") from None
        yield document


def split_all(texts: Iterable[str | Sequence[str]], rule: str = NATURAL, first: int = 0) -> list[Document]:
    """`split_each` as a list."""
    return list(split_each(texts, rule, first))


def _split(text: str | Sequence[str], find: FindWords) -> Document:
    if isinstance(text, Document):
        document = text
    elif isinstance(text, str):
        whole = replace_surrogates(text)
        document = Document(whole, find(whole))
    elif is_pair(text):
        first, second = (_split(one, find) for one in text)
        document = Document(first.text, first.spans, second)
    elif isinstance(text, (list, tuple)) and all(isinstance(w, str) for w in text):
        words = [replace_surrogates(w) for w in text if w.strip()]
        if spaced := next((w for w in words if w.split() != [w]), None):
            raise ValueError(
                f"a list holds the words of one text, and {spaced!r:.80} has white space in it: give a text as one "
                "string, and a pair of texts as a tuple of two"
            )
        document = Document.of_words(words)
    else:
        raise TypeError(f"a text must be a string or a list of words, got {type(text).__name__}: {text!r:.80}")
    if not document:
        raise ValueError(f"a text needs at least one word, got {text!r:.80}")
    return document


def is_pair(text: object) -> bool:
    """Whether a text is a pair of texts: a tuple of exactly two strings."""
    if not isinstance(text, tuple) or isinstance(text, Document):
        return False
    return len(text) == 2 and all(isinstance(one, str) for one in text)


def replace_surrogates(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD. JSON may contain them; tokenizers and UTF-8 files cannot."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_rule(rule: str) -> None:
    """Raises ValueError for an invalid name of a rule. A function is not imported."""
    if rule not in (NATURAL, SPACES) and not re.fullmatch(r"[\w.]+:[\w.]+", rule):
        raise ValueError(f"words must be {NATURAL}, {SPACES}, or a function text -> spans as module:name, got {rule!r}")


@cache
def find_words(rule: str) -> FindWords:
    """The function text -> spans of a rule. Raises ValueError if it cannot be imported."""
    check_rule(rule)
    if rule == NATURAL:
        pattern = natural_words()
    elif rule == SPACES:
        pattern = re.compile(r"\S+")
    else:
        finder = _checked(rule, _imported(rule))
        _used.add(rule)
        return finder
    return lambda text: [m.span() for m in pattern.finditer(text)]


@cache
def natural_words() -> re.Pattern[str]:
    """The pattern of natural words. Every non-space character belongs to one.

    A word is a run of letters, digits and combining marks, with single apostrophes, hyphens and dots inside it; an
    abbreviation of single letters with its last dot (U.S.); or a run of one punctuation mark, with the combining marks
    after it. Each letter of a script without spaces is a word.
    """
    # combining marks, format characters and skin tones: they are displayed with the previous character
    joined = _class_of(lambda c: unicodedata.category(c) in ("Mn", "Mc", "Me", "Cf") or 0x1F3FB <= ord(c) <= 0x1F3FF)
    alone = _class_of(str.isalpha, _ALONE) + _IDEOGRAPHS
    letters = f"(?:[^\\W_{alone}]++|[{joined}]++)++"
    mark = f"(?:[^\\s\\w]|_)[{joined}]*+"
    # ASCII first: most words do not need the large classes
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


# Thai and Lao; Myanmar and its extensions; Khmer; full-width and half-width kana and their extensions
_ALONE = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0x1780, 0x17FF), (0x3040, 0x30FF),
    (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F),
)  # fmt: skip
_IDEOGRAPHS = (
    "\u3005-\u3007\u3021-\u3029\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00016fe2\U00016fe3\U00020000-\U000323af"
)
# the ranges that have combining marks and format characters
_MARK_RANGES = ((0x80, 0x1FFFF), (0xE0000, 0xE01FF))


def _class_of(belongs: Callable[[str], bool], within: Sequence[Span] = _MARK_RANGES) -> str:
    """The characters of the ranges (both ends inclusive) that satisfy a condition, as the inside of a regex class."""
    runs: list[list[int]] = []
    for code in (c for first, last in within for c in range(first, last + 1) if belongs(chr(c))):
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in runs)


def check_saved_rule(rule: str) -> None:
    """Raises ValueError for a function that only a saved model names.

    A model's folder may be untrusted. A function that it names is called only if this process has used it as a rule, an
    installed package declares it (an entry point of the group `pct.words`), or `PCT_WORDS` lists it.
    """
    check_rule(rule)
    declared = (point.value for point in entry_points(group="pct.words"))
    trusted = {NATURAL, SPACES, *_used, *os.environ.get("PCT_WORDS", "").split(","), *declared}
    if rule not in trusted:
        raise ValueError(
            f"the model splits texts by the function {rule}, which is not trusted because only the model's folder "
            f"names it; if you trust it, set PCT_WORDS={rule}"
        )


def _imported(rule: str) -> Any:
    module, _, name = rule.partition(":")
    if module.split(".")[0] in sys.stdlib_module_names:
        raise ValueError(f"words {rule}: functions of the standard library are not allowed; name one of your own")
    try:
        function: Any = import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as problem:
        raise ValueError(f"words {rule} cannot be imported ({problem}); install or repair its module") from problem
    return function


def _checked(rule: str, function: Callable[[str], Iterable[Sequence[int]]]) -> FindWords:
    def find(text: str) -> list[Span]:
        spans, last = [], 0
        for span in function(text):
            start, end = (int(x) for x in span)
            if not last <= start < end <= len(text):
                raise ValueError(
                    f"words {rule}: spans must be ordered pairs (start, end) within the text, got {(start, end)} after "
                    f"{last} in {len(text)} characters"
                )
            spans.append((start, end))
            last = end
        return spans

    return find
