"""The core interface: what metrics, explanations and the service need of a model."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from pct.corpora.tables import texts_of
from pct.renamed import renamed
from pct.text.tokens import Bools, Floats, Ints, Keys, Tokens, check_remove, only_side, positions_of
from pct.text.words import NATURAL, Document, as_document, split_all

if TYPE_CHECKING:
    from pct.saliency.base import GradientSaliency

Forward = Callable[[Ints, Bools], Floats]
ExplainRows = Callable[[Ints, Ints, Ints | None], tuple[Floats, Floats]]
Texts = Sequence[str] | Sequence[Sequence[str]]
P = TypeVar("P")

# Real tokens in a batch: large enough to fill the cores, small enough to stay in their caches.
TOKENS_A_BATCH = 4096
# A GPU is busy only with many rows, and waits while the host reads the results of a batch.
TOKENS_A_GPU_BATCH = 8 * TOKENS_A_BATCH
# A backward pass keeps the activations of the forward pass: half the tokens take half the memory, and no more time.
TOKENS_A_BACKWARD = 2048
# The fixed cost of a call, in tokens: rows of different lengths are padded to one batch where that is cheaper.
CALL_IN_TOKENS = 64


@runtime_checkable
class Predictor(Protocol):
    """A model with arrays as its interface. Batching, reduction, curves and metrics are built on it.

    Any object with these four can be measured and explained. `TextInterface`, if inherited, adds `predict` and
    `saliency` on texts. A model may have more methods, each of which is used where it exists: `forward_over`
    (`FastForward`), `represent` (`Represents`), `replacement_token_id` (`HasReplacementToken`), `attribute_rows`
    (`Attributes`).

    It may also have an attribute `word_rule`, the rule that splits its texts into words; see `split_texts`; and an
    attribute `task`, what its outputs mean, by default one class of several; see `pct.tasks`. `tokens_a_batch` and
    `tokens_a_backward`, if it has them, are the most tokens of a call of `forward` and of `explain_rows`.

    Attributes:
        classes: the names of the classes, in the order of the probabilities.
    """

    classes: list[str]

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """Texts as tokens.

        Args:
            texts: documents, see `pct.text.words.Document`, or lists of words.

        Returns:
            Token ids with the word of each; N, the words that the model sees.
        """
        ...

    def forward(self, ids: Ints, mask: Bools) -> Floats:
        """Probabilities.

        Args:
            ids: (batch, length) token ids.
            mask: (batch, length), false at padding.

        Returns:
            (batch, classes), rows that sum to one, of several labels numbers from 0 to 1; they must not depend on the
            padded length of the batch.
        """
        ...

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """Probabilities and saliency.

        Args:
            ids: (batch, length) token ids.
            words: (batch, length) the word of each token, from 0 in each text, -1 at specials and -2 at padding.
            classes: (batch,) the class explained; None for the most probable one.

        Returns:
            Probabilities (batch, classes), and saliency (batch, most words), one number per word; values beyond a
            text's words have no meaning.
        """
        ...


@runtime_checkable
class FastForward(Predictor, Protocol):
    """A `Predictor` that shares the work on single tokens among texts that have the same tokens."""

    def forward_over(self, vocabulary: Ints) -> Forward:
        """`forward`, for rows that consist of some tokens alone, as the reduced texts of a block do.

        Args:
            vocabulary: (ids,) sorted, every token id that can occur, including the padding.

        Returns:
            A function with the arguments and the result of `forward`.
        """
        ...


@runtime_checkable
class Represents(Predictor, Protocol):
    """A `Predictor` that returns its representation of a text before the last layer: the cosine metrics need it."""

    def represent(self, ids: Ints, mask: Bools) -> tuple[Floats, Floats]:
        """Probabilities and representations.

        Args:
            ids: (batch, length) token ids.
            mask: (batch, length), false at padding.

        Returns:
            Probabilities (batch, classes), and r(X) (batch, width).
        """
        ...


@runtime_checkable
class HasReplacementToken(Predictor, Protocol):
    """A `Predictor` with tokens that can replace a removed word: removal by `mask` and `unknown` need it."""

    def replacement_token_id(self, removal: str) -> int:
        """The token's id.

        Args:
            removal: `mask` or `unknown`.

        Raises:
            ValueError: the model has no such token.
        """
        ...


@runtime_checkable
class Attributes(Predictor, Protocol):
    """A `Predictor` that computes gradient saliencies by name: see `pct.saliency`."""

    def check_saliency(self, saliency: GradientSaliency) -> None:
        """Raises ValueError, with the reason, for a saliency that this model does not have."""
        ...

    def attribute_rows(
        self, saliency: GradientSaliency, ids: Ints, words: Ints, classes: Ints | None
    ) -> tuple[Floats, Floats]:
        """`explain_rows` with a given saliency.

        Args:
            saliency: one that `check_saliency` accepts.
            ids: see `Predictor.explain_rows`, also for the other arguments and the result.
            words: likewise.
            classes: likewise.
        """
        ...


def replacement_token_of(predictor: Predictor, removal: str) -> int:
    """The id of the token that replaces a removed word.

    Args:
        predictor: a `HasReplacementToken`; until the next release also one with the method's old name, `stand_in`.
        removal: `mask` or `unknown`.

    Raises:
        ValueError: the predictor has no such token.
    """
    if isinstance(predictor, HasReplacementToken):
        return predictor.replacement_token_id(removal)
    old: Callable[[str], int] | None = getattr(predictor, "stand_in", None)
    if old is None:
        raise ValueError(f"{type(predictor).__name__} has no token for removal {removal}; use delete")
    warnings.warn("the method stand_in of a predictor is now replacement_token_id", DeprecationWarning, stacklevel=2)
    return old(removal)


def word_rule(predictor: Predictor) -> str:
    """The rule that splits a predictor's texts into words: its own, else the default."""
    return getattr(predictor, "word_rule", NATURAL)


def split_texts(predictor: Predictor, texts: Any) -> list[Document]:
    """Texts, or a table with a column of them, as documents by the predictor's own word rule.

    Raises as `pct.corpora.tables.texts_of` and `pct.text.words.split_each`.
    """
    settings = getattr(predictor, "settings", None)
    names = {"text_column": "text", "label_column": "label", "text_pair_column": ""}
    columns = (getattr(settings, name, default) for name, default in names.items())
    return split_all(texts_of(texts, *columns), word_rule(predictor))


def check_predictor(predictor: Any) -> None:
    """Raises TypeError for what is not a `Predictor`."""
    if not isinstance(predictor, Predictor):
        given = repr(predictor) if isinstance(predictor, str) else f"a {type(predictor).__name__}"
        raise TypeError(f"{given} is not a model: give pct.load(..), pct.wrap(..) or predictor_from(..)")


def removing(predictor: P, remove: str | None = None) -> P:
    """A predictor of which only the words of one side of a pair are counted, ranked and removed.

    Args:
        predictor: the model.
        remove: first, second, or both; None takes that of its settings.

    Returns:
        The predictor itself, or a copy that shares the model.

    Raises:
        ValueError: another value.
        TypeError: it is not a predictor.
    """
    check_predictor(predictor)
    whole: Any = predictor
    settings = getattr(predictor, "settings", None)
    own = getattr(settings, "remove", "both")
    chosen = remove or own
    check_remove(chosen)
    if chosen == own == "both":
        return predictor
    restricted = copy.copy(whole)
    all_tokens = restricted.unrestricted_tokens = getattr(predictor, "unrestricted_tokens", whole.tokens)
    if settings is not None:
        restricted.settings = settings.replace(remove=chosen)

    def tokens(texts: Sequence[Sequence[str]]) -> Tokens:
        documents = [as_document(text) for text in texts]
        return only_side(all_tokens(documents), documents, chosen)

    restricted.tokens = tokens
    return restricted


def batches(lengths: Ints, budget: int = TOKENS_A_BATCH) -> list[Ints]:
    """Rows sorted by length and divided into batches of at most `budget` tokens; every row is in exactly one.

    Lengths are not mixed, since padding costs as much as text, except where so few rows share one that their own call
    would cost more.
    """
    order = np.argsort(lengths, kind="stable")
    sizes, counts = np.unique(lengths, return_counts=True)
    out: list[Ints] = []
    start = stop = padded = 0
    for i, (size, count) in enumerate(zip(sizes.tolist(), counts.tolist(), strict=True)):
        stop += count
        last = i == len(sizes) - 1
        padded += 0 if last else (stop - start) * (int(sizes[i + 1]) - size)
        if last or padded > CALL_IN_TOKENS:
            pieces = min(-(-(stop - start) * size // budget), stop - start)
            out += np.array_split(order[start:stop], max(pieces, 1))
            start, padded = stop, 0
    return out


def batch_budget(predictor: Predictor) -> int:
    """The most tokens of a call of `forward`."""
    return int(getattr(predictor, "tokens_a_batch", TOKENS_A_BATCH))


def predict_tokens(predictor: Predictor, tokens: Tokens) -> Floats:
    """Probabilities (texts, classes), in the order of the texts."""
    out = np.zeros((len(tokens), len(predictor.classes)), np.float32)
    for index in batches(tokens.lengths, batch_budget(predictor)):
        ids, words = tokens.rows(index)
        out[index] = predictor.forward(ids, words > -2)
    return out


def explain_tokens(predictor: Predictor, tokens: Tokens, classes: Ints | None = None) -> tuple[Floats, Floats]:
    """Probabilities (texts, classes) and the predictor's own saliency (texts, most words), in the texts' order."""
    return explain_batches(predictor, tokens, classes, predictor.explain_rows)


def explain_batches(
    predictor: Predictor, tokens: Tokens, classes: Ints | None, explain_rows: ExplainRows
) -> tuple[Floats, Floats]:
    """`explain_tokens`, by a function with the arguments and the result of `Predictor.explain_rows`."""
    probabilities = np.zeros((len(tokens), len(predictor.classes)), np.float32)
    saliency = np.zeros((len(tokens), int(tokens.counts.max(initial=1))), np.float32)
    for index in batches(tokens.lengths, getattr(predictor, "tokens_a_backward", TOKENS_A_BACKWARD)):
        ids, words = tokens.rows(index)
        chosen = None if classes is None else classes[index]
        probabilities[index], part = explain_rows(ids, words, chosen)
        saliency[index, : part.shape[1]] = part
    return probabilities, saliency


def forward_over(predictor: Predictor, tokens: Tokens, more: Ints | Sequence[int] = ()) -> Forward:
    """`predictor.forward`, for rows that consist of the tokens of some texts, as their reduced texts do, and of some
    more; by `FastForward.forward_over` where the predictor has it."""
    if not isinstance(predictor, FastForward):
        return predictor.forward
    return predictor.forward_over(np.unique(np.concatenate([tokens.ids, [tokens.padding, *more]]).astype(np.int64)))


def predict_ids(forward: Forward, ids: Ints, lengths: Ints, padding: int, budget: int = TOKENS_A_BATCH) -> Floats:
    """Probabilities (rows, classes) of rows that follow one another in `ids`; equal rows run once.

    ids: (total,), at least one row. lengths: (rows,), at least 1 each. budget: the most tokens of a call.
    """
    starts = np.cumsum(lengths) - lengths
    first, inverse = distinct_rows(ids, lengths)
    lengths, starts = lengths[first], starts[first]
    parts = batches(lengths, budget)
    probabilities = []
    for part in parts:
        columns = np.arange(lengths[part].max())
        mask = columns < lengths[part, None]
        index = np.where(mask, starts[part, None] + columns, 0)
        probabilities.append(forward(np.where(mask, ids[index], padding), mask))
    out = np.empty((len(first), probabilities[0].shape[1]), np.float32)
    out[np.concatenate(parts)] = np.concatenate(probabilities)
    return out[inverse]


def distinct_rows(ids: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """The first index of each distinct row, and which of them every row is. Arguments as in `predict_ids`."""
    starts = np.cumsum(lengths) - lengths
    # a random factor per position: equal sums (mod 2^64) of different rows are very unlikely, and detected below
    factors = np.random.default_rng(0).integers(1, 2**63, int(lengths.max(initial=0)), np.uint64)
    terms = (ids.astype(np.uint64) + 1) * factors[positions_of(lengths)]
    sums = np.add.reduceat(terms, starts) if len(lengths) else starts
    _, first, inverse = np.unique(sums, return_index=True, return_inverse=True)
    twin = first[inverse]
    again = np.flatnonzero(twin != np.arange(len(lengths)))
    if (lengths[again] != lengths[twin[again]]).any():
        return np.arange(len(lengths)), np.arange(len(lengths))
    row = np.repeat(again, lengths[again])
    offset = positions_of(lengths[again])
    if (ids[starts[row] + offset] != ids[starts[twin[row]] + offset]).any():
        return np.arange(len(lengths)), np.arange(len(lengths))
    return first, inverse


def row_keys(ids: Ints, lengths: Ints) -> Keys:
    """(rows, 2) two numbers for each row, equal for equal rows; different rows share both with a chance of 2^-128.

    Arguments as in `predict_ids`.
    """
    starts = np.cumsum(lengths) - lengths
    factors = np.random.default_rng(0).integers(1, 2**63, (int(lengths.max(initial=0)), 2), np.uint64)
    terms = (ids.astype(np.uint64)[:, None] + np.uint64(1)) * factors[positions_of(lengths)]
    return np.add.reduceat(terms, starts, axis=0) if len(lengths) else np.zeros((0, 2), np.uint64)


def rows_as_tokens(ids: Ints, words: Ints, padding: int) -> Tokens:
    """Padded rows, as `Predictor.explain_rows` takes them, as `Tokens`.

    Args:
        ids: (rows, length).
        words: (rows, length), -2 at padding.
        padding: the id that fills short rows.
    """
    real = words > -2
    starts = np.concatenate([[0], np.cumsum(real.sum(1))]).astype(np.int64)
    return Tokens(ids[real], words[real], starts, words.max(1).astype(np.int64) + 1, padding)


class TextInterface:
    """`predict` and `saliency` on texts, for any class that is a `Predictor`."""

    def __repr__(self: Any) -> str:
        """The model, its training where that is known, and its classes."""
        s = getattr(self, "settings", None)
        parts = [f"{s.model_name}, {s.method} on {s.corpus}" if s.corpus else s.model_name] if s is not None else []
        classes = ", ".join(self.classes[:8]) + (f" and {len(self.classes) - 8} more" if len(self.classes) > 8 else "")
        return f"<{type(self).__name__} {'; '.join([*parts, f'classes {classes}'])}>"

    def predict(self: Predictor, texts: Texts) -> Floats:
        """Probabilities: softmax(logits), of several labels sigmoid(logits).

        Args:
            texts: n strings, pairs of texts as tuples of two strings, or lists of words.

        Returns:
            (n, classes).

        Raises:
            ValueError: a text without words.
            TypeError: something that is not a text.
        """
        return predict_tokens(self, self.tokens(split_texts(self, texts)))

    def saliency(
        self: Predictor, texts: Texts, classes: Sequence[int] | None = None, by: str | None = None
    ) -> list[Floats]:
        """The saliency of each word.

        Args:
            texts: strings, pairs of texts as tuples of two strings, or lists of words.
            classes: the class explained for each text; the most probable one where None.
            by: the saliency, by its name in `pct.saliencies`; the model's own where None.

        Returns:
            An array for each text, with a number for each word (N, the words that survive max_length).

        Raises:
            ValueError: a class that the model does not have, different numbers of classes and texts, or a saliency
                that the model cannot give.
        """
        from pct.saliency import choose_saliency

        chosen_saliency = choose_saliency(self, by)
        documents = split_texts(self, texts)
        chosen = None if classes is None else check_classes(classes, len(documents), len(self.classes))
        tokens = removing(self).tokens(documents)
        explain = explain_tokens if chosen_saliency is None else chosen_saliency.explain_tokens
        _, scores = explain(self, tokens, chosen)
        return [row[:n] for row, n in zip(scores, tokens.counts, strict=True)]


def reading_of(predictor: Any) -> str:
    """How a predictor reads texts beyond its length: the windows; empty if they are truncated."""
    settings = getattr(predictor, "settings", None)
    return "" if settings is None else str(settings.reading)


def check_classes(classes: Sequence[int] | Ints, texts: int, number: int) -> Ints:
    """Class indices as an array. Raises ValueError for one outside 0..number - 1, or if there is not one per text."""
    chosen = np.asarray(classes)
    if chosen.size and chosen.dtype.kind not in "iu":
        raise ValueError(
            f"classes must be indices of the model's classes, whole numbers, got {chosen.ravel().tolist()[0]!r}"
        )
    chosen = chosen.astype(np.int64, copy=False)
    if chosen.shape != (texts,):
        raise ValueError(f"{texts} texts need {texts} class indices, got an array of shape {chosen.shape}")
    outside = chosen[(chosen < 0) | (chosen >= number)]
    if len(outside):
        raise ValueError(f"label {outside[0]} is outside the model's classes 0..{number - 1}")
    return chosen


__getattr__ = renamed(__name__)
