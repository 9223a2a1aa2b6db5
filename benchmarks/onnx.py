"""An exported model against eager torch: a forward pass, one with the gradient, an explanation, start and memory."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import pct
from benchmarks.common import FAMILIES, THREADS, Row, Timing, alternate, classifier, corpus, measure_starts, ratio
from pct.classifier import Classifier
from pct.corpora.splits import with_limit
from pct.explaining.reduction import removal_ranks
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from pct.text.tokens import Ints
from pct.text.words import split_all

# (texts, words): one request, a batch of requests, a batch of evaluation, the longest texts
SHAPES = ((1, 20), (8, 20), (64, 24), (64, 40))
INT8_TEXTS = 400

Calls = dict[str, Callable[[], object]]


def main() -> Row:
    """Four tables: passes, explanations, start and memory, int8."""
    passes, explanations, startups, int8_rows = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="pct-bench-") as folder:
        for family in FAMILIES:
            by_torch = classifier(family, trained=True)
            start = time.perf_counter()
            exported = export(by_torch, Path(folder) / family)
            seconds = time.perf_counter() - start
            by_onnx = OnnxPredictor.load(Path(folder) / family, threads=THREADS)
            passes += [one_shape(family, by_torch, by_onnx, shape) for shape in SHAPES]
            passes.append(reduced_texts(family, by_torch, by_onnx))
            explanations += [explain_row(family, by_torch, by_onnx, count) for count in (1, 8)]
            by_torch.save(Path(folder) / "torch")
            startups += startup_rows(family, Path(folder) / "torch", exported.folder, seconds)
            int8_rows.append(int8(family, by_torch, by_onnx, Path(folder) / f"{family}8"))
    return {
        "tables": {
            "A batch: forward, and forward with gradient, ms": passes,
            "An explanation with both curves, ms (static order, 15 steps at most)": explanations,
            "From start to the first saliency, in a fresh process": startups,
            "int8 beside float32": int8_rows,
        }
    }


def one_shape(family: str, by_torch: Classifier, by_onnx: OnnxPredictor, shape: tuple[int, int]) -> Row:
    """A batch of the texts of the corpus whose lengths are nearest to the shape's."""
    count, words = shape
    tokens = by_torch.tokens(split_all(corpus().splits["train"].texts))
    nearest = np.argsort(np.abs(tokens.lengths - words), kind="stable")[:count]
    ids, word_ids = tokens.rows(nearest)
    return {"model": family, "batch": f"{count} x {ids.shape[1]}", **_passes(by_torch, by_onnx, ids, word_ids)}


def reduced_texts(family: str, by_torch: Classifier, by_onnx: OnnxPredictor) -> Row:
    """One text of 20 words and its reduced texts on both sides, as a request with curves needs them."""
    words = text_of(20).split()
    scores = by_torch.saliency([words])[0][None]
    lists = []
    for side in (True, False):
        ranks = removal_ranks(scores, np.array([20]), side)[0]
        lists += [[w for w, rank in zip(words, ranks, strict=True) if rank > step] for step in range(16)]
    ids, word_ids = by_torch.tokens(lists).rows(np.arange(len(lists)))
    return {"model": family, "batch": f"{len(ids)} reduced", **_passes(by_torch, by_onnx, ids, word_ids)}


def _passes(by_torch: Classifier, by_onnx: OnnxPredictor, ids: Ints, words: Ints) -> Row:
    times = _timed({"torch": by_torch, "onnx": by_onnx}, ids, words, rounds=15, warmup=3)
    out: Row = {}
    for what in ("forward", "gradient"):
        slow, fast = times[f"torch {what}"], times[f"onnx {what}"]
        out |= {f"torch {what}": slow.median * 1e3, f"onnx {what}": fast.median * 1e3}
        out[f"{what} ratio"] = ratio(slow, fast)["median"]
    out["onnx gradient / forward"] = ratio(times["onnx gradient"], times["onnx forward"])["median"]
    return out


def _timed(models: dict[str, Any], ids: Ints, words: Ints, rounds: int, warmup: int) -> dict[str, Timing]:
    """`NAME forward` and `NAME gradient` of each model, on the same rows."""
    calls: Calls = {f"{name} forward": partial(model.forward, ids, words > -2) for name, model in models.items()}
    calls |= {f"{name} gradient": partial(model.explain_rows, ids, words, None) for name, model in models.items()}
    return alternate(calls, rounds, warmup)


def explain_row(family: str, by_torch: Classifier, by_onnx: OnnxPredictor, count: int) -> Row:
    """`pct.explain` on texts of 20 words."""
    texts = [text_of(20, index) for index in range(count)]
    calls: Calls = {"torch": partial(pct.explain, by_torch, texts), "onnx": partial(pct.explain, by_onnx, texts)}
    times = alternate(calls, rounds=7, warmup=2)
    speedup = ratio(times["torch"], times["onnx"])
    return {
        "model": family, "texts": count, "torch": times["torch"].median * 1e3, "onnx": times["onnx"].median * 1e3,
        "ratio": speedup["median"], "low": speedup["low"], "high": speedup["high"],
    }  # fmt: skip


def startup_rows(family: str, torch_folder: Path, onnx_folder: Path, seconds: float) -> list[Row]:
    """A fresh interpreter loads a model and computes a saliency; the best of three."""
    rows: list[Row] = []
    for kind, folder in (("torch", torch_folder), ("onnx", onnx_folder)):
        best, peak, _ = min(measure_starts(kind, "saliency", folder, text_of(20)))
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20
        exporting = seconds if kind == "onnx" else None
        rows.append({"model": family, "by": kind, "seconds": best, "peak MiB": peak, "folder MiB": size,
                     "export s": exporting})  # fmt: skip
    return rows


def int8(family: str, by_torch: Classifier, by_onnx: OnnxPredictor, folder: Path) -> Row:
    """What int8 weights save and cost, on test texts."""
    data = with_limit(corpus().splits["test"], INT8_TEXTS, 0)
    exported = export(by_torch, folder, quantize=True, data=data)
    assert exported.int8 is not None
    quantized = OnnxPredictor.load(folder, threads=THREADS)
    tokens = by_torch.tokens(split_all(data.texts[:64]))
    ids, words = tokens.rows(np.arange(64))
    times = _timed({"float": by_onnx, "int8": quantized}, ids, words, rounds=9, warmup=2)
    cost = exported.int8
    return {
        "model": family, "MiB": exported.bytes / 2**20,
        "accuracy": cost["accuracy_float32"], "int8": cost["accuracy_int8"],
        "same class": cost["same_class"], **{f"ranks {k}": v for k, v in cost["rank_agreement"].items()},
        "forward ratio": ratio(times["float forward"], times["int8 forward"])["median"],
        "gradient ratio": ratio(times["float gradient"], times["int8 gradient"])["median"],
    }  # fmt: skip


def text_of(words: int, index: int = 0) -> str:
    """The test text of this index among those with this number of words."""
    return [t for t in corpus().splits["test"].texts if len(t.split()) == words][index]
