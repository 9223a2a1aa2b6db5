"""The time of `pct.evaluate` and `pct.explain` against their floors, and of evaluation against a captum loop."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

import pct
from benchmarks._peers import captum_loop
from benchmarks._wrapped import WRAPPED, wrapped
from benchmarks.common import FAMILIES, Row, alternate, classifier, corpus, cpu_ratio, ratio, sample
from pct.classifier import Classifier
from pct.explaining.predictor import TOKENS_A_BACKWARD, TOKENS_A_BATCH, TextInterface
from pct.models.base import TextModel, without_dropout
from pct.models.structural_copy import structural_copy
from pct.models.wrapped import Wrapped
from pct.tasks import label_sets
from pct.text.tokens import Ints, Tokens
from pct.text.words import split_all

# Texts of the test split: the encoder takes a hundred times longer than the TextCNN.
TEXTS = {"textcnn": 1066, "lstm": 1066, "minilm": 96, "bert": 64, "gpt2": 64}
ROUNDS = {"textcnn": 5, "lstm": 5, "minilm": 3, "bert": 3, "gpt2": 3}
# the search for the bounds of normalised AOPC runs about two thousand reduced texts per text of MR
CONTROL_TEXTS = {"textcnn": 48, "lstm": 16, "minilm": 3}
PEER_TEXTS = {"textcnn": 64, "lstm": 64, "minilm": 16}
MULTI_LABEL_THRESHOLD = 0.2
AGREEMENT = 1e-4
AOPC = ("comp_aopc", "suff_aopc")


def main() -> Row:
    """Evaluation, explanation, several labels, pairs and controls against their floors; evaluation against captum."""
    models = (*FAMILIES, *WRAPPED)
    what = f"{corpus().name} test texts"
    return {
        "tables": {
            f"Evaluation of {what}: all metrics, and the bare passes over the same tokens": [
                against_floor(name, TEXTS[name], evaluation()) for name in models
            ],
            f"Explanation of {what}: curves and flips, and the bare passes over the same tokens": [
                against_floor(name, TEXTS[name], explanation) for name in models
            ],
            f"Evaluation of several labels, {what}: all metrics, and the bare passes over the same tokens": [
                against_floor(name, TEXTS[name], evaluation(), "labels") for name in FAMILIES
            ],
            f"Evaluation of pairs of {what}: all metrics, and the bare passes over the same tokens": [
                against_floor("minilm", TEXTS["minilm"] // 2, evaluation(), "pairs")
            ],
            "The usual metrics and every control, and the bare passes over the distinct texts they need": [
                against_floor(name, CONTROL_TEXTS[name], evaluation("all")) for name in FAMILIES
            ],
            "Texts a second against a captum loop, one text at a time": [
                row
                for family in FAMILIES
                for row in against_captum(family, classifier(family, trained=True), sample(PEER_TEXTS[family]))
            ],
        }
    }


Task = Callable[[Any, tuple[list[Any], Any]], object]


def evaluation(*metrics: str) -> Task:
    """`pct.evaluate` of a predictor and data, with these metrics (none: the default)."""
    return lambda model, data: pct.evaluate(model, data, metrics=metrics)


def explanation(model: Any, data: tuple[list[Any], Any]) -> object:
    """`pct.explain` of a predictor and the texts of data."""
    return pct.explain(model, data[0])


def against_floor(name: str, count: int, task: Task, kind: str = "") -> Row:
    """A task against the bare passes that it needs: each distinct row once, in batches of equal length.

    kind: `labels` makes the classifier multi-label, so that a text is explained for each of its labels; `pairs`
    evaluates pairs of texts.
    """
    model, data = wrapped(name) if name in WRAPPED else classifier(name, trained=True), sample(count)
    if kind == "pairs":
        data = list(zip(data[0], data[0][1:] + data[0][:1], strict=True)), data[1]
    if kind == "labels":
        model, data = as_multi_label(model), (data[0], label_sets(np.array(data[1]), len(model.classes)))
    recorder = RowRecorder(model)
    task(recorder, data)
    distinct = set(recorder.forwards)
    work = forward_calls(model, distinct) + backward_calls(model, recorder.backwards)

    def bare() -> None:
        for call in work:
            call()

    times = alternate({"task": lambda: task(model, data), "floor": bare}, ROUNDS[name])
    measured = ratio(times["task"], times["floor"])
    texts, tokens = len(data[0]), sum(map(len, distinct)) + sum(len(ids) for ids, _ in recorder.backwards)
    return {
        "model": name, "texts": texts, "rows": len(distinct) + len(recorder.backwards), "tokens": tokens,
        "rows run twice": len(recorder.forwards) - len(distinct), "seconds": times["task"].median,
        "floor s": times["floor"].median, "ratio": measured["median"], "low": measured["low"], "high": measured["high"],
        "ratio of CPU time": cpu_ratio(times["task"], times["floor"]), "texts/s": texts / times["task"].median,
    }  # fmt: skip


def as_multi_label(model: Classifier) -> Classifier:
    """A multi-label classifier with the same outputs, at a threshold that most texts exceed for both labels."""
    settings = model.settings.replace(multi_label=True, threshold=MULTI_LABEL_THRESHOLD)
    return Classifier(structural_copy(model.model), model.tokenizer, model.classes, settings)


class RowRecorder(TextInterface):
    """A predictor that records the rows of its passes."""

    def __init__(self, inner: Classifier) -> None:
        self.inner, self.classes, self.task = inner, inner.classes, inner.task
        self.forwards: list[tuple[int, ...]] = []
        self.backwards: list[tuple[tuple[int, ...], int]] = []

    def tokens(self, texts: Any) -> Tokens:
        """See `Predictor`."""
        return self.inner.tokens(texts)

    def forward(self, ids: Ints, mask: Any) -> Any:
        """See `Predictor`."""
        self.forwards += [tuple(row[real].tolist()) for row, real in zip(ids, mask, strict=True)]
        return self.inner.forward(ids, mask)

    def represent(self, ids: Ints, mask: Any) -> Any:
        """See `Predictor`."""
        self.forwards += [tuple(row[real].tolist()) for row, real in zip(ids, mask, strict=True)]
        return self.inner.represent(ids, mask)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> Any:
        """See `Predictor`."""
        answer = self.inner.explain_rows(ids, words, classes)
        chosen = answer[0].argmax(1) if classes is None else classes
        self.backwards += [
            (tuple(row[word > -2].tolist()), int(label)) for row, word, label in zip(ids, words, chosen, strict=True)
        ]
        return answer


def by_length(lengths: list[int], budget: int) -> list[list[int]]:
    """Batches of rows of equal length, of at most `budget` tokens."""
    order = np.argsort(lengths, kind="stable")
    sizes = np.asarray(lengths)[order]
    groups = np.split(order, np.flatnonzero(np.diff(sizes)) + 1)
    limits = [max(budget // lengths[g[0]], 1) for g in groups]
    return [g[i : i + n].tolist() for g, n in zip(groups, limits, strict=True) for i in range(0, len(g), n)]


def forward_calls(model: Classifier, rows: set[tuple[int, ...]]) -> list[Callable[[], Any]]:
    """A forward pass per batch, with its tensors prepared."""
    listed = sorted(rows)
    batches = by_length([len(r) for r in listed], TOKENS_A_BATCH)
    device = model.model.device
    return [partial(_forward, model.model, torch.tensor([listed[i] for i in b], device=device)) for b in batches]


def _forward(model: TextModel, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        if isinstance(model, Wrapped):
            return _transformers_logits(model, input_ids=ids)
        return model(ids, torch.ones_like(ids, dtype=torch.bool)).logits


def _transformers_logits(model: Wrapped, **inputs: torch.Tensor) -> torch.Tensor:
    """The logits of transformers' own model, for rows without padding."""
    inner: Any = model.model
    logits: torch.Tensor = inner(**inputs).logits
    return logits


def backward_calls(model: Classifier, rows: list[tuple[tuple[int, ...], int]]) -> list[Callable[[], Any]]:
    """A forward pass and a backward pass to the embeddings per batch."""
    calls: list[Callable[[], Any]] = []
    for batch in by_length([len(ids) for ids, _ in rows], TOKENS_A_BACKWARD):
        ids, labels = (torch.tensor([rows[i][k] for i in batch], device=model.model.device) for k in (0, 1))
        calls.append(partial(_backward, model.model, ids, labels))
    return calls


def _backward(model: TextModel, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    model.requires_grad_(False)
    with without_dropout(model):
        embeddings = model.embed(ids).requires_grad_(True)
        if isinstance(model, Wrapped):
            logits = _transformers_logits(model, inputs_embeds=embeddings)
        else:
            logits = model.encode(embeddings, torch.ones_like(ids, dtype=torch.bool)).logits
        (gradient,) = torch.autograd.grad(model.head.score(logits, labels).sum(), embeddings)
    model.requires_grad_(True)
    return gradient


def against_captum(name: str, model: Classifier, data: tuple[list[str], list[int]], rounds: int = 3) -> list[Row]:
    """The AOPC pair, then all metrics, against captum's saliency in a loop, one text and one forward pass at a time."""
    words = split_all(data[0])
    rows = []
    for what, metrics in (("AOPC pair", AOPC), ("all", ())):
        reports: dict[str, Any] = {}

        def loop(metrics: Any = metrics, reports: dict[str, Any] = reports) -> None:
            reports["loop"] = captum_loop(model, words, all_steps=not metrics)

        def ours(metrics: Any = metrics, reports: dict[str, Any] = reports) -> None:
            reports["pct"] = pct.evaluate(model, data, metrics=metrics)

        times = alternate({"captum": loop, "pct": ours}, rounds)
        differences = np.nan_to_num(
            np.stack([np.abs(reports["pct"].columns[k] - reports["loop"][k]) for k in AOPC])
        ).max(0)
        rows.append({
            "model": name, "metrics": what, "texts": len(words),
            "captum texts/s": len(words) / times["captum"].median,
            "pct texts/s": len(words) / times["pct"].median,
            "times faster": ratio(times["captum"], times["pct"])["median"],
            "largest difference": float(differences.max()), "texts that differ": int((differences > AGREEMENT).sum()),
        })  # fmt: skip
    return rows
