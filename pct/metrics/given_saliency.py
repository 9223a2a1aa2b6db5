"""Saliency computed by another library, as one number per word: plain numbers, or results of shap and captum.

Neither library is imported: results are recognised by their attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.text.plurals import plural
from pct.text.tokens import Doubles, Ints, Tokens
from pct.text.words import Document

# the attributes that hold a text's numbers and its tokens: shap.Explanation, captum's VisualizationDataRecord and
# LLMAttributionResult
_FORMS = (("values", "data"), ("word_attributions", "raw_input_ids"), ("token_attr", "input_tokens"),
          ("seq_attr", "input_tokens"))  # fmt: skip
_PREFIXES, _SUFFIXES = ("##", "Ġ", "▁", "Ċ"), ("</w>", "@@")  # tokenizers' marks of word starts and continuations
_SPECIAL = frozenset({"[CLS]", "[SEP]", "[PAD]", "<s>", "</s>", "<pad>", "<|endoftext|>"})
_UNKNOWN = frozenset({"[UNK]", "<unk>", "[MASK]", "<mask>"})


class TextSaliency(NamedTuple):
    """The given saliency of one text.

    Attributes:
        values: (words or tokens,), or (tokens, classes).
        tokens: the text's tokens; None where the numbers are of words or of the model's own tokens.
        names: of the classes of the columns, where they are known.
    """

    values: Doubles
    tokens: Sequence[str] | None = None
    names: Sequence[str] | None = None

    @property
    def of_classes(self) -> bool:
        """Whether there is a column per class."""
        return self.tokens is not None and self.values.ndim == 2


def saliency_by_text(saliency: Any) -> list[TextSaliency]:
    """The given saliency, text by text.

    Args:
        saliency: a list with an array per text; a tensor (texts, tokens) or (texts, tokens, width) of attributions;
            shap's Explanation of many texts; a list of such results for single texts, of shap or captum.

    Raises:
        ValueError: it is none of these, or a text has not as many tokens as numbers; the error names the text.
    """
    if _is_result(saliency):
        values, tokens, names = _parts(saliency)
        if len(tokens) and isinstance(tokens[0], str):
            return [_text(0, values, tokens, names)]
        return [_text(i, one, own, names) for i, (one, own) in enumerate(zip(values, tokens, strict=True))]
    rows = _array_of(saliency) if hasattr(saliency, "detach") else saliency
    return [_text(i, *_parts(one)) if _is_result(one) else TextSaliency(_floats(one, i)) for i, one in enumerate(rows)]


def word_numbers(
    given: TextSaliency, index: int, document: Document, tokens: Tokens, row: int, label: int, classes: Sequence[str]
) -> Doubles:
    """One number for each word that the model sees.

    Args:
        given: for the text.
        index: of the text in the split, for errors.
        document: its words.
        tokens: of the block.
        row: of the text in the block.
        label: the class explained, whose column is taken.
        classes: the names of the model's classes.

    Raises:
        ValueError: the numbers do not fit the text.
    """
    if given.tokens is not None:
        values = given.values[:, _column(given, label, classes, index)] if given.of_classes else given.values
        numbers = _by_offsets(values, given.tokens, document, index)[tokens.places(row)]
    else:
        numbers = _by_count(given.values, index, document, tokens, row)
    if not np.isfinite(numbers).all() or len(numbers) != tokens.counts[row]:
        n = len(given.values)
        raise ValueError(
            f"the saliency of text {index} must be {len(document)} finite numbers, one a word, got {n}"
            f"{', some not finite' if len(numbers) == tokens.counts[row] else ''}"
        )
    return numbers


def _by_count(values: Doubles, index: int, document: Document, tokens: Tokens, row: int) -> Doubles:
    """The numbers per word, from numbers of all words, of the words that the model sees, or of the model's tokens with
    padding at the end. Numbers that fit none of these are returned unchanged.

    Raises ValueError for numbers that may be of words, padded, as well as of tokens.
    """
    count = int(tokens.counts[row])
    if values.ndim == 1 and len(values) == len(document):
        return values[tokens.places(row)]
    if values.ndim == 1 and len(values) == count:
        return values
    words = tokens.word_ids[tokens.starts[row] : tokens.starts[row + 1]]
    one_each = np.array_equal(words, np.arange(count))
    beyond = values[len(document) :]
    if values.ndim == 1 and len(beyond) and values.any() and not (one_each or beyond.any()):
        raise ValueError(
            f"the saliency of text {index} has {len(values)} numbers, zero from number {len(document) + 1} on: are they"
            f" of its {plural(len(document), 'word')}, or of its {plural(len(words), 'token')}? Give a list of arrays "
            "without padding"
        )
    values = values.sum(1) if values.ndim == 2 else values  # over the width of the embedding
    if len(values) == int((words >= 0).sum()):
        words = words[words >= 0]
    elif len(values) < len(words) or np.any(values[len(words) :] != 0):
        return values
    own = words >= 0
    return np.bincount(words[own], values[: len(words)][own], count).astype(np.float64)


def _by_offsets(values: Doubles, tokens: Sequence[str], document: Document, index: int) -> Doubles:
    """Token numbers -> word numbers. A token belongs to the word that holds its first non-space character."""
    document = document.joined
    text = document.text
    lowered = text.lower() if len(text.lower()) == len(text) else text
    starts = np.array([first for first, _ in document.spans])
    numbers, end, skipped = np.zeros(len(document)), 0, False
    for value, token in zip(values, tokens, strict=True):
        piece = _bare(token)
        if not piece or piece in _SPECIAL:
            continue
        if piece in _UNKNOWN:  # an unknown token stands for the next word
            start, piece, skipped = end + len(text[end:]) - len(text[end:].lstrip()), "", True
        else:
            start = text.find(piece, end)
            start = start if start >= 0 and not text[end:start].strip() else lowered.find(piece.lower(), end)
            # only spaces may lie between two tokens
            if start < 0 or (text[end:start].strip() and not skipped):
                raise ValueError(
                    f"the saliency of text {index} does not fit it: the token {token!r} does not follow "
                    f"{text[max(0, end - 20) : end]!r} in it; give the saliency of the same texts, in their order"
                )
            skipped = False
        numbers[max(int(np.searchsorted(starts, start, "right")) - 1, 0)] += value
        end = start + len(piece)
    return numbers


def _column(given: TextSaliency, label: int, classes: Sequence[str], index: int) -> int:
    columns = given.values.shape[1]
    if given.names is not None and classes[label] in given.names:
        return list(given.names).index(classes[label])
    if columns != len(classes):
        raise ValueError(f"the saliency of text {index} has {columns} columns, the model {len(classes)} classes")
    return label


def _is_result(thing: Any) -> bool:
    return any(
        hasattr(thing, values) and hasattr(thing, tokens) and not callable(getattr(thing, values))
        and not isinstance(thing, np.ndarray)
        for values, tokens in _FORMS
    )  # fmt: skip


def _parts(result: Any) -> tuple[Any, Any, Sequence[str] | None]:
    """The numbers, the tokens, and the names of the classes where the result has them."""
    values, tokens = next(
        (getattr(result, v), getattr(result, t)) for v, t in _FORMS if getattr(result, v, None) is not None
    )
    names = getattr(result, "output_names", None)
    if names is None or isinstance(names, str) or not all(isinstance(n, str) for n in names):
        return _array_of(values), tokens, None
    return _array_of(values), tokens, list(names)


def _text(index: int, values: Any, tokens: Any, names: Sequence[str] | None) -> TextSaliency:
    numbers, pieces = _floats(values, index), [str(token) for token in tokens]
    if len(numbers) != len(pieces):
        raise ValueError(f"the saliency of text {index} has {len(numbers)} numbers for {len(pieces)} tokens")
    return TextSaliency(numbers, pieces, names)


def _floats(values: Any, index: int) -> Doubles:
    try:
        return np.asarray(_array_of(values), np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"the saliency of text {index} must be numbers, one a word, or a result of shap or captum, got "
            f"{values!r:.80}"
        ) from None


def _array_of(values: Any) -> Any:
    """A torch tensor as an array; anything else as it is."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _bare(token: str) -> str:
    """A token without its tokenizer's marks and surrounding spaces."""
    piece = token.strip()
    for mark in _PREFIXES:
        piece = piece.removeprefix(mark) if piece != mark or mark != "##" else piece
    for mark in _SUFFIXES:
        piece = piece.removesuffix(mark)
    return piece.strip()


def numbers_of_block(
    given: Sequence[TextSaliency], index: Ints, documents: Sequence[Document], tokens: Tokens, labels: Ints,
    classes: Sequence[str],
) -> Doubles:  # fmt: skip
    """A block's part of the given saliency, (texts, most words).

    Args:
        given: for all texts of the split.
        index: (texts,) the block's texts.
        documents: their words.
        tokens: of the block.
        labels: (texts,) the classes explained.
        classes: the names of the model's classes.
    """
    out = np.zeros((len(index), int(tokens.counts.max(initial=1))))
    for row in np.argsort(index).tolist():  # in the split's order, so that an error names the first text
        i = int(index[row])
        numbers = word_numbers(given[i], i, documents[row], tokens, row, int(labels[row]), classes)
        out[row, : len(numbers)] = numbers
    return out
