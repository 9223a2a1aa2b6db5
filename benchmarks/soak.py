"""Minutes of load at 90 % of the capacity of the service, with its memory; and a worker killed under load.

PCT_BENCH_SOAK: seconds of the soak, 300 by default. Models and environment as in `benchmarks.serving`.
"""

import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._service import Load, Service, load, service
from benchmarks.common import Row
from benchmarks.serving import WORDS, bodies_of, lean_python, models, models_folder, texts_of

SECONDS = float(os.environ.get("PCT_BENCH_SOAK", "300"))
CLIENTS = 8
SHARE = 0.9
KILLS = 3


def main() -> Row:
    """Two tables for /explain of a TextCNN: the soak, and the kills."""
    with models_folder() as folder:
        python = lean_python(folder)
        _, exported = models("textcnn", folder)
        bodies = bodies_of(texts_of(WORDS, 32))
        with service(str(exported), python=python) as running:
            soaked = soak(running, bodies)
        with service(str(exported), python=python) as running:
            killed = [kill(running, bodies, number) for number in range(1, KILLS + 1)]
    memory = soaked.pop("memory_mb")
    return {
        "clients": "on the same machine as the service: they share its cores",
        "memory_mb": memory,
        "tables": {
            f"{SECONDS:.0f} seconds of /explain at {SHARE:.0%} of the measured capacity (TextCNN)": [soaked],
            f"kill -9 of the only worker under load ({CLIENTS} clients, half the capacity)": killed,
        },
    }


def capacity(running: Service, bodies: list[bytes], seconds: float = 5) -> float:
    """Answers per second to clients that ask without a pause: the median of three measurements."""
    load(running.port, "/explain", bodies, CLIENTS, seconds=3)
    return statistics.median(load(running.port, "/explain", bodies, CLIENTS, seconds=seconds).rate for _ in range(3))


def soak(running: Service, bodies: list[bytes]) -> Row:
    """Requests at a steady rate, each timed from when it was due; the worker's memory each second."""
    max_rate = capacity(running, bodies)
    with watched_memory(running) as memory:
        result = load(running.port, "/explain", bodies, CLIENTS, seconds=SECONDS, rate=SHARE * max_rate)
    third = len(memory) // 3
    early, late = statistics.median(memory[third : 2 * third]), statistics.median(memory[2 * third :])
    return {
        "capacity/s": max_rate, "sent/s": SHARE * max_rate, "requests": len(result.seconds) + len(result.failed),
        "failed": len(result.failed), "first failure": result.failed[0][1] if result.failed else None,
        "p50 ms": result.percentile(50) * 1e3, "p99 ms": result.percentile(99) * 1e3,
        "worker MB at first": memory[0], "second third": early, "last third": late, "peak": max(memory),
        "last / second third": late / early, "memory_mb": [round(m, 1) for m in memory[:: max(len(memory) // 60, 1)]],
    }  # fmt: skip


@contextmanager
def watched_memory(running: Service, seconds: float = 1.0) -> Iterator[list[float]]:
    """The worker's resident memory (MB), sampled every `seconds` until the block ends."""
    memory, ended = [running.memory()["worker"]], threading.Event()

    def poll() -> None:
        while not ended.wait(seconds):
            memory.append(running.memory()["worker"])

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        yield memory
    finally:
        ended.set()
        poller.join()


def kill(running: Service, bodies: list[bytes], number: int) -> Row:
    """Kills the worker under load; the load goes on until the service has answered again for some seconds."""
    rate = capacity(running, bodies, 2) / 2
    stopped, killed_at = threading.Event(), 0.0
    result = Load()

    def send() -> None:
        nonlocal result
        result = load(running.port, "/explain", bodies, CLIENTS, rate=rate, stop=stopped.is_set)

    clients = threading.Thread(target=send)
    start = time.perf_counter()
    clients.start()
    time.sleep(3)
    (worker,) = running.workers()
    os.kill(worker, signal.SIGKILL)
    killed_at = time.perf_counter() - start
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.workers() in ([], [worker]):
        time.sleep(0.05)
    _until_answered(running, bodies[0], deadline)
    time.sleep(3)
    stopped.set()
    clients.join()
    # a request that waited in the socket while there was no worker is late, not lost
    answers = [b + s for b, s in zip(result.started, result.seconds, strict=True) if b + s > killed_at]
    late = sum(s > 1 for s in result.seconds)
    return {
        "kill": number, "sent/s": rate, "requests": len(result.seconds) + len(result.failed),
        "lost": len(result.failed), "refused": sum("Refused" in why for _, why in result.failed), "late (> 1 s)": late,
        "longest s": max(result.seconds), "seconds to the next answer": _gap(answers, killed_at),
        "how lost": result.failed[0][1][:60] if result.failed else None,
    }  # fmt: skip


def _until_answered(running: Service, body: bytes, deadline: float) -> None:
    while time.monotonic() < deadline:
        if load(running.port, "/explain", [body], 1, requests=1).seconds:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the service did not answer again:\n{Path(running.log).read_text(errors='replace')[-2000:]}")


def _gap(answers: list[float], killed_at: float) -> float:
    """Seconds from a kill to the first answer after the longest silence that follows."""
    times = sorted([killed_at, *answers])
    widest = max(range(1, len(times)), key=lambda i: times[i] - times[i - 1])
    return times[widest] - killed_at
