"""What every training method is made of: a mini-batch in, a loss and its named parts out, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pct.explaining.reduction import words_to_remove
from pct.explaining.saliency import class_score, gradient_saliency
from pct.methods import methods
from pct.methods.reduced_batch import MASK, reduce_batch, without_words
from pct.models.base import Features, TextModel
from pct.saliency.base import SaliencyOptions
from pct.saliency.gradients import sum_by_word
from pct.settings import Settings


class Batch(NamedTuple):
    """Some texts as padded rows.

    Attributes:
        ids: (batch, length) token ids.
        word_ids: (batch, length) the word of each token, -1 at specials and -2 at padding.
        labels: (batch,) the true classes.
        counts: (batch,) N, the words of each text.
        padding: the id that fills short rows.
        mask_id: the id that stands for a masked word.
        number: the batch's place in its epoch, from 0.
        class_weights: (classes,) of the cross-entropy; None weighs all alike.
        rationale: (batch, words) bool, the words that decide; None where the corpus does not know them.
    """

    ids: Tensor
    word_ids: Tensor
    labels: Tensor
    counts: Tensor
    padding: int
    mask_id: int = 0
    number: int = 0
    class_weights: Tensor | None = None
    rationale: Tensor | None = None


class Step(NamedTuple):
    """The scalar to descend, and its parts by name, detached, for the progress bar and the log."""

    loss: Tensor
    parts: dict[str, Tensor]


class Method(Protocol):
    """A training method: one class in a file of its own, made from the settings of a run."""

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """The loss of a mini-batch and its parts."""
        ...


def make_method(settings: Settings) -> Method:
    """The training method that `settings.method` names."""
    return methods.get(settings.method)(settings)


def supervised_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of (batch, classes) logits, each text weighing as its class does; the mean over the weights."""
    weights = None if batch.class_weights is None else batch.class_weights.to(logits.dtype)
    return F.cross_entropy(logits, batch.labels, weights)


class Originals(NamedTuple):
    """What the texts of a batch give to the supervised loss, the saliency and the reduced texts.

    Attributes:
        logits: (batch, classes), with dropout, in the graph.
        representation: (batch, width), in the graph.
        projected: see `TextModel.project`, in the graph.
        saliency: (batch, words), of the true class, without dropout; no gradient passes it.
    """

    logits: Tensor
    representation: Tensor
    projected: Tensor
    saliency: Tensor


def pass_originals(model: TextModel, batch: Batch, settings: Settings) -> Originals:
    """The texts of a batch through the model, with the dropout that normal training has, and their saliency without.

    Where the body has no dropout, one forward pass serves both: only the last layer runs twice. Where it has some, as
    encoders do, saliency takes a pass of its own, so that what the supervised loss sees is the same under every method.
    """
    mask = batch.word_ids > -2
    places = torch.arange(mask.numel(), device=mask.device).view_as(mask)
    saliency = gradient_saliency(settings.saliency, SaliencyOptions.of_settings(settings))
    apart = model.dropout_in_body or not saliency.is_plain
    if apart:
        token = batch.padding if saliency.options.baseline == "pad" else batch.mask_id
        _, scores = saliency.attribute(model, batch.ids, batch.word_ids, batch.labels, token)
    embeddings = model.embed(batch.ids)
    projected = model.project(embeddings)
    pooled, representation = model.recombine(projected, places, mask)
    if not apart:
        score = class_score(model.dense(pooled).float(), batch.labels, settings.saliency_of).sum()
        (gradient,) = torch.autograd.grad(score, embeddings, retain_graph=True)
        tokens = saliency.token_scores(gradient.float(), embeddings.detach().float())
        scores = saliency.word_scores(sum_by_word(tokens, batch.word_ids))
    return Originals(model.dense(model.dropout(pooled)), representation, projected, scores)


class Reduced(NamedTuple):
    """The reduced texts of one side of a batch.

    Attributes:
        source: (rows, length), as `TextModel.recombine` takes it.
        mask: (rows, length), true at real tokens.
        text: (rows,) the text that each row was.
    """

    source: Tensor
    mask: Tensor
    text: Tensor


def reduced_texts(batch: Batch, saliency: Tensor, settings: Settings, important: bool) -> Reduced:
    """A batch's texts without 1..m of their important, or unimportant, words; without m alone by `contrast_steps`.

    A share of 0 leaves the side out (the one-sided rows of the paper's Table 4): m is 0.
    """
    removed = words_removed(batch, settings.p_important if important else settings.p_unimportant)
    last = settings.contrast_steps == "last"
    return Reduced(*reduce_batch(batch.word_ids, saliency, batch.counts, removed, important, last))


def words_removed(batch: Batch, share: float) -> Tensor:
    """m of each text, (batch,); 0 for a share of 0."""
    counts = batch.counts.cpu().numpy().astype(np.int64)  # m's numpy definition is the only one
    removed = words_to_remove(counts, share) if share else np.zeros_like(counts)
    return torch.from_numpy(removed).to(batch.counts.device)


def reduced_features(model: TextModel, projected: Tensor, source: Tensor, mask: Tensor, step_tokens: int) -> Features:
    """The features of reduced texts, in the graph, in as much memory as `step_tokens` tokens take.

    Gradient caching (Gao et al. 2021, arXiv 2101.06983): more tokens than that go through the model in parts, first
    without a graph; once the loss's gradient at the features is known, each part runs again with its graph, under the
    random numbers that it had before.

    Args:
        model: the model.
        projected: from `TextModel.project`.
        source: (rows, length), as `TextModel.recombine` takes it.
        mask: (rows, length), true at real tokens.
        step_tokens: padding included; 0 for no bound.

    Returns:
        One row a reduced text.
    """
    width = int(mask.sum(1).max())
    source, mask = source[:, :width], mask[:, :width]
    rows = max(step_tokens // width, 1) if step_tokens else len(source)
    parts = list(zip(torch.split(source, rows), torch.split(mask, rows), strict=True))
    # the last part is the first that the backward pass needs: its graph is kept
    features = [checkpoint(model.recombine, projected, *part, use_reentrant=False) for part in parts[:-1]]
    features.append(model.recombine(projected, *parts[-1]))
    return Features(*(torch.cat(column) for column in zip(*features, strict=True)))


class ReducedLogits(NamedTuple):
    """The predictions on a batch's texts without some of their words.

    Attributes:
        logits: (rows, classes), in the graph.
        text: (rows,) the text that each row was; a text that loses no word has no row.
    """

    logits: Tensor
    text: Tensor


def reduced_logits(
    model: TextModel, batch: Batch, projected: Tensor, choices: Sequence[Tensor], settings: Settings
) -> list[ReducedLogits]:
    """The predictions on a batch's texts without the words of each choice, in one pass and in bounded memory.

    Words are removed as `settings.train_removal` says; by `either`, a text is treated alike under every choice.

    Args:
        model: the model.
        batch: the texts.
        projected: of the batch, from `TextModel.project`.
        choices: of (batch, words) bool each, the words that are removed.
        settings: of the run.

    Returns:
        One for each choice.
    """
    words = batch.word_ids
    masked = torch.full((len(words),), settings.train_removal == "mask", device=words.device)
    if settings.train_removal == "either":
        masked = torch.rand(len(words), device=words.device) < 0.5
    texts = [gone.any(1).nonzero().squeeze(1) for gone in choices]
    text = torch.cat(texts)
    if len(text) == 0:
        nothing = projected.new_zeros(0, model.dense.out_features)
        return [ReducedLogits(nothing, rows) for rows in texts]
    reduced = [without_words(words, gone, masked) for gone in choices]
    source = torch.cat([places[rows] for (places, _), rows in zip(reduced, texts, strict=True)])
    mask = torch.cat([real[rows] for (_, real), rows in zip(reduced, texts, strict=True)])
    if settings.train_removal != "delete":
        mask_token = model.project(model.embed(batch.ids.new_full((1, 1), batch.mask_id)))[:1]
        projected, source = torch.cat([mask_token, projected]), source - MASK  # the mask token is the first place
    pooled = reduced_features(model, projected, source, mask, settings.step_tokens).pooled
    logits = model.dense(model.dropout(pooled)).split([len(rows) for rows in texts])
    return [ReducedLogits(*pair) for pair in zip(logits, texts, strict=True)]
