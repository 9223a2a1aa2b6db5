"""The service against the bare session, eager torch and a per-text captum loop; its HTTP layer, batching and start.

PCT_BENCH_MODELS: a folder that keeps the trained and exported models for the next run. PCT_BENCH_LEAN: the Python of an
environment with requirements-serve.lock and this package; by default one is created.
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
from benchmarks._service import REPOSITORY, Service, eager_service, load, service, throughput
from benchmarks.common import FAMILIES, THREADS, Row, Timing, alternate, classifier, corpus, measure_starts, ratio
from pct.classifier import Classifier
from pct.onnx.export import export
from pct.onnx.predictor import FORWARD, GRADIENT, OnnxPredictor
from pct.text.words import Document
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.limits import Limits
from serving.model_store import ModelEntry, ServedModel
from serving.schema import ExplainRequest

WORDS = 20
CLIENTS = 8  # and as many texts
# passes over the texts in a round, so that a round takes about a second
TURNS = {"textcnn": 24, "lstm": 8, "minilm": 2}
# the load of 32 clients at /explain; where a batch takes seconds, a number of requests, so that all are answered
EXPLAIN_LOAD = {"textcnn": {"seconds": 4}, "lstm": {"seconds": 4}, "minilm": {"requests": 96}}
ROUNDS = {"textcnn": 7, "lstm": 5, "minilm": 3}


def main() -> Row:
    """Five tables: /explain's time, /explain's throughput, /predict, batching, start and memory."""
    explained, rates, predicted, batched = [], [], [], []
    with models_folder() as folder:
        python = lean_python(folder)
        for family in FAMILIES:
            by_torch, exported = models(family, folder)
            saved = classifier_folder(folder, family)
            with service(str(exported), python=python) as running:
                with eager_service(saved, 1) as narrow, eager_service(saved, THREADS) as wide:
                    eager = [narrow, wide]
                    by_onnx = OnnxPredictor.load(exported, THREADS)
                    times_row, rate_rows = explain(family, by_torch, by_onnx, running, eager)
                explained.append(times_row)
                rates += rate_rows
                predicted.append(predict(family, OnnxPredictor.load(exported, THREADS), running))
            batched += batching(family, exported, python)
        by_torch, exported = models("textcnn", folder)
        startups = startup_rows(by_torch, exported, python, folder)
    return {
        "clients": "on the same machine as the service: they share its cores",
        "tables": {
            f"/explain, one client, texts of {WORDS} words, static order, 15 steps a side: ms a text": explained,
            "The same, texts a second": rates,
            "/predict, one text a request, by wrk": predicted,
            "32 clients: requests go together (at most 64 a call), or one by one (--max-batch 1)": batched,
            "From start to the first explanation, and resident memory (TextCNN)": startups,
        },
    }


@contextmanager
def models_folder() -> Iterator[Path]:
    """A folder for models and environments: PCT_BENCH_MODELS, or a temporary one."""
    if kept := os.environ.get("PCT_BENCH_MODELS"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept)
    else:
        with tempfile.TemporaryDirectory(prefix="pct-bench-") as folder:
            yield Path(folder)


def classifier_folder(folder: Path, family: str) -> Path:
    """The folder in which `models` saves the trained classifier."""
    return folder / f"{family}-torch"


def models(family: str, folder: Path) -> tuple[Classifier, Path]:
    """A trained classifier, and the folder of its exported graphs."""
    torch.set_num_threads(THREADS)
    saved, exported = classifier_folder(folder, family), folder / family
    if not saved.is_dir():
        classifier(family, trained=True).save(saved)
    by_torch = Classifier.load(saved, "cpu")
    if not (exported / GRADIENT).is_file():
        export(by_torch, exported)
    return by_torch, exported


def lean_python(folder: Path) -> str:
    """The Python of an environment with requirements-serve.lock and this package."""
    if configured := os.environ.get("PCT_BENCH_LEAN"):
        return configured
    subprocess.run([sys.executable, "-m", "venv", folder / "lean"], check=True)
    python = str(folder / "lean" / "bin" / "python")
    for packages in (["-r", "requirements-serve.lock"], ["--no-deps", "."]):
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, cwd=REPOSITORY)
    return python


def texts_of(words: int, count: int) -> list[str]:
    """Distinct test texts with this number of words: the service explains equal texts only once."""
    return [t for t in dict.fromkeys(corpus().splits["test"].texts) if len(t.split()) == words][:count]


def bodies_of(texts: Sequence[str]) -> list[bytes]:
    """The body of a request for each text."""
    return [json.dumps({"texts": [t]}).encode() for t in texts]


class SessionRecorder:
    """A `Predictor` that records its session calls, to replay them without the code around them."""

    def __init__(self, inner: OnnxPredictor) -> None:
        self.classes, self.tokens, self._inner = inner.classes, inner.tokens, inner
        self._calls: list[Callable[[], object]] = []

    def forward(self, ids: Any, mask: Any) -> Any:
        """See `Predictor.forward`."""
        feeds = {"ids": ids, "mask": mask}
        self._calls.append(partial(self._inner._sessions.open(FORWARD).run, ["logits"], feeds))
        return self._inner.forward(ids, mask)

    def explain_rows(self, ids: Any, words: Any, classes: Any) -> Any:
        """See `Predictor.explain_rows`."""
        chosen = np.full(len(ids), -1) if classes is None else classes
        feeds = {"ids": ids, "words": words, "classes": chosen, "scale": np.array(1, np.float32)}
        outputs = ["logits", f"saliency_{self._inner.saliency_kind}"]
        self._calls.append(partial(self._inner._sessions.open(GRADIENT).run, outputs, feeds))
        return self._inner.explain_rows(ids, words, classes)

    def replay(self, turns: int = 1) -> None:
        """Repeats the recorded calls."""
        for _ in range(turns):
            for call in self._calls:
                call()


def captum_curves(model: Classifier, words: list[str], steps: int) -> list[list[float]]:
    """Explains one text in a loop: captum's gradient, then a forward pass for each reduced text of both sides.

    Runs only the steps of the curves, fewer than the service, which also searches for a flip after them.
    """
    full_text = probabilities(model, words)
    label = full_text.index(max(full_text))
    norms = captum_norms(model, words, label)
    sides = []
    for sign in (-1, 1):
        order = sorted(range(len(norms)), key=lambda w: (sign * norms[w], w))
        kept = [[word for w, word in enumerate(words[: len(norms)]) if w not in order[:t]] for t in range(len(norms))]
        sides.append([probabilities(model, reduced)[label] for reduced in kept[1 : steps + 1]])
    return sides


def explain(
    family: str, by_torch: Classifier, by_onnx: OnnxPredictor, running: Service, by_eager: Sequence[Service]
) -> tuple[Row, list[Row]]:
    """A row of times, and two of throughput, for one client and for eight.

    by_eager: the service with eager torch, on one thread and on several. The faster one counts, because torch's threads
    and the event loop share the cores.
    """
    texts = texts_of(WORDS, CLIENTS)
    bodies, documents = bodies_of(texts), read_texts(texts, Limits(), by_onnx.word_rule)
    job = ExplainJob.of(ExplainRequest(texts=texts), _served(by_onnx), Limits())
    singly, jointly = SessionRecorder(by_onnx), SessionRecorder(by_onnx)
    for text in documents:
        job.remove(singly, singly.tokens([text]))
    job.remove(jointly, jointly.tokens(documents))
    eager, turns = Eager(by_torch), TURNS[family]
    n = len(texts)

    def each(run: Callable[[Document], object]) -> list[object]:
        return [run(text) for text in documents]

    for server in (running, *by_eager):
        answered = load(server.port, "/explain", bodies, CLIENTS, requests=4 * n)  # warm-up
        if answered.failed:
            raise RuntimeError(f"/explain failed: {answered.failed[0][1]}")
    calls: dict[str, Callable[[], object]] = {
        "http 1": partial(load, running.port, "/explain", bodies, 1, requests=turns * n),
        "bare 1": partial(singly.replay, turns),
        "alone 1": lambda: [each(lambda t: job.run([t], float("inf"))) for _ in range(turns)],
        "http 8": partial(load, running.port, "/explain", bodies, CLIENTS, requests=turns * n),
        "bare 8": partial(jointly.replay, turns),
        **{
            f"http eager {k} {i}": partial(load, server.port, "/explain", bodies, k, requests=turns * n)
            for k in (1, CLIENTS)
            for i, server in enumerate(by_eager)
        },
        # the slower ones process the texts once per round
        "eager 1": lambda: each(lambda t: job.remove(eager, eager.tokens([t]))),
        "eager 8": lambda: job.remove(eager, eager.tokens(documents)),
        "shared 1": lambda: each(lambda t: job.remove(by_torch, by_torch.tokens([t]))),
        "shared 8": lambda: job.remove(by_torch, by_torch.tokens(documents)),
        "captum": lambda: each(lambda t: captum_curves(by_torch, list(t), job.max_steps)),
    }
    times = alternate(calls, rounds=ROUNDS[family])
    per_text = {
        name: Timing([s / n / (turns if name[:4] in ("http", "bare", "alon") else 1) for s in t.seconds])
        for name, t in times.items()
    }
    alone = load(running.port, "/explain", bodies, 1, seconds=10)
    joint = load(running.port, "/explain", bodies, CLIENTS, seconds=10)
    bare = ratio(per_text["http 1"], per_text["bare 1"])
    inside = ratio(per_text["alone 1"], per_text["bare 1"])
    times_row = {
        "model": family, "p50": alone.percentile(50) * 1e3, "p99": alone.percentile(99) * 1e3,
        "mean": per_text["http 1"].median * 1e3, "bare session": per_text["bare 1"].median * 1e3,
        "ratio": bare["median"], "low": bare["low"], "high": bare["high"],
        "without HTTP": per_text["alone 1"].median * 1e3, "its ratio": inside["median"],
        "8 clients p50": joint.percentile(50) * 1e3, "8 clients p99": joint.percentile(99) * 1e3,
        "failed": len(alone.failed) + len(joint.failed),
    }  # fmt: skip
    with_eager = {
        k: min((per_text[f"http eager {k} {i}"] for i in range(len(by_eager))), key=lambda t: t.median)
        for k in (1, CLIENTS)
    }
    rates = [
        {
            "model": family, "clients": k, "service": 1 / per_text[f"http {k}"].median,
            "with eager torch": 1 / with_eager[k].median,
            "service / it": ratio(with_eager[k], per_text[f"http {k}"])["median"],
            "bare session": 1 / per_text[f"bare {k}"].median, "eager torch": 1 / per_text[f"eager {k}"].median,
            "service / eager": ratio(per_text[f"eager {k}"], per_text[f"http {k}"])["median"],
            "torch, shared": 1 / per_text[f"shared {k}"].median,
            "service / shared": ratio(per_text[f"shared {k}"], per_text[f"http {k}"])["median"],
            "captum loop": 1 / per_text["captum"].median,
            "service / loop": ratio(per_text["captum"], per_text[f"http {k}"])["median"],
        }
        for k in (1, CLIENTS)
    ]  # fmt: skip
    return times_row, rates


def predict(family: str, by_onnx: OnnxPredictor, running: Service) -> Row:
    """wrk with one client and with 32, against a loop of session calls."""
    texts = texts_of(WORDS, 32)
    bodies = bodies_of(texts)
    tokens = by_onnx.tokens([t.split() for t in texts])
    rows = [tokens.rows(np.array([i])) for i in range(len(texts))]
    job, documents = PredictJob(_served(by_onnx)), read_texts(texts, Limits(), by_onnx.word_rule)

    def bare() -> None:
        for ids, words in rows:
            by_onnx.run_forward(ids, words > -2, ["logits"])

    samples: dict[str, list[float]] = {}
    for _ in range(3):
        for name, run in (("bare", bare), ("inside", lambda: [job.run([t], float("inf")) for t in documents])):
            start = time.perf_counter()
            for _ in range(3):
                run()
            samples.setdefault(name, []).append((time.perf_counter() - start) / 3 / len(texts))
        for clients in (1, 32):
            result = throughput(running.port, "/predict", bodies, clients, 2)
            samples.setdefault(f"rate {clients}", []).append(result["rate"])
            samples.setdefault(f"p50 {clients}", []).append(result["p50"])
            samples.setdefault(f"p99 {clients}", []).append(result["p99"])
            samples.setdefault("errors", []).append(result["errors"])
    medians = {k: float(np.median(v)) for k, v in samples.items()}
    return {
        "model": family, "bare ms": medians["bare"] * 1e3, "without HTTP": medians["inside"] * 1e3,
        "p50": medians["p50 1"] * 1e3, "p99": medians["p99 1"] * 1e3,
        "HTTP adds": (medians["p50 1"] - medians["inside"]) * 1e3,
        "bare/s": 1 / medians["bare"], "1 client/s": medians["rate 1"], "32 clients/s": medians["rate 32"],
        "32: p50": medians["p50 32"] * 1e3, "32: p99": medians["p99 32"] * 1e3, "errors": int(sum(samples["errors"])),
    }  # fmt: skip


def batching(family: str, exported: Path, python: str) -> list[Row]:
    """32 clients of two services that run side by side and are measured in turn."""
    bodies = bodies_of(texts_of(WORDS, 32))
    rows = []
    with (
        service(str(exported), python=python) as together,
        service(str(exported), "--max-batch", "1", python=python) as singly,
    ):
        for path in ("/predict", "/explain"):
            results: dict[str, list[dict[str, Any]]] = {"on": [], "off": []}
            for turn in range(4):
                order = [("on", together), ("off", singly)]
                for name, running in order if turn % 2 else order[::-1]:
                    amount = EXPLAIN_LOAD[family] if path == "/explain" else {"seconds": 2}
                    result = throughput(running.port, path, bodies, 32, **amount)
                    if turn:
                        results[name].append(result)
            rate, p50 = (
                {name: float(np.median([r[key] for r in of_service])) for name, of_service in results.items()}
                for key in ("rate", "p50")
            )
            rows.append({
                "model": family, "path": path, "together/s": rate["on"], "one by one/s": rate["off"],
                "ratio": float(np.median([a["rate"] / b["rate"] for a, b in zip(*results.values(), strict=True)])),
                "together p50 ms": p50["on"] * 1e3, "one by one p50 ms": p50["off"] * 1e3,
                "errors": sum(r["errors"] for of_service in results.values() for r in of_service),
            })  # fmt: skip
    return rows


def startup_rows(by_torch: Classifier, exported: Path, python: str, folder: Path) -> list[Row]:
    """The service in the lean environment and in this one, which has torch; then bare processes with ONNX Runtime and
    with torch. The best of three starts."""
    texts = texts_of(WORDS, CLIENTS)
    bodies, saved, rows = bodies_of(texts), classifier_folder(folder, "textcnn"), []
    for name, interpreter in (
        ("pct serve, lean environment", python),
        ("pct serve, with torch installed", sys.executable),
    ):
        seconds, memory = [], []
        for _ in range(3):
            with service(str(exported), python=interpreter, body=bodies[0]) as running:
                seconds.append(running.startup_seconds)
                load(running.port, "/explain", bodies, 4, requests=200)
                memory.append(running.memory())
        least = min(memory, key=lambda m: m["worker"])
        rows.append({"what": name, "seconds": min(seconds), "worker MB": least["worker"], "all MB": least["all"]})
    for name, interpreter, kind, model_folder in (
        ("a process with ONNX Runtime, lean", python, "onnx", exported),
        ("a process with torch", sys.executable, "torch", saved),
    ):
        runs = measure_starts(kind, "explanation", model_folder, texts[0], interpreter)
        resident = min(mb for _, _, mb in runs)
        rows.append({"what": name, "seconds": min(runs)[0], "worker MB": resident, "all MB": None})
    return rows


def _served(predictor: OnnxPredictor) -> ServedModel:
    return ServedModel(ModelEntry("benchmark", "", ""), predictor, (0, 0))
