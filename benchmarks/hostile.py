"""Honest clients beside hostile ones: how long /predict takes, what fails, and the memory after each attack, twice.

The attackers share the machine with the service. So each attack is also aimed at a bystander that does nothing: what
/predict loses then is the machine's doing, and what it loses beyond it the service's.

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
from benchmarks.serving import WORDS, bodies_of, models, room, texts_of

SECONDS = float(os.environ.get("PCT_BENCH_HOSTILE", "3"))
CLIENTS, RATE = 8, 100.0
ROUNDS = 2
# seconds in which an attack is already on before the clients are timed, and still on behind them
BEFORE, BEHIND = 1.0, 0.5


@dataclass
class Measured:
    """An attack: what honest clients got in all rounds, what the attackers got, and the memory in each round, MB."""

    quiet: Load = field(default_factory=Load)
    beside: Load = field(default_factory=Load)
    under: Load = field(default_factory=Load)
    came: Counter[str] = field(default_factory=Counter)
    during: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)


def main() -> Row:
    """Two tables, a row an attack: times and memory."""
    measured = {kind: Measured() for kind in ATTACKS}
    with room() as folder:
        _, exported = models("textcnn", folder)
        bodies = bodies_of(texts_of(WORDS, 32))
        with service(str(exported)) as running, bystander() as elsewhere:
            load(running.port, "/predict", bodies, CLIENTS, seconds=3)
            at_first = running.memory()["worker"]
            for _ in range(ROUNDS):
                for kind, found in measured.items():
                    measure(running, elsewhere, bodies, kind, found)
    return {
        "clients": f"on the same machine as the service; {CLIENTS} honest ones ask {RATE:.0f} times a second together",
        "MB at first": at_first,
        "tables": {
            f"/predict of a text (TextCNN): quiet, beside an attack on another port, under it; {ROUNDS} times "
            f"{SECONDS:g} s each": [times_row(kind, found) for kind, found in measured.items()],
            f"The worker's memory in the rounds, MB; {at_first:.0f} at first": [
                memory_row(kind, found) for kind, found in measured.items()
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


def measure(running: Service, elsewhere: int, bodies: list[bytes], kind: str, found: Measured) -> None:
    """One round of an attack."""
    found.quiet.add(honest(running, bodies))
    with attack(kind, elsewhere):
        found.beside.add(honest(running, bodies, BEFORE))
    with attack(kind, running.port) as came:
        found.under.add(honest(running, bodies, BEFORE))
        found.during.append(running.memory()["worker"])
    found.came.update(came)
    load(running.port, "/predict", bodies, CLIENTS, seconds=0.5, rate=RATE)
    found.after.append(running.memory()["worker"])


@contextmanager
def attack(kind: str, port: int) -> Iterator[Counter[str]]:
    """An attack on a port, and, when it has ended, what it got."""
    came: Counter[str] = Counter()
    command = [sys.executable, "-m", "benchmarks._attacks", kind, str(port), str(BEFORE + SECONDS + BEHIND)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # it begins
    yield came
    came.update(json.loads(process.communicate()[0]))


def honest(running: Service, bodies: list[bytes], before: float = 0.0) -> Load:
    """Clients that ask at a steady rate, each request timed from when it was due. before: seconds that do not count."""
    if before:
        load(running.port, "/predict", bodies, CLIENTS, seconds=before, rate=RATE)
    return load(running.port, "/predict", bodies, CLIENTS, seconds=SECONDS, rate=RATE)


def times_row(kind: str, found: Measured) -> Row:
    """p50 and p99 in ms, and how many times the quiet p99 that is."""
    quiet, beside, under = (x.percentile(99) * 1e3 for x in (found.quiet, found.beside, found.under))
    return {
        "attack": kind, "quiet p50 ms": found.quiet.percentile(50) * 1e3, "quiet p99 ms": quiet,
        "beside it p99 ms": beside, "p50 ms": found.under.percentile(50) * 1e3, "p99 ms": under,
        "beside / quiet": beside / quiet, "p99 / quiet": under / quiet, "requests": len(found.under.seconds),
        "failed": sum(len(x.failed) for x in (found.quiet, found.beside, found.under)),
        "what it got": ", ".join(f"{k}: {n}" for k, n in sorted(found.came.items())),
    }  # fmt: skip


def memory_row(kind: str, found: Measured) -> Row:
    """During and after each round."""
    rounds = enumerate(zip(found.during, found.after, strict=True), 1)
    return {"attack": kind} | {
        f"{when}, round {n}": mb for n, pair in rounds for when, mb in zip(("during", "after"), pair, strict=True)
    }
