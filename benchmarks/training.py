"""A PCT step against its floor and against a normal step.

The floor is a step to which the saliency ranks and the reduced texts are given: forward and backward over all
(2m + 1) K texts, one backward to the embeddings of the K originals, the optimizer. What a PCT step takes beyond it is
ranking, reduction and the contrastive loss. `plain` runs the reduced texts through the model as any texts, TextCNN by
torch's Conv1d and the LSTM by torch's LSTM; `shared` projects every word once, as `TextModel.project` does.
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
# further trainings, timed beside normal and pct
OTHERS: dict[str, dict[str, Any]] = {
    "entropy": {"method": "entropy"}, "masked": {"method": "masked"}, "saliency_guided": {"method": "saliency_guided"},
    "pct, last step alone": {"contrast_steps": "last"}, "pct, in parts": {"step_tokens": 2048},
    "removal_margin": {"method": "removal_margin"},
    "removal_margin, by mask": {"method": "removal_margin", "train_removal": "mask"},
    "unirex": {"method": "unirex"}, "vmask": {"method": "vmask"},
}  # fmt: skip
ROUNDS = {"textcnn": 9, "lstm": 9, "minilm": 5}


class Given(NamedTuple):
    """A batch and, for nothing, its reduced texts. words: real words in all the texts."""

    batch: Batch
    source: Tensor
    ids: Tensor
    mask: Tensor
    words: int


def main() -> dict[str, Any]:
    """One row a model family: the ratios of step times, and real words a second."""
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
    """The rows of a family, one a table, and the timings behind them."""
    chosen, settings = classifier(family), settings_of(family, method="pct")
    given = batches_of(chosen, settings, corpus().splits["train"], BATCHES[family])
    times = step_times(chosen, given, settings, OTHERS, ROUNDS[family])
    removed = float(np.mean([words_to_remove(g.batch.host_counts, settings.p_important).mean() for g in given]))
    to_normal = ratio(times["pct"], times["normal"])
    shared = times.get("shared floor")
    row = {
        "model": family, "ms a step": 1e3 * times["pct"].median / len(given),
        "/ plain floor": ratio(times["pct"], times["plain floor"])["median"],
        "/ shared floor": ratio(times["pct"], shared)["median"] if shared else None,
        "/ normal step": to_normal["median"], "(6m + 4) / 3": (6 * removed + 4) / 3,
    }  # fmt: skip
    originals, every = int(sum(g.batch.counts.sum() for g in given)), sum(g.words for g in given)
    normal, contrastive = originals / times["normal"].median, every / times["pct"].median
    speed = {"model": family, "normal": normal, "pct": contrastive, "pct / normal": contrastive / normal}
    names = ("pct", *OTHERS)
    others = {"model": family} | {name: ratio(times[name], times["normal"])["median"] for name in names}
    return [row, speed, others], {name: timing.to_dict() for name, timing in times.items()}


def batches_of(chosen: Classifier, settings: Settings, split: Split, count: int) -> list[Given]:
    """The first batches of a split's first epoch, each with its reduced texts; the model is put in training."""
    tokens = chosen.tokenizer.encode(split_all(split.texts, settings.words), settings.max_length)
    index = batch_indices(tokens.lengths, settings.batch_size, 0, 1)[:count]
    model = chosen.model.train()
    return [reduced_for_free(model, make_batch(tokens, split.labels, rows, model.device), settings) for rows in index]


def step_times(
    trained: Classifier,
    given: Sequence[Given],
    settings: Settings,
    others: dict[str, dict[str, Any]],
    rounds: int,
) -> dict[str, Timing]:
    """The time of all batches by each method: normal, pct, its floors, and others by the settings that they change."""
    model = trained.model
    batches = [g.batch for g in given]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, fused=True)
    calls: dict[str, Callable[[], object]] = {
        "normal": lambda: run(model, batches, optimizer, settings.replace(method="normal")),
        "plain floor": lambda: floor(model, given, optimizer, settings, plain=True),
        "pct": lambda: run(model, batches, optimizer, settings),
    }
    for name, changes in others.items():
        chosen = settings.replace(**changes)
        own, own_optimizer = model, optimizer
        if isinstance(method := make_method(chosen), MethodWithWeights):
            own = copy.deepcopy(model)
            method.prepare(own, trained.tokenizer)
            own_optimizer = torch.optim.Adam(own.parameters(), lr=1e-6, fused=True)
        calls[name] = partial(run, own, batches, own_optimizer, chosen)
    if isinstance(model, (TextCNN, LSTM)):
        calls["shared floor"] = lambda: floor(model, given, optimizer, settings, plain=False)
    return alternate(calls, rounds)


def run(model: TextModel, batches: Sequence[Batch], optimizer: Any, settings: Settings) -> None:
    """The trainer's own steps."""
    method = make_method(settings)
    for batch in batches:
        train_step(model, method, optimizer, batch, settings)


def reduced_for_free(model: TextModel, batch: Batch, settings: Settings) -> Given:
    """The reduced texts that a PCT step finds."""
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
    return Given(batch, source, ids, mask, words)


def floor(model: TextModel, given: Sequence[Given], optimizer: Any, settings: Settings, plain: bool) -> None:
    """Steps to which the reduced texts are given; a sum stands for the contrastive loss."""
    features = LIBRARY.get(type(model), type(model).features)
    for batch, source, ids, mask, _ in given:
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
    """TextCNN's features by the library's convolution, every text for itself."""
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
    """The LSTM's features by the library's fused layers, every text for itself."""
    lengths = mask.sum(1, keepdim=True)
    places = torch.arange(mask.shape[1])
    mirrored = torch.where(mask, lengths - 1 - places, places)[..., None].expand_as(embeddings)
    sides = ((model.forwards, embeddings), (model.backwards, embeddings.gather(1, mirrored)))
    mean = torch.cat([(layer(x)[0] * mask[..., None]).sum(1) for layer, x in sides], 1) / lengths
    return Features(mean, mean)


LIBRARY: dict[type[TextModel], Callable[..., Features]] = {TextCNN: conv1d_features, LSTM: lstm_features}
