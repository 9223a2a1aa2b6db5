"""Honest clients beside hostile ones: how long /predict takes, what fails, the memory, with and without each attack.

PCT_BENCH_HOSTILE: seconds of each attack, 15 by default. Models as in `benchmarks.serving`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks._attacks import ATTACKS
from benchmarks._service import REPOSITORY, Load, Service, load, service
from benchmarks.common import Row
from benchmarks.serving import WORDS, bodies_of, models, room, texts_of

SECONDS = float(os.environ.get("PCT_BENCH_HOSTILE", "15"))
CLIENTS, RATE = 4, 40.0
# seconds before the clients are timed, and behind them, in which the attack is already, or still, on
BEFORE, BEHIND = 2.0, 2.0


def main() -> Row:
    """A table, a row an attack."""
    with room() as folder:
        _, exported = models("textcnn", folder)
        bodies = bodies_of(texts_of(WORDS, 32))
        with service(str(exported)) as running:
            load(running.port, "/predict", bodies, CLIENTS, seconds=3)
            rows = [attacked(running, bodies, kind) for kind in ATTACKS]
    return {
        "clients": f"on the same machine as the service; {CLIENTS} honest ones ask {RATE:.0f} times a second together",
        "tables": {f"/predict of a text (TextCNN), {SECONDS:.0f} s without and with an attack": rows},
    }


def attacked(running: Service, bodies: list[bytes], kind: str) -> Row:
    """Quiet seconds, then as many under an attack, then what is left of it."""
    before, quiet = running.memory()["worker"], honest(running, bodies)
    command = [sys.executable, "-m", "benchmarks._attacks", kind, str(running.port), str(BEFORE + SECONDS + BEHIND)]
    attack = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    load(running.port, "/predict", bodies, 1, seconds=BEFORE, rate=RATE / CLIENTS)
    under = honest(running, bodies)
    during = running.memory()["worker"]
    came = json.loads(attack.communicate()[0])
    load(running.port, "/predict", bodies, CLIENTS, seconds=3, rate=RATE)
    return {
        "attack": kind, "quiet p50 ms": quiet.percentile(50) * 1e3, "quiet p99 ms": quiet.percentile(99) * 1e3,
        "p50 ms": under.percentile(50) * 1e3, "p99 ms": under.percentile(99) * 1e3,
        "p99 / quiet": under.percentile(99) / quiet.percentile(99), "requests": len(under.seconds),
        "failed": len(quiet.failed) + len(under.failed), "MB before": before, "MB during": during,
        "MB after": running.memory()["worker"], "what it got": ", ".join(f"{k}: {n}" for k, n in sorted(came.items())),
    }  # fmt: skip


def honest(running: Service, bodies: list[bytes]) -> Load:
    """Clients that ask at a steady rate, each request timed from when it was due."""
    return load(running.port, "/predict", bodies, CLIENTS, seconds=SECONDS, rate=RATE)
