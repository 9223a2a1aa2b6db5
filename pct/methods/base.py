"""The interface of training methods, and the functions that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pct.explaining.reduction import words_to_remove
from pct.methods import methods
from pct.methods.reduced_batch import MASK, reduce_batch, without_words
from pct.models.base import Features, TextModel
from pct.models.heads import at_least_float32, head_of_labels
from pct.models.transfer import largest, to_device
from pct.saliency.base import SaliencyOptions
from pct.saliency.gradients import gradient_saliency, sum_by_word
from pct.settings import Settings
from pct.text.tokens import TOKEN_TYPE, Ints, Tokenizer


class Batch(NamedTuple):
    """A mini-batch of texts as padded rows.

    Attributes:
        ids: (batch, length) token ids.
        word_ids: (batch, length) the word of each token, -1 at specials and -2 at padding.
        labels: (batch,) the true classes; of several labels (batch, classes), 1 at the true ones; numbers are floats.
        counts: (batch,) N, the number of words of each text.
        host_counts: the same numbers as an array, so that no step reads them from a GPU.
        padding: the padding id.
        mask_id: the id of the token that masks a word; None if the tokenizer has none.
        token_types: the number of types that its tokens have (see `TOKEN_TYPE`).
        number: the index of the batch in its epoch, from 0.
        class_weights: (classes,) of the cross-entropy; None for equal weights.
        rationale: (batch, words) bool, the words of the rationale; None where the corpus has none.
    """

    ids: Tensor
    word_ids: Tensor
    labels: Tensor
    counts: Tensor
    host_counts: Ints
    padding: int
    mask_id: int | None = None
    token_types: int = 1
    number: int = 0
    class_weights: Tensor | None = None
    rationale: Tensor | None = None

    @property
    def mask_token(self) -> int:
        """`mask_id`, for a method that masks words.

        Raises:
            ValueError: the tokenizer has none.
        """
        if self.mask_id is None:
            raise ValueError(
                "the training masks words, and the model's tokenizer has neither a mask token nor an unknown token: "
                "set train_removal to delete, or use a method that masks none, such as pct"
            )
        return self.mask_id

    def to(self, device: torch.device) -> Batch:
        """The batch on a device. The copy of pinned memory to a GPU does not wait."""
        moved: dict[str, Any] = {
            name: part.to(device, non_blocking=True)
            for name, part in self._asdict().items()
            if isinstance(part, Tensor)
        }
        return self._replace(**moved)


class Step(NamedTuple):
    """The loss, and its parts by name, detached, for the progress bar and the log."""

    loss: Tensor
    parts: dict[str, Tensor]


class Method(Protocol):
    """A training method: computes the loss of a mini-batch. It is constructed from the settings of a run."""

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """The loss of a mini-batch and its parts."""
        ...


@runtime_checkable
class MethodWithWeights(Method, Protocol):
    """A training method that has weights of its own, which are parts of the model during the training."""

    def prepare(self, model: TextModel, tokenizer: Tokenizer) -> None:
        """Adds them to the model, before its optimizer exists."""
        ...

    def finish(self, model: TextModel) -> None:
        """Removes them from the trained model."""
        ...


def make_method(settings: Settings) -> Method:
    """The training method that `settings.method` names.

    Raises ValueError for a method with the attribute `needs_classes`, and a model that gives a number.
    """
    kind = methods.get(settings.method)
    if settings.has_number and getattr(kind, "needs_classes", False):
        raise ValueError(f"method {settings.method} needs the probabilities of classes, and a number has none")
    return kind(settings)


def supervised_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of (batch, classes) logits, binary for several labels, the squared error for numbers: the mean over
    texts, weighted by class, in float32 or wider."""
    weights = None if batch.class_weights is None else batch.class_weights.to(at_least_float32(logits).dtype)
    return head_of_labels(batch.labels).loss(logits, batch.labels, weights)


def normal_step(model: TextModel, batch: Batch) -> Step:
    """The supervised loss alone."""
    loss = supervised_loss(model(batch.ids, batch.word_ids > -2).logits, batch)
    return Step(loss, {"cross_entropy": loss.detach()})


class Originals(NamedTuple):
    """The results of passing a batch through the model.

    Attributes:
        logits: (batch, classes), with dropout, in the graph.
        representation: (batch, width), in the graph.
        projected: see `TextModel.project`, in the graph.
        saliency: (batch, words), of the true class, without dropout, detached. Of several labels, the gradient is that
            of the mean of the true labels' log-odds, or of the most probable label where none is true.
    """

    logits: Tensor
    representation: Tensor
    projected: Tensor
    saliency: Tensor


def pass_originals(model: TextModel, batch: Batch, settings: Settings) -> Originals:
    """Passes a batch through the model with the dropout of normal training, and computes its saliency without dropout.

    Where the body has no dropout, one forward pass is enough for both: only the last layer runs twice. Where it has
    dropout, as encoders do, the saliency takes a separate pass, so the supervised loss is the same for all methods.
    """
    mask = batch.word_ids > -2
    positions = torch.arange(mask.numel(), device=mask.device).view_as(mask)
    saliency = gradient_saliency(settings.saliency, SaliencyOptions.of_settings(settings))
    separate = model.dropout_in_body or not saliency.is_plain
    if separate:
        token = batch.padding if saliency.options.baseline == "pad" else batch.mask_id
        _, scores = saliency.attribute(model, batch.ids, batch.word_ids, batch.labels, token)
    embeddings = model.embed(batch.ids)
    projected = model.project(embeddings)
    pooled, representation = model.recombine(projected, positions, mask)
    if not separate:
        logits = model.dense(pooled)
        chosen = model.head.chosen(logits.detach(), batch.labels)
        score = model.head.score(logits, chosen, settings.saliency_of).sum()
        (gradient,) = torch.autograd.grad(score, embeddings, retain_graph=True)
        tokens = saliency.token_scores(gradient.float(), embeddings.detach().float())
        scores = saliency.word_scores(sum_by_word(tokens, batch.word_ids))
    return Originals(model.dense(model.dropout(pooled)), representation, projected, scores)


class SettingsMethod:
    """A method that keeps the settings of its run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class RegularisedMethod(SettingsMethod, ABC):
    """The supervised loss plus weighted terms that need the saliency of the batch.

    Attributes:
        sparse: whether the setting `contrast_every` = n leaves only every n-th batch with terms.

    Raises:
        ValueError: the saliency of the settings has no gradient.
    """

    sparse: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        gradient_saliency(settings.saliency)

    @abstractmethod
    def terms(self, model: TextModel, batch: Batch, originals: Originals) -> dict[str, tuple[float, Tensor]]:
        """The weight and the value of each term, by the name of its part of the loss."""

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        if self.sparse and batch.number % self.settings.contrast_every:
            return normal_step(model, batch)
        originals = pass_originals(model, batch, self.settings)
        loss = supervised_loss(originals.logits, batch)
        parts = {"cross_entropy": loss.detach()}
        for name, (weight, term) in self.terms(model, batch, originals).items():
            loss = loss + weight * term
            parts[name] = term.detach()
        return Step(loss, parts)


class Reduced(NamedTuple):
    """The reduced texts of one side of a batch.

    Attributes:
        source: (rows, length), as `TextModel.recombine` takes it.
        mask: (rows, length), true at real tokens.
        text: (rows,) the index of each row's text.
    """

    source: Tensor
    mask: Tensor
    text: Tensor


def ranking(saliency: Tensor, important: bool) -> Tensor:
    """The numbers by which the loss of a training method ranks words, (batch, words): the saliency; for the unimportant
    words its absolute value, since a word against the class is not unimportant."""
    return saliency if important else saliency.abs()


def reduced_texts(batch: Batch, saliency: Tensor, settings: Settings, important: bool) -> Reduced:
    """The texts of a batch without their 1..m most important or unimportant words; `contrast_steps` may keep only m.

    A share of 0 means m = 0, which leaves the side out (the one-sided rows of the paper's Table 4).
    """
    removed = words_removed(batch, settings.p_important if important else settings.p_unimportant)
    last = settings.contrast_steps == "last"
    by = ranking(saliency, important)
    return Reduced(*reduce_batch(batch.word_ids, by, batch.counts, removed, important, last))


def words_removed(batch: Batch, share: float) -> Ints:
    """m of each text, (batch,), on the host; 0 for a share of 0."""
    return words_to_remove(batch.host_counts, share) if share else np.zeros_like(batch.host_counts)


def reduced_features(model: TextModel, projected: Tensor, source: Tensor, mask: Tensor, step_tokens: int) -> Features:
    """The features of reduced texts, in the graph, with the memory for `step_tokens` tokens.

    Gradient caching (Gao et al. 2021, arXiv 2101.06983): more tokens pass through the model in parts, first without a
    graph. In the backward pass each part runs again with its graph and the same random numbers.

    Args:
        model: the model.
        projected: from `TextModel.project`.
        source: (rows, length), as `TextModel.recombine` takes it.
        mask: (rows, length), true at real tokens.
        step_tokens: padding included; 0 for no bound.

    Returns:
        One row per reduced text.
    """
    width = largest(mask.sum(1), mask.shape[1])
    source, mask = source[:, :width], mask[:, :width]
    rows = max(step_tokens // width, 1) if step_tokens else len(source)
    parts = list(zip(torch.split(source, rows), torch.split(mask, rows), strict=True))
    # the backward pass needs the last part first, so its graph is kept
    features = [checkpoint(model.recombine, projected, *part, use_reentrant=False) for part in parts[:-1]]
    features.append(model.recombine(projected, *parts[-1]))
    return Features(*(torch.cat(column) for column in zip(*features, strict=True)))


class RemovedWords(NamedTuple):
    """Which words are removed from the texts of a batch.

    Attributes:
        words: (batch, words) bool, the words that are removed.
        texts: the indices of the texts that lose a word, on the host.
    """

    words: Tensor
    texts: Ints


class ReducedLogits(NamedTuple):
    """The predictions on the texts of a batch without some of their words.

    Attributes:
        logits: (rows, classes), in the graph.
        text: (rows,) the index of each row's text; a text that loses no word has no row.
    """

    logits: Tensor
    text: Tensor


def reduced_logits(
    model: TextModel, batch: Batch, projected: Tensor, choices: Sequence[RemovedWords], settings: Settings
) -> list[ReducedLogits]:
    """The predictions on the texts of a batch without the words of each choice, in one pass and in bounded memory.

    Words are removed according to `settings.train_removal`; `either` treats a text the same under every choice.

    Args:
        model: the model.
        batch: the texts.
        projected: of the batch, from `TextModel.project`.
        choices: the words that are removed.
        settings: of the run.

    Returns:
        The predictions for each choice.
    """
    words = batch.word_ids
    masked = torch.full((len(words),), settings.train_removal == "mask", device=words.device)
    if settings.train_removal == "either":
        masked = torch.rand(len(words), device=words.device) < 0.5
    texts = [to_device(choice.texts, words.device) for choice in choices]
    if not any(map(len, texts)):
        no_logits = projected.new_zeros(0, model.dense.out_features)
        return [ReducedLogits(no_logits, rows) for rows in texts]
    reduced = [without_words(words, choice.words, masked) for choice in choices]
    source = torch.cat([positions[rows] for (positions, _), rows in zip(reduced, texts, strict=True)])
    mask = torch.cat([real[rows] for (_, real), rows in zip(reduced, texts, strict=True)])
    if settings.train_removal != "delete":
        # the mask token of each type comes first; a masked text has each token at its own position
        types, every_type = batch.ids // TOKEN_TYPE, torch.arange(batch.token_types, device=words.device)
        mask_tokens = model.project(model.embed(batch.mask_token + TOKEN_TYPE * every_type[None]))[: batch.token_types]
        own_type = torch.cat([types[rows] for rows in texts])
        projected = torch.cat([mask_tokens, projected])
        source = torch.where(source == MASK, own_type, source + batch.token_types)
    pooled = reduced_features(model, projected, source, mask, settings.step_tokens).pooled
    logits = model.dense(model.dropout(pooled)).split([len(rows) for rows in texts])
    return [ReducedLogits(*pair) for pair in zip(logits, texts, strict=True)]
