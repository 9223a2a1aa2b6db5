"""Honest clients beside hostile ones: the time of /predict, failures, and the memory after each attack, twice.

The attackers share the machine with the service. So each attack is also aimed at a bystander that does nothing: a
slowdown of /predict then is due to the machine, and any further slowdown under the attack is due to the service.

PCT_BENCH_HOSTILE: seconds of each measurement, 3 by default: four minutes in all. Models as in `benchmarks.serving`.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks._attacks import ATTACKS
from benchmarks._service import REPOSITORY, Load, Service, load, service
from benchmarks.common import Row
from benchmarks.serving import WORDS, bodies_of, models, models_folder, texts_of

SECONDS = float(os.environ.get("PCT_BENCH_HOSTILE", "3"))
CLIENTS, RATE = 8, 100.0
ROUNDS = 2
# seconds that an attack runs before the clients are timed, and after
BEFORE, AFTER = 1.0, 0.5


@dataclass
class AttackResults:
    """An attack: the honest clients' loads in all rounds, the attack's outcomes, and the memory (MB) of each round."""

    quiet: Load = field(default_factory=Load)
    beside: Load = field(default_factory=Load)
    under: Load = field(default_factory=Load)
    outcomes: Counter[str] = field(default_factory=Counter)
    during: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)


def main() -> Row:
    """Two tables with a row per attack: times and memory."""
    results = {kind: AttackResults() for kind in ATTACKS}
    with models_folder() as folder:
        _, exported = models("textcnn", folder)
        bodies = bodies_of(texts_of(WORDS, 32))
        with service(str(exported)) as running, bystander() as bystander_port:
            load(running.port, "/predict", bodies, CLIENTS, seconds=3)
            at_first = running.memory()["worker"]
            for _ in range(ROUNDS):
                for kind, result in results.items():
                    measure(running, bystander_port, bodies, kind, result)
    return {
        "clients": f"on the same machine as the service; {CLIENTS} honest ones ask {RATE:.0f} times a second together",
        "MB at first": at_first,
        "tables": {
            f"/predict of a text (TextCNN): quiet, beside an attack on another port, under it; {ROUNDS} times "
            f"{SECONDS:g} s each": [times_row(kind, result) for kind, result in results.items()],
            f"The worker's memory in the rounds, MB; {at_first:.0f} at first": [
                memory_row(kind, result) for kind, result in results.items()
            ],
        },
    }


@contextmanager
def bystander() -> Iterator[int]:
    """The port of a server that does nothing."""
    command = [sys.executable, "-m", "benchmarks._bystander"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def measure(running: Service, bystander_port: int, bodies: list[bytes], kind: str, result: AttackResults) -> None:
    """One round of an attack."""
    result.quiet.add(honest_load(running, bodies))
    with attack(kind, bystander_port):
        result.beside.add(honest_load(running, bodies, BEFORE))
    with attack(kind, running.port) as outcomes:
        result.under.add(honest_load(running, bodies, BEFORE))
        result.during.append(running.memory()["worker"])
    result.outcomes.update(outcomes)
    load(running.port, "/predict", bodies, CLIENTS, seconds=0.5, rate=RATE)
    result.after.append(running.memory()["worker"])


@contextmanager
def attack(kind: str, port: int) -> Iterator[Counter[str]]:
    """An attack on a port; its outcomes are filled in when the block ends."""
    outcomes: Counter[str] = Counter()
    command = [sys.executable, "-m", "benchmarks._attacks", kind, str(port), str(BEFORE + SECONDS + AFTER)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # printed when the attack starts
    yield outcomes
    outcomes.update(json.loads(process.communicate()[0]))


def honest_load(running: Service, bodies: list[bytes], before: float = 0.0) -> Load:
    """Requests at a steady rate, each timed from when it was due. before: seconds that do not count."""
    if before:
        load(running.port, "/predict", bodies, CLIENTS, seconds=before, rate=RATE)
    return load(running.port, "/predict", bodies, CLIENTS, seconds=SECONDS, rate=RATE)


def times_row(kind: str, result: AttackResults) -> Row:
    """p50 and p99 in ms, and their ratios to the quiet p99."""
    quiet, beside, under = (x.percentile(99) * 1e3 for x in (result.quiet, result.beside, result.under))
    return {
        "attack": kind, "quiet p50 ms": result.quiet.percentile(50) * 1e3, "quiet p99 ms": quiet,
        "beside it p99 ms": beside, "p50 ms": result.under.percentile(50) * 1e3, "p99 ms": under,
        "beside / quiet": beside / quiet, "p99 / quiet": under / quiet, "requests": len(result.under.seconds),
        "failed": sum(len(x.failed) for x in (result.quiet, result.beside, result.under)),
        "what it got": ", ".join(f"{k}: {n}" for k, n in sorted(result.outcomes.items())),
    }  # fmt: skip


def memory_row(kind: str, result: AttackResults) -> Row:
    """The memory during and after each round."""
    rounds = enumerate(zip(result.during, result.after, strict=True), 1)
    return {"attack": kind} | {
        f"{when}, round {n}": mb for n, pair in rounds for when, mb in zip(("during", "after"), pair, strict=True)
    }
