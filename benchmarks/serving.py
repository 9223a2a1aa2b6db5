"""The service against the bare session, eager torch and a per-text captum loop; its HTTP layer, batching and start.

PCT_BENCH_MODELS: a folder where the trained and exported models are kept for the next run. PCT_BENCH_LEAN: the Python
of an environment made from requirements-serve.lock with this package in it; else one is made.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._peers import Eager, captum_norms, probabilities
from benchmarks._service import REPOSITORY, Service, eager_service, load, pressed, service
from benchmarks.common import FAMILIES, THREADS, Row, Timing, alternate, classifier, corpus, ratio, starts
from pct.classifier import Classifier
from pct.onnx.export import export
from pct.onnx.predictor import FORWARD, GRADIENT, OnnxPredictor
from pct.text.words import Document
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.limits import Limits
from serving.model_store import ModelEntry, ServedModel
from serving.schema import ExplainRequest

WORDS = 20
TOGETHER = 8
# how often a round goes through the texts: a round should take a second or so
TURNS = {"textcnn": 24, "lstm": 8, "minilm": 2}
# of 32 clients at /explain: where a batch takes seconds, its last answers are waited for
PRESSED = {"textcnn": {"seconds": 4}, "lstm": {"seconds": 4}, "minilm": {"requests": 96}}
ROUNDS = {"textcnn": 7, "lstm": 5, "minilm": 3}


def main() -> Row:
    """Five tables: /explain's time, /explain's throughput, /predict, batching, start and memory."""
    explained, rates, predicted, batched = [], [], [], []
    with room() as folder:
        python = lean_python(folder)
        for family in FAMILIES:
            by_torch, exported = models(family, folder)
            saved = saved_in(folder, family)
            with service(str(exported), python=python) as running:
                with eager_service(saved, 1) as narrow, eager_service(saved, THREADS) as wide:
                    eager = [narrow, wide]
                    one, more = explain(family, by_torch, OnnxPredictor.load(exported, THREADS), running, eager)
                explained.append(one)
                rates += more
                predicted.append(predict(family, OnnxPredictor.load(exported, THREADS), running))
            batched += batching(family, exported, python)
        by_torch, exported = models("textcnn", folder)
        starts = start(by_torch, exported, python, folder)
    return {
        "clients": "on the same machine as the service: they share its cores",
        "tables": {
            f"/explain, one client, texts of {WORDS} words, static order, 15 steps a side: ms a text": explained,
            "The same, texts a second": rates,
            "/predict, one text a request, by wrk": predicted,
            "32 clients: requests go together (at most 64 a call), or one by one (--max-batch 1)": batched,
            "From start to the first explanation, and resident memory (TextCNN)": starts,
        },
    }


@contextmanager
def room() -> Iterator[Path]:
    """A folder for models and environments: a kept one, or one for this run."""
    if kept := os.environ.get("PCT_BENCH_MODELS"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept)
    else:
        with tempfile.TemporaryDirectory(prefix="pct-bench-") as folder:
            yield Path(folder)


def saved_in(folder: Path, family: str) -> Path:
    """Where `models` keeps the trained classifier."""
    return folder / f"{family}-torch"


def models(family: str, folder: Path) -> tuple[Classifier, Path]:
    """A trained classifier, and the folder of its exported graphs."""
    torch.set_num_threads(THREADS)
    saved, exported = saved_in(folder, family), folder / family
    if not saved.is_dir():
        classifier(family, trained=True).save(saved)
    by_torch = Classifier.load(saved, "cpu")
    if not (exported / GRADIENT).is_file():
        export(by_torch, exported)
    return by_torch, exported


def lean_python(folder: Path) -> str:
    """The Python of an environment that has what requirements-serve.lock names, and this package."""
    if given := os.environ.get("PCT_BENCH_LEAN"):
        return given
    subprocess.run([sys.executable, "-m", "venv", folder / "lean"], check=True)
    python = str(folder / "lean" / "bin" / "python")
    for what in (["-r", "requirements-serve.lock"], ["--no-deps", "."]):
        subprocess.run([python, "-m", "pip", "install", "-q", *what], check=True, cwd=REPOSITORY)
    return python


def texts_of(words: int, count: int) -> list[str]:
    """Different test texts of so many words: equal ones would be explained once."""
    return [t for t in dict.fromkeys(corpus().splits["test"].texts) if len(t.split()) == words][:count]


def bodies_of(texts: Sequence[str]) -> list[bytes]:
    """A request for each text."""
    return [json.dumps({"texts": [t]}).encode() for t in texts]


class Recorder:
    """A `Predictor` that keeps what it asked the session, to ask it again without anything around."""

    def __init__(self, inner: OnnxPredictor) -> None:
        self.classes, self.tokens, self._inner = inner.classes, inner.tokens, inner
        self._asked: list[Callable[[], object]] = []

    def forward(self, ids: Any, mask: Any) -> Any:
        """See `Predictor.forward`."""
        feeds = {"ids": ids, "mask": mask}
        self._asked.append(partial(self._inner._sessions.open(FORWARD).run, ["logits"], feeds))
        return self._inner.forward(ids, mask)

    def explain_rows(self, ids: Any, words: Any, classes: Any) -> Any:
        """See `Predictor.explain_rows`."""
        chosen = np.full(len(ids), -1) if classes is None else classes
        feeds = {"ids": ids, "words": words, "classes": chosen, "scale": np.array(1, np.float32)}
        outputs = ["logits", f"saliency_{self._inner.saliency_kind}"]
        self._asked.append(partial(self._inner._sessions.open(GRADIENT).run, outputs, feeds))
        return self._inner.explain_rows(ids, words, classes)

    def replay(self, turns: int = 1) -> None:
        """The session's time alone."""
        for _ in range(turns):
            for ask in self._asked:
                ask()


def captum_curves(model: Classifier, words: list[str], steps: int) -> list[list[float]]:
    """One text as a loop would explain it: captum's gradient, then a forward pass for each reduced text of both sides.

    Runs the steps of the curves alone, fewer than the service, which also looks for the flip behind them.
    """
    whole = probabilities(model, words)
    label = whole.index(max(whole))
    norms = captum_norms(model, words, label)
    sides = []
    for sign in (-1, 1):
        order = sorted(range(len(norms)), key=lambda w: (sign * norms[w], w))
        kept = [[word for w, word in enumerate(words[: len(norms)]) if w not in order[:t]] for t in range(len(norms))]
        sides.append([probabilities(model, some)[label] for some in kept[1 : steps + 1]])
    return sides


def explain(
    family: str, by_torch: Classifier, by_onnx: OnnxPredictor, running: Service, by_eager: Sequence[Service]
) -> tuple[Row, list[Row]]:
    """A row of times, and two of throughput: one client, and eight. by_eager: the service with torch in it, of one
    thread and of more; the faster counts, for torch's threads and the event loop share the cores."""
    texts = texts_of(WORDS, TOGETHER)
    bodies, read = bodies_of(texts), read_texts(texts, Limits(), by_onnx.word_rule)
    job = ExplainJob.of(ExplainRequest(texts=texts), _served(by_onnx), Limits())
    singly, jointly = Recorder(by_onnx), Recorder(by_onnx)
    for text in read:
        job.remove(singly, singly.tokens([text]))
    job.remove(jointly, jointly.tokens(read))
    eager, turns = Eager(by_torch), TURNS[family]
    n = len(texts)

    def each(run: Callable[[Document], object]) -> list[object]:
        return [run(text) for text in read]

    for one_of_them in (running, *by_eager):
        answered = load(one_of_them.port, "/explain", bodies, TOGETHER, requests=4 * n)  # warm
        if answered.failed:
            raise RuntimeError(f"/explain failed: {answered.failed[0][1]}")
    calls: dict[str, Callable[[], object]] = {
        "http 1": partial(load, running.port, "/explain", bodies, 1, requests=turns * n),
        "bare 1": partial(singly.replay, turns),
        "alone 1": lambda: [each(lambda t: job.run([t], float("inf"))) for _ in range(turns)],
        "http 8": partial(load, running.port, "/explain", bodies, TOGETHER, requests=turns * n),
        "bare 8": partial(jointly.replay, turns),
        **{
            f"http eager {k} {i}": partial(load, one.port, "/explain", bodies, k, requests=turns * n)
            for k in (1, TOGETHER)
            for i, one in enumerate(by_eager)
        },
        # slower ones go through the texts once a round
        "eager 1": lambda: each(lambda t: job.remove(eager, eager.tokens([t]))),
        "eager 8": lambda: job.remove(eager, eager.tokens(read)),
        "shared 1": lambda: each(lambda t: job.remove(by_torch, by_torch.tokens([t]))),
        "shared 8": lambda: job.remove(by_torch, by_torch.tokens(read)),
        "captum": lambda: each(lambda t: captum_curves(by_torch, list(t), job.max_steps)),
    }
    times = alternate(calls, rounds=ROUNDS[family])
    a_text = {
        name: Timing([s / n / (turns if name[:4] in ("http", "bare", "alon") else 1) for s in t.seconds])
        for name, t in times.items()
    }
    alone = load(running.port, "/explain", bodies, 1, seconds=10)
    crowd = load(running.port, "/explain", bodies, TOGETHER, seconds=10)
    bare = ratio(a_text["http 1"], a_text["bare 1"])
    inside = ratio(a_text["alone 1"], a_text["bare 1"])
    one = {
        "model": family, "p50": alone.percentile(50) * 1e3, "p99": alone.percentile(99) * 1e3,
        "mean": a_text["http 1"].median * 1e3, "bare session": a_text["bare 1"].median * 1e3,
        "ratio": bare["median"], "low": bare["low"], "high": bare["high"],
        "without HTTP": a_text["alone 1"].median * 1e3, "its ratio": inside["median"],
        "8 clients p50": crowd.percentile(50) * 1e3, "8 clients p99": crowd.percentile(99) * 1e3,
        "failed": len(alone.failed) + len(crowd.failed),
    }  # fmt: skip
    with_eager = {
        k: min((a_text[f"http eager {k} {i}"] for i in range(len(by_eager))), key=lambda t: t.median)
        for k in (1, TOGETHER)
    }
    rates = [
        {
            "model": family, "clients": k, "service": 1 / a_text[f"http {k}"].median,
            "with eager torch": 1 / with_eager[k].median,
            "service / it": ratio(with_eager[k], a_text[f"http {k}"])["median"],
            "bare session": 1 / a_text[f"bare {k}"].median, "eager torch": 1 / a_text[f"eager {k}"].median,
            "service / eager": ratio(a_text[f"eager {k}"], a_text[f"http {k}"])["median"],
            "torch, shared": 1 / a_text[f"shared {k}"].median,
            "service / shared": ratio(a_text[f"shared {k}"], a_text[f"http {k}"])["median"],
            "captum loop": 1 / a_text["captum"].median,
            "service / loop": ratio(a_text["captum"], a_text[f"http {k}"])["median"],
        }
        for k in (1, TOGETHER)
    ]  # fmt: skip
    return one, rates


def predict(family: str, by_onnx: OnnxPredictor, running: Service) -> Row:
    """wrk with one client and with 32, against a loop of session calls."""
    texts = texts_of(WORDS, 32)
    bodies = bodies_of(texts)
    tokens = by_onnx.tokens([t.split() for t in texts])
    rows = [tokens.rows(np.array([i])) for i in range(len(texts))]
    job, read = PredictJob(_served(by_onnx)), read_texts(texts, Limits(), by_onnx.word_rule)

    def bare() -> None:
        for ids, words in rows:
            by_onnx.run_forward(ids, words > -2, ["logits"])

    found: dict[str, list[float]] = {}
    for _ in range(3):
        for name, run in (("bare", bare), ("inside", lambda: [job.run([t], float("inf")) for t in read])):
            begun = time.perf_counter()
            for _ in range(3):
                run()
            found.setdefault(name, []).append((time.perf_counter() - begun) / 3 / len(texts))
        for clients in (1, 32):
            told = pressed(running.port, "/predict", bodies, clients, 2)
            found.setdefault(f"rate {clients}", []).append(told["rate"])
            found.setdefault(f"p50 {clients}", []).append(told["p50"])
            found.setdefault(f"p99 {clients}", []).append(told["p99"])
            found.setdefault("errors", []).append(told["errors"])
    middle = {k: float(np.median(v)) for k, v in found.items()}
    return {
        "model": family, "bare ms": middle["bare"] * 1e3, "without HTTP": middle["inside"] * 1e3,
        "p50": middle["p50 1"] * 1e3, "p99": middle["p99 1"] * 1e3,
        "HTTP adds": (middle["p50 1"] - middle["inside"]) * 1e3,
        "bare/s": 1 / middle["bare"], "1 client/s": middle["rate 1"], "32 clients/s": middle["rate 32"],
        "32: p50": middle["p50 32"] * 1e3, "32: p99": middle["p99 32"] * 1e3, "errors": int(sum(found["errors"])),
    }  # fmt: skip


def batching(family: str, exported: Path, python: str) -> list[Row]:
    """32 clients of two services that run side by side, asked in turn."""
    bodies = bodies_of(texts_of(WORDS, 32))
    rows = []
    with (
        service(str(exported), python=python) as together,
        service(str(exported), "--max-batch", "1", python=python) as singly,
    ):
        for path in ("/predict", "/explain"):
            found: dict[str, list[dict[str, Any]]] = {"on": [], "off": []}
            for turn in range(4):
                order = [("on", together), ("off", singly)]
                for name, running in order if turn % 2 else order[::-1]:
                    how = PRESSED[family] if path == "/explain" else {"seconds": 2}
                    told = pressed(running.port, path, bodies, 32, **how)
                    if turn:
                        found[name].append(told)
            rate, p50 = (
                {name: float(np.median([t[key] for t in told])) for name, told in found.items()}
                for key in ("rate", "p50")
            )
            rows.append({
                "model": family, "path": path, "together/s": rate["on"], "one by one/s": rate["off"],
                "ratio": float(np.median([a["rate"] / b["rate"] for a, b in zip(*found.values(), strict=True)])),
                "together p50 ms": p50["on"] * 1e3, "one by one p50 ms": p50["off"] * 1e3,
                "errors": sum(t["errors"] for told in found.values() for t in told),
            })  # fmt: skip
    return rows


def start(by_torch: Classifier, exported: Path, python: str, folder: Path) -> list[Row]:
    """The service in the lean environment and in this one, which has torch; and a process by torch beside one by ONNX
    Runtime. The best of three starts."""
    texts = texts_of(WORDS, TOGETHER)
    bodies, saved, rows = bodies_of(texts), saved_in(folder, "textcnn"), []
    for name, interpreter in (
        ("pct serve, lean environment", python),
        ("pct serve, with torch installed", sys.executable),
    ):
        seconds, memory = [], []
        for _ in range(3):
            with service(str(exported), python=interpreter, body=bodies[0]) as running:
                seconds.append(running.to_answer)
                load(running.port, "/explain", bodies, 4, requests=200)
                memory.append(running.memory())
        least = min(memory, key=lambda m: m["worker"])
        rows.append({"what": name, "seconds": min(seconds), "worker MB": least["worker"], "all MB": least["all"]})
    for name, interpreter, kind, of in (
        ("a process with ONNX Runtime, lean", python, "onnx", exported),
        ("a process with torch", sys.executable, "torch", saved),
    ):
        runs = starts(kind, "explanation", of, texts[0], interpreter)
        resident = min(mb for _, _, mb in runs)
        rows.append({"what": name, "seconds": min(runs)[0], "worker MB": resident, "all MB": None})
    return rows


def _served(predictor: OnnxPredictor) -> ServedModel:
    return ServedModel(ModelEntry("benchmark", "", ""), predictor, (0, 0))
