"""The time of `pct.evaluate` against its floor, against a captum loop and against ferret, each pair side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

import pct
from benchmarks._peers import captum_loop, ferret_loop, ferret_targets, plain_texts
from benchmarks.common import FAMILIES, Row, alternate, classifier, corpus, ratio
from pct.classifier import Classifier
from pct.explaining.predictor import TOKENS_A_BACKWARD, TOKENS_A_BATCH, TextInterface
from pct.explaining.removal import RemovalPlan, remove_words
from pct.explaining.saliency import class_score
from pct.models.base import without_dropout
from pct.text.tokens import Ints, Tokens
from pct.text.words import split_all

# Texts of the test split: the encoder takes a hundred times longer than the TextCNN.
TEXTS = {"textcnn": 1066, "lstm": 1066, "minilm": 128}
ROUNDS = {"textcnn": 7, "lstm": 7, "minilm": 3}
# the search for the bounds of normalised AOPC runs some two thousand reduced texts a text of MR
CONTROL_TEXTS = {"textcnn": 64, "lstm": 48, "minilm": 6}
PEER_TEXTS = {"textcnn": 96, "lstm": 96, "minilm": 32}
AGREEMENT = 1e-4
AOPC = ("comp_aopc", "suff_aopc")


def main() -> Row:
    """Four tables: the floor, that of all metrics with their controls, captum's loop, ferret."""
    floors = [against_floor(family, TEXTS[family]) for family in FAMILIES]
    controls = [against_floor(family, CONTROL_TEXTS[family], ("all",)) for family in FAMILIES]
    loops = [row for family in FAMILIES for row in against_captum(family)]
    result: Row = {
        "tables": {
            f"Evaluation of {corpus().name} test texts: all metrics, and the bare passes over the same tokens": floors,
            "The usual metrics and every control, and the bare passes over the distinct texts they need": controls,
            "Texts a second against a captum loop, one text at a time": loops,
        }
    }
    try:
        rows, agreement = against_ferret()
        result["tables"]["Texts a second against ferret (AOPC at its ten thresholds)"] = rows
        result["ferret_agreement"] = agreement
    except ImportError as problem:
        result["ferret"] = f"not measured: {problem}"
        print(result["ferret"])
    return result


def against_floor(family: str, count: int, metrics: tuple[str, ...] = ()) -> Row:
    """evaluate by some metrics, and nothing but the passes that it needs: every distinct row once, by length."""
    model, data = classifier(family, trained=True), sample(count)
    seen = Recorder(model)
    pct.evaluate(seen, data, metrics=metrics)
    distinct = set(seen.forwards)
    work = forward_calls(model, distinct) + backward_calls(model, seen.backwards)

    def bare() -> None:
        for call in work:
            call()

    times = alternate({"evaluate": lambda: pct.evaluate(model, data, metrics=metrics), "floor": bare}, ROUNDS[family])
    found = ratio(times["evaluate"], times["floor"])
    texts, tokens = len(data[0]), sum(map(len, distinct)) + sum(len(ids) for ids, _ in seen.backwards)
    return {
        "model": family, "texts": texts, "rows": len(distinct) + len(seen.backwards), "tokens": tokens,
        "rows run twice": len(seen.forwards) - len(distinct), "evaluate s": times["evaluate"].median,
        "floor s": times["floor"].median, "ratio": found["median"], "low": found["low"], "high": found["high"],
        "texts/s": texts / times["evaluate"].median,
    }  # fmt: skip


class Recorder(TextInterface):
    """A predictor that writes down which rows it was asked for."""

    def __init__(self, inner: Classifier) -> None:
        self.inner, self.classes = inner, inner.classes
        self.forwards: list[tuple[int, ...]] = []
        self.backwards: list[tuple[tuple[int, ...], int]] = []

    def tokens(self, texts: Any) -> Tokens:
        """As the inner one."""
        return self.inner.tokens(texts)

    def forward(self, ids: Ints, mask: Any) -> Any:
        """As the inner one."""
        self.forwards += [tuple(row[inside].tolist()) for row, inside in zip(ids, mask, strict=True)]
        return self.inner.forward(ids, mask)

    def represent(self, ids: Ints, mask: Any) -> Any:
        """As the inner one."""
        self.forwards += [tuple(row[inside].tolist()) for row, inside in zip(ids, mask, strict=True)]
        return self.inner.represent(ids, mask)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> Any:
        """As the inner one."""
        found = self.inner.explain_rows(ids, words, classes)
        chosen = found[0].argmax(1) if classes is None else classes
        self.backwards += [
            (tuple(row[word > -2].tolist()), int(label)) for row, word, label in zip(ids, words, chosen, strict=True)
        ]
        return found


def by_length(lengths: list[int], budget: int) -> list[list[int]]:
    """Batches of rows of one length, of at most as many tokens as evaluation takes."""
    order = np.argsort(lengths, kind="stable")
    sizes = np.asarray(lengths)[order]
    groups = np.split(order, np.flatnonzero(np.diff(sizes)) + 1)
    most = [max(budget // lengths[g[0]], 1) for g in groups]
    return [g[i : i + n].tolist() for g, n in zip(groups, most, strict=True) for i in range(0, len(g), n)]


def forward_calls(model: Classifier, rows: set[tuple[int, ...]]) -> list[Callable[[], Any]]:
    """One call a batch, its tensors ready."""
    listed = sorted(rows)
    calls: list[Callable[[], Any]] = []
    for batch in by_length([len(r) for r in listed], TOKENS_A_BATCH):
        ids = torch.tensor([listed[i] for i in batch], device=model.model.device)
        calls.append(partial(_forward, model, ids, torch.ones_like(ids, dtype=torch.bool)))
    return calls


def _forward(model: Classifier, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model.model(ids, mask).logits
        return logits


def backward_calls(model: Classifier, rows: list[tuple[tuple[int, ...], int]]) -> list[Callable[[], Any]]:
    """Forward and backward to the embeddings, one call a batch."""
    calls: list[Callable[[], Any]] = []
    for batch in by_length([len(ids) for ids, _ in rows], TOKENS_A_BACKWARD):
        ids = torch.tensor([rows[i][0] for i in batch], device=model.model.device)
        labels = torch.tensor([rows[i][1] for i in batch], device=model.model.device)
        calls.append(partial(_backward, model, ids, labels))
    return calls


def _backward(model: Classifier, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    mask = torch.ones_like(ids, dtype=torch.bool)
    model.model.requires_grad_(False)
    with without_dropout(model.model):
        embeddings = model.model.embed(ids).requires_grad_(True)
        score = class_score(model.model.encode(embeddings, mask).logits, labels).sum()
        (gradient,) = torch.autograd.grad(score, embeddings)
    model.model.requires_grad_(True)
    return gradient


def against_captum(family: str, rounds: int = 3) -> list[Row]:
    """The AOPC pair, then all the metrics, one text and one forward at a time, saliency by captum."""
    model, data = classifier(family, trained=True), sample(PEER_TEXTS[family])
    words = split_all(data[0])
    rows = []
    for what, metrics in (("AOPC pair", AOPC), ("all", ())):
        found: dict[str, Any] = {}

        def loop(metrics: Any = metrics, found: dict[str, Any] = found) -> None:
            found["loop"] = captum_loop(model, words, all_steps=not metrics)

        def ours(metrics: Any = metrics, found: dict[str, Any] = found) -> None:
            found["pct"] = pct.evaluate(model, data, metrics=metrics)

        times = alternate({"captum": loop, "pct": ours}, rounds)
        apart = np.nan_to_num(np.stack([np.abs(found["pct"].columns[k] - found["loop"][k]) for k in AOPC])).max(0)
        rows.append({
            "model": family, "metrics": what, "texts": len(words),
            "captum texts/s": len(words) / times["captum"].median,
            "pct texts/s": len(words) / times["pct"].median,
            "times faster": ratio(times["captum"], times["pct"])["median"],
            "largest difference": float(apart.max()), "texts that differ": int((apart > AGREEMENT).sum()),
        })  # fmt: skip
    return rows


def against_ferret(rounds: int = 3) -> tuple[list[Row], Row]:
    """ferret's AOPC pair with its gradient explainer: the same numbers where a word is a token, then the time.

    Raises ImportError where ferret is not installed.
    """
    trained = classifier("minilm", trained=True)
    # ferret's gradient is the sum of its absolute values, of the class's logit
    settings = trained.settings.replace(saliency="l1", saliency_of="logit")
    model = Classifier(trained.model, trained.tokenizer, trained.classes, settings)
    texts, labels = sample(PEER_TEXTS["minilm"])
    rows = []
    calls: dict[str, Callable[[], Any]] = {
        "ferret": lambda: ferret_loop(model, texts),
        "the AOPC pair": lambda: ferret_numbers(model, texts),
        "all metrics": lambda: pct.evaluate(model, (texts, labels)),
    }
    times = alternate(calls, rounds)
    for what in ("the AOPC pair", "all metrics"):
        rows.append({
            "pct computes": what, "texts": len(texts), "ferret texts/s": len(texts) / times["ferret"].median,
            "pct texts/s": len(texts) / times[what].median,
            "times faster": ratio(times["ferret"], times[what])["median"],
        })  # fmt: skip
    same = plain_texts(model, corpus().splits["test"].texts)[:24]
    theirs, mine = ferret_loop(model, same), ferret_numbers(model, same)
    found = {
        "texts in which every word is one token": len(same),
        "largest difference comprehensiveness": float(np.abs(theirs[0] - mine[0]).max()),
        "largest difference sufficiency": float(np.abs(theirs[1] - mine[1]).max()),
        "texts that differ": int((np.abs(theirs - mine).max(0) > AGREEMENT).sum()),
    }
    return rows, found


def ferret_numbers(model: Classifier, texts: list[str]) -> np.ndarray[Any, Any]:
    """ferret's AOPC pair by `remove_words`, with its ten thresholds: (2, texts), comprehensiveness and sufficiency."""
    tokens = model.tokens(split_all(texts))
    n = tokens.counts
    steps, counted = ferret_targets(n)
    plan = RemovalPlan.at(n, np.where(counted, steps, 0), np.where(counted, n[:, None] - steps, 0))
    seen = remove_words(model, tokens, plan)
    # at its last threshold nothing is left, or all
    empty = tokens_of_nothing(model)
    rows = np.arange(len(n))
    nothing = model.forward(empty, empty >= 0)[0][seen.labels]
    out = []
    for side, at in ((seen.important, steps), (seen.unimportant, n[:, None] - steps)):
        reached = side.confidence[rows[:, None], np.minimum(at, n[:, None] - 1)]
        reached = np.where(at == n[:, None], nothing[:, None], reached)
        drop = side.confidence[:, :1] - reached
        out.append(np.where(counted, drop, 0).sum(1) / np.maximum(counted.sum(1), 1))
    return np.stack(out)


def tokens_of_nothing(model: Classifier) -> Ints:
    """The special tokens alone, (1, 2)."""
    one = model.tokens([["a"]])
    return one.ids[one.words < 0][None]


def sample(count: int) -> tuple[list[str], list[int]]:
    """Texts and labels of the test split, drawn under a fixed seed, in their order."""
    split = corpus().splits["test"]
    index = np.sort(np.random.default_rng(0).permutation(len(split))[:count])
    return [split.texts[i] for i in index], [int(split.labels[i]) for i in index]
