"""The base classes of saliencies: one number per word, from a model's gradient or from forward passes alone.

This module does not import torch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pct.explaining.predictor import Attributes, Predictor, explain_batches
from pct.explaining.reduced_texts import TOKENS_AT_ONCE, ReducedTexts
from pct.tasks import ONE_CLASS, Task, task_of
from pct.text.tokens import Bools, Doubles, Floats, Ints, Tokens

if TYPE_CHECKING:
    from torch import Tensor

    from pct.models.base import TextModel


@dataclass(frozen=True)
class SaliencyOptions:
    """The options of saliencies.

    Attributes:
        of: the output that is explained: log_odds, probability or logit.
        steps: the fewest steps of integrated gradients.
        baseline: where the path of integrated gradients starts: zero, mask or pad.
        samples: noisy copies of a text (smooth_grad), or reduced texts (lime, kernel_shap); None takes the default.
        seed: of the random numbers.
    """

    of: str = "log_odds"
    steps: int = 16
    baseline: str = "zero"
    samples: int | None = None
    seed: int = 0

    @classmethod
    def of_settings(cls, settings: Any, seed: int = 0) -> Self:
        """The options that a run's settings hold; the defaults for None."""
        if settings is None:
            return cls(seed=seed)
        return cls(settings.saliency_of, settings.integrated_steps, settings.integrated_baseline, seed=seed)


class Saliency:
    """One number per word: how important the word is for the class explained.

    Subclass `GradientSaliency` or `ForwardSaliency` and register the class: `@pct.saliencies.register("name")`.

    Attributes:
        name: under which it was registered.
        signed: whether numbers below 0 are evidence against the class. A signed saliency ranks the words from most for
            the class to most against it.
        seeded: whether another seed gives other numbers.
        needs: what the model must provide, for the tables of the documentation.
    """

    name: str = ""
    signed: ClassVar[bool] = False
    seeded: ClassVar[bool] = False
    needs: ClassVar[str] = "forward passes"

    def __init__(self, options: SaliencyOptions | None = None) -> None:
        self.options = options or SaliencyOptions()

    def check(self, predictor: Predictor) -> None:
        """Raises ValueError, with the reason, where the predictor does not provide what the saliency needs."""

    def passes(self, counts: Ints) -> Doubles:
        """(texts,) the passes per text besides its prediction; a forward and a backward pass count as one."""
        raise NotImplementedError(f"{type(self).__name__} must define passes(counts)")

    def most_passes(self, counts: Ints) -> Doubles:
        """(texts,) an upper bound of `passes`, for a saliency whose passes depend on intermediate results."""
        return self.passes(counts)

    def explain_tokens(self, predictor: Predictor, tokens: Tokens, labels: Ints | None = None) -> tuple[Floats, Floats]:
        """Probabilities (texts, classes) and saliency (texts, most words), in the texts' order.

        Args:
            predictor: the model.
            tokens: the texts.
            labels: (texts,) the class explained; the predicted one where None.
        """
        raise NotImplementedError(f"{type(self).__name__} must define explain_tokens(predictor, tokens, labels)")

    def explain_texts(self, texts: ReducedTexts, labels: Ints | None) -> tuple[Floats, Floats]:
        """`explain_tokens` of the whole texts of a block."""
        return self.explain_tokens(texts.predictor, texts.tokens, labels)


class ForwardSaliency(Saliency):
    """A saliency that needs only forward passes of reduced texts, so that it works with every `Predictor`.

    Attributes:
        task: of the predictor whose texts are explained.
    """

    task: Task = ONE_CLASS

    def scores(self, texts: ReducedTexts, probabilities: Floats, labels: Ints) -> Doubles:
        """The saliency of a block of texts.

        Args:
            texts: the block; `texts.probabilities(text, removed)` gives those of texts without some words.
            probabilities: (texts, classes) of the whole texts.
            labels: (texts,) the class explained.

        Returns:
            (texts, most words); values beyond a text's words are ignored.
        """
        raise NotImplementedError(f"{type(self).__name__} must define scores(texts, probabilities, labels)")

    def output(self, probabilities: Floats, labels: Ints) -> Doubles:
        """The output explained, (rows,): the log-odds of a class or label, or its probability.

        Args:
            probabilities: (rows, classes).
            labels: (rows,).
        """
        if self.options.of == "probability":
            return probabilities[np.arange(len(labels)), labels].astype(np.float64)
        return self.task.log_odds(probabilities, labels)

    def outputs_without(self, texts: ReducedTexts, removed: Iterable[Bools], labels: Ints) -> Iterator[Doubles]:
        """The outputs explained of reduced texts, run some texts at a time.

        Args:
            texts: the block.
            removed: for each text, (rows, N), the words that each of its reduced forms lacks; taken as they are run.
            labels: (texts,) the class explained.

        Yields:
            For each text, (rows,).
        """
        width = int(texts.tokens.counts.max(initial=1))
        start, removed = 0, iter(removed)
        while some := list(_until(removed, TOKENS_AT_ONCE // width)):
            rows = [len(own) for own in some]
            ends = np.cumsum(rows)[:-1]
            text = np.repeat(np.arange(start, start + len(some)), rows)
            lacking = np.zeros((sum(rows), width), bool)
            for part, own in zip(np.split(lacking, ends), some, strict=True):
                part[:, : own.shape[1]] = own
            yield from np.split(self.output(texts.probabilities(text, lacking), labels[text]), ends)
            start += len(some)

    def explain_tokens(self, predictor: Predictor, tokens: Tokens, labels: Ints | None = None) -> tuple[Floats, Floats]:
        """See `Saliency.explain_tokens`."""
        return self._explain(ReducedTexts(predictor, tokens), labels)

    def explain_texts(self, texts: ReducedTexts, labels: Ints | None) -> tuple[Floats, Floats]:
        """See `Saliency.explain_texts`. Where words are deleted, the reduced texts are shared with the metrics."""
        return self._explain(texts, labels) if texts.removal == "delete" else super().explain_texts(texts, labels)

    def _explain(self, texts: ReducedTexts, labels: Ints | None) -> tuple[Floats, Floats]:
        probabilities = texts.whole()
        if not len(probabilities):
            return probabilities, np.zeros((0, 1), np.float32)
        chosen = probabilities.argmax(1).astype(np.int64) if labels is None else labels
        bound = copy.copy(self)  # threads may share a saliency
        bound.task = task_of(texts.predictor)
        scores = bound.scores(texts, probabilities, chosen).astype(np.float32)
        inside = np.arange(scores.shape[1]) < texts.tokens.counts[:, None]
        return probabilities, np.where(inside, scores, np.float32(0))


def _until(parts: Iterator[Bools], rows: int) -> Iterator[Bools]:
    """The next parts, until together they have a number of rows."""
    for part in parts:
        yield part
        rows -= len(part)
        if rows <= 0:
            return


class GradientSaliency(Saliency):
    """A saliency from the gradient at the word embeddings, by torch or by an exported graph that contains it.

    A subclass defines the score of a token from the gradient (`token_scores`), or the gradient (`gradient`). The score
    of a word is the sum over its tokens.

    Attributes:
        probe: of a saliency of transformers, what is checked once per model by `pct.saliency.conservation.check_probe`.
    """

    needs: ClassVar[str] = "gradient"
    probe: ClassVar[str] = ""

    def check(self, predictor: Predictor) -> None:
        """See `Saliency.check`."""
        if not isinstance(predictor, Attributes):
            raise ValueError(
                f"saliency {self.name} needs the gradient of the model, and a {type(predictor).__name__} has only "
                "forward passes: use occlusion, lime or random"
            )
        predictor.check_saliency(self)

    def check_model(self, model: TextModel) -> None:
        """Raises ValueError, with the reason, for a torch model for which the saliency cannot be computed."""
        if self.probe:
            from pct.saliency.conservation import check_probe

            check_probe(model, self.name, self.probe)

    def mode(self) -> AbstractContextManager[object] | None:
        """How the forward pass is modified, so that its gradient is another one; None where it is not."""
        return None

    def passes(self, counts: Ints) -> Doubles:
        """See `Saliency.passes`."""
        return np.ones(len(counts))

    def explain_tokens(self, predictor: Predictor, tokens: Tokens, labels: Ints | None = None) -> tuple[Floats, Floats]:
        """See `Saliency.explain_tokens`."""
        assert isinstance(predictor, Attributes)
        attribute_rows = predictor.attribute_rows
        return explain_batches(predictor, tokens, labels, lambda *rows: attribute_rows(self, *rows))

    def attribute(
        self, model: TextModel, ids: Tensor, words: Tensor, classes: Tensor | None, replacement: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """The saliency of a padded batch, with dropout off.

        Args:
            model: the network.
            ids: (batch, length) token ids.
            words: (batch, length) the word of each token, -1 at special tokens and -2 at padding.
            classes: (batch,) the class explained; the predicted one, or the most probable label, where None. In
                training of several labels (batch, classes), the true ones: the mean of their log-odds is explained.
            replacement: the id of the token whose embedding is the baseline of integrated gradients (mask or pad); None
                where the tokenizer has none.

        Returns:
            Logits (batch, classes) and saliency (batch, most words), 0 beyond a text's last word.
        """
        from pct.saliency.gradients import embedded, sum_by_word

        with embedded(model, ids) as embeddings:
            mask = words > -2
            logits, gradient = self.gradient(model, embeddings, mask, classes)
            tokens = self.token_scores(gradient.float(), embeddings.detach().float())
        return logits.detach(), self.word_scores(sum_by_word(tokens, words))

    def gradient(
        self, model: TextModel, embeddings: Tensor, mask: Tensor, classes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits (batch, classes) and the gradient of the explained output at the embeddings.

        Args:
            model: the network.
            embeddings: (batch, length, width), a leaf that requires a gradient.
            mask: (batch, length), true at real tokens.
            classes: (batch,), or None for the predicted ones.
        """
        from pct.saliency.gradients import score_gradient

        return score_gradient(model, embeddings, mask, classes, self.options.of, self.mode())

    def token_scores(self, gradient: Tensor, embeddings: Tensor) -> Tensor:
        """Gradient times input of each token, (batch, length). Both arguments: (batch, length, width)."""
        return (gradient * embeddings).sum(-1)

    def word_scores(self, totals: Tensor) -> Tensor:
        """The scores of words from the sums over their tokens, (batch, words). By default the sums."""
        return totals

    @property
    def is_plain(self) -> bool:
        """Whether it needs only one gradient of the unmodified model, which a training step computes anyway."""
        own, plain = type(self), GradientSaliency
        return (own.mode, own.gradient, own.attribute) == (plain.mode, plain.gradient, plain.attribute)
