"""pct serve: models behind HTTP on this machine, and the registry watched for another champion."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from serving.limits import MODEL_LIST, PREFIX, THREADS, WORKERS, Limits
from serving.model_sources import default_cache, resolve
from serving.model_store import ModelEntry, write_entries
from serving.registry_watch import RegistryWatch

SERVICE = "serving.service:Explainer"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is stopped; returns the exit code of the service."""
    options = _parser().parse_args(arguments)
    if options.poll <= 0:
        raise ValueError(f"--poll must be > 0 seconds, got {options.poll}")
    Limits(**{f.name: getattr(options, f.name) for f in fields(Limits)})
    cache = Path(options.cache) if options.cache else default_cache()
    models = with_own_ids([_entry_of(given, cache) for given in options.models])
    with tempfile.TemporaryDirectory(prefix="pct-serve-") as room:
        listed = Path(room) / "models.json"
        write_entries(listed, models)
        for model in models:
            print(f"{model.id}: {model.source}{f' (version {model.version})' if model.version else ''}")
        print(f"http://{options.host}:{options.port} (stop with Ctrl+C)", flush=True)
        return _run(options, models, listed, cache)


def with_own_ids(models: Sequence[ModelEntry]) -> list[ModelEntry]:
    """With ids that differ: the second of two equal ones gets -2."""
    out: list[ModelEntry] = []
    for model in models:
        same = sum(
            m.id == model.id or (m.id.startswith(f"{model.id}-") and m.id[len(model.id) + 1 :].isdigit()) for m in out
        )
        out.append(replace(model, id=f"{model.id}-{same + 1}") if same else model)
    return out


def _entry_of(given: str, cache: Path) -> ModelEntry:
    """`id=source`, or a source alone."""
    id, equals, source = given.partition("=")
    if equals and id and "/" not in id and ":" not in id:
        return replace(resolve(source, cache), id=id)
    return resolve(given, cache)


def _run(options: argparse.Namespace, models: list[ModelEntry], listed: Path, cache: Path) -> int:
    threads = options.threads or max((os.cpu_count() or 1) // options.workers, 1)
    environment = {
        **os.environ, MODEL_LIST: str(listed), WORKERS: str(options.workers), THREADS: str(threads),
        "BENTOML_DO_NOT_TRACK": "True",
        **{PREFIX + f.name.upper(): str(getattr(options, f.name)) for f in fields(Limits)},
    }  # fmt: skip
    command = [sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", options.host, "--port", str(options.port)]
    root = str(Path(__file__).parents[1])
    service = subprocess.Popen(command, env=environment, cwd=root)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.terminate())
    watch = RegistryWatch(models, listed, cache)
    look_at = time.monotonic() + options.poll
    while True:
        try:
            return _exit_code(service.wait(timeout=0.5))
        except subprocess.TimeoutExpired:
            if watch.needed and time.monotonic() >= look_at:
                watch.look()
                look_at = time.monotonic() + options.poll


def _exit_code(code: int) -> int:
    return 0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pct serve",
        description="Serves models over HTTP with their explanations: a page at /, POST /predict and /explain, GET "
        "/model. A registered alias is followed: when it moves, the service takes the other version up. With PCT_TOKEN "
        "set, requests need it as a bearer token.",
        epilog="example: pct serve models:/pct-planted-textcnn@champion; or two side by side: pct serve a=RUN b=RUN",
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL",
        help="a folder (exported, of a run or a model), models:/<name>@champion or runs:/<id>/model; ID=MODEL names it",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: 127.0.0.1, loopback)")
    parser.add_argument("--port", type=int, default=3000, help="(default: 3000)")
    parser.add_argument("--workers", type=int, default=1, help="processes that answer (default: 1)")
    parser.add_argument("--threads", type=int, default=0, help="cores a worker's model uses (default: all, shared out)")
    parser.add_argument("--poll", type=float, default=10, help="seconds between looks at the registry (default: 10)")
    parser.add_argument(
        "--cache", default="", help="where exported models are kept (default: PCT_CACHE_DIR or ~/.cache/pct)"
    )
    group = parser.add_argument_group("limits")
    for f in fields(Limits):
        option, kind = f"--max-{f.name}".replace("max-max", "max").replace("_", "-"), type(f.default)
        group.add_argument(
            option, dest=f.name, type=kind, default=f.default, help=f"{HELP[f.name]} (default: {f.default})"
        )
    return parser


HELP = {
    "texts": "texts a request",
    "characters": "characters a text",
    "body_bytes": "bytes of a request's body",
    "seconds": "seconds a request",
    "max_steps": "removals a curve",
    "queue": "requests at work or waiting in a worker",
    "batch": "texts of waiting requests that go together in a call of the model; 1: none do",
}
