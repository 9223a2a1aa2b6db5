"""A PCT step against its floor and against a normal step.

The floor is a step that gets the saliency ranks and the reduced texts for free: forward and backward over all
(2m + 1) K texts, one backward to the embeddings of the K originals, the optimizer. A PCT step adds ranking, reduction
and the contrastive loss. `plain` runs the reduced texts through the model like any texts, TextCNN by torch's
Conv1d and the LSTM by torch's LSTM; `shared` projects each word once, as `TextModel.project` does.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.common import FAMILIES, THREADS, Timing, alternate, classifier, corpus, ratio, settings_of
from pct.classifier import Classifier
from pct.corpora.splits import Split
from pct.explaining.reduction import words_to_remove
from pct.methods.base import Batch, MethodWithWeights, make_method, pass_originals
from pct.methods.reduced_batch import reduce_batch
from pct.models import TextModel
from pct.models.base import Features
from pct.models.lstm import LSTM
from pct.models.textcnn import TextCNN
from pct.settings import Settings
from pct.text.words import split_all
from pct.training.batches import batch_indices, make_batch
from pct.training.optimizers import in_bf16, train_step

BATCHES = {"textcnn": 12, "lstm": 8, "minilm": 1}
# other methods, timed beside normal and pct
OTHERS: dict[str, dict[str, Any]] = {
    "entropy": {"method": "entropy"}, "masked": {"method": "masked"}, "saliency_guided": {"method": "saliency_guided"},
    "pct, last step alone": {"contrast_steps": "last"}, "pct, in parts": {"step_tokens": 2048},
    "removal_margin": {"method": "removal_margin"},
    "removal_margin, by mask": {"method": "removal_margin", "train_removal": "mask"},
    "unirex": {"method": "unirex"}, "vmask": {"method": "vmask"},
}  # fmt: skip
ROUNDS = {"textcnn": 9, "lstm": 9, "minilm": 5}


class PreparedBatch(NamedTuple):
    """A batch and its reduced texts, computed in advance. words: the real words of all these texts."""

    batch: Batch
    source: Tensor
    ids: Tensor
    mask: Tensor
    words: int


def main() -> dict[str, Any]:
    """Three tables with a row per model family: ratios of step times, and real words per second."""
    torch.set_num_threads(THREADS)
    measured = [measure(family) for family in FAMILIES]
    titles = (
        "A PCT step, K = 64, m = ceil(0.1 N): times its floor, and a normal step",
        "Real words a second in training (reduced texts counted)",
        "A step of each method, times a normal step",
    )
    tables = ([rows[i] for rows, _ in measured] for i in range(len(titles)))
    timings = {family: times for family, (_, times) in zip(FAMILIES, measured, strict=True)}
    return {"tables": dict(zip(titles, tables, strict=True)), "timings": timings}


def measure(family: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a family, one per table, and their timings."""
    trained, settings = classifier(family), settings_of(family, method="pct")
    prepared = batches_of(trained, settings, corpus().splits["train"], BATCHES[family])
    times = step_times(trained, prepared, settings, OTHERS, ROUNDS[family])
    removed = float(np.mean([words_to_remove(p.batch.host_counts, settings.p_important).mean() for p in prepared]))
    to_normal = ratio(times["pct"], times["normal"])
    shared = times.get("shared floor")
    row = {
        "model": family, "ms a step": 1e3 * times["pct"].median / len(prepared),
        "/ plain floor": ratio(times["pct"], times["plain floor"])["median"],
        "/ shared floor": ratio(times["pct"], shared)["median"] if shared else None,
        "/ normal step": to_normal["median"], "(6m + 4) / 3": (6 * removed + 4) / 3,
    }  # fmt: skip
    originals, all_words = int(sum(p.batch.counts.sum() for p in prepared)), sum(p.words for p in prepared)
    normal, contrastive = originals / times["normal"].median, all_words / times["pct"].median
    speed = {"model": family, "normal": normal, "pct": contrastive, "pct / normal": contrastive / normal}
    names = ("pct", *OTHERS)
    others = {"model": family} | {name: ratio(times[name], times["normal"])["median"] for name in names}
    return [row, speed, others], {name: timing.to_dict() for name, timing in times.items()}


def batches_of(trained: Classifier, settings: Settings, split: Split, count: int) -> list[PreparedBatch]:
    """The first batches of a split's first epoch, each with its reduced texts; sets the model to training mode."""
    tokens = trained.tokenizer.encode(split_all(split.texts, settings.words), settings.max_length)
    index = batch_indices(tokens.lengths, settings.batch_size, 0, 1)[:count]
    model = trained.model.train()
    return [prepare_batch(model, make_batch(tokens, split.labels, rows, model.device), settings) for rows in index]


def step_times(
    trained: Classifier,
    prepared: Sequence[PreparedBatch],
    settings: Settings,
    others: dict[str, dict[str, Any]],
    rounds: int,
) -> dict[str, Timing]:
    """The time of all batches by each method: normal, pct, its floors, and `others`, name -> changed settings."""
    model = trained.model
    batches = [p.batch for p in prepared]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, fused=True)
    calls: dict[str, Callable[[], object]] = {
        "normal": lambda: run(model, batches, optimizer, settings.replace(method="normal")),
        "plain floor": lambda: floor(model, prepared, optimizer, settings, plain=True),
        "pct": lambda: run(model, batches, optimizer, settings),
    }
    for name, changes in others.items():
        changed = settings.replace(**changes)
        own_model, own_optimizer = model, optimizer
        if isinstance(method := make_method(changed), MethodWithWeights):
            own_model = copy.deepcopy(model)
            method.prepare(own_model, trained.tokenizer)
            own_optimizer = torch.optim.Adam(own_model.parameters(), lr=1e-6, fused=True)
        calls[name] = partial(run, own_model, batches, own_optimizer, changed)
    if isinstance(model, (TextCNN, LSTM)):
        calls["shared floor"] = lambda: floor(model, prepared, optimizer, settings, plain=False)
    return alternate(calls, rounds)


def run(model: TextModel, batches: Sequence[Batch], optimizer: Any, settings: Settings) -> None:
    """The steps of the trainer."""
    method = make_method(settings)
    for batch in batches:
        train_step(model, method, optimizer, batch, settings)


def prepare_batch(model: TextModel, batch: Batch, settings: Settings) -> PreparedBatch:
    """A batch with the reduced texts that a PCT step would compute."""
    scores = pass_originals(model, batch, settings).saliency
    sides = []
    for share, important in ((settings.p_unimportant, False), (settings.p_important, True)):
        removed = words_to_remove(batch.host_counts, share)
        sides.append(reduce_batch(batch.word_ids, scores, batch.counts, removed, important)[:2])
    source, mask = (torch.cat(pair) for pair in zip(*sides, strict=True))
    width = int(mask.sum(1).max())
    source, mask = source[:, :width].contiguous(), mask[:, :width].contiguous()
    ids = torch.where(mask, batch.ids.flatten()[source], batch.padding)
    special = int((batch.word_ids == -1).sum(1)[0])
    words = int(batch.counts.sum()) + int(mask.sum()) - special * len(mask)
    return PreparedBatch(batch, source, ids, mask, words)


def floor(model: TextModel, prepared: Sequence[PreparedBatch], optimizer: Any, settings: Settings, plain: bool) -> None:
    """Steps with precomputed reduced texts; a mean of representations replaces the contrastive loss."""
    features = LIBRARY.get(type(model), type(model).features)
    for batch, source, ids, mask, _ in prepared:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=in_bf16(settings, model.device)):
            embeddings = model.embed(batch.ids)
            if plain:
                original = features(model, embeddings, batch.word_ids > -2)
            else:
                projected = model.project(embeddings)
                positions = torch.arange(batch.ids.numel()).view_as(batch.ids)
                original = model.recombine(projected, positions, batch.word_ids > -2)
            logits = model.dense(model.dropout(original.pooled))
            torch.autograd.grad(logits.sum(), embeddings, retain_graph=True)
            reduced = features(model, model.embed(ids), mask) if plain else model.recombine(projected, source, mask)
            loss = F.cross_entropy(logits, batch.labels) + reduced.representation.mean()
            loss = loss + original.representation.mean()
        loss.backward()
        optimizer.step()


def conv1d_features(model: TextCNN, embeddings: Tensor, mask: Tensor) -> Features:
    """TextCNN's features by torch's convolution, each text separately."""
    inside = mask.to(embeddings.dtype)
    lengths = inside.sum(1, keepdim=True)
    x = (embeddings * inside[..., None]).transpose(1, 2)
    pooled, averaged = [], []
    for layer, k in zip(model.convolutions, model.windows, strict=True):
        features = F.relu(F.conv1d(x, layer.weight, layer.bias, padding=k - 1))
        touching = torch.arange(features.shape[2]) < lengths + k - 1
        features = features * touching[:, None]
        pooled.append(features.amax(2))
        averaged.append(features.sum(2) / (lengths + k - 1))
    return Features(torch.cat(pooled, 1), torch.cat(averaged, 1))


def lstm_features(model: LSTM, embeddings: Tensor, mask: Tensor) -> Features:
    """The LSTM's features by torch's fused layers, each text separately."""
    lengths = mask.sum(1, keepdim=True)
    positions = torch.arange(mask.shape[1])
    mirrored = torch.where(mask, lengths - 1 - positions, positions)[..., None].expand_as(embeddings)
    sides = ((model.forwards, embeddings), (model.backwards, embeddings.gather(1, mirrored)))
    mean = torch.cat([(layer(x)[0] * mask[..., None]).sum(1) for layer, x in sides], 1) / lengths
    return Features(mean, mean)


LIBRARY: dict[type[TextModel], Callable[..., Features]] = {TextCNN: conv1d_features, LSTM: lstm_features}
