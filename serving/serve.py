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
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from serving.limits import LIST, PREFIX, THREADS, WORKERS, Limits
from serving.models import Entry, write_entries
from serving.sources import REGISTERED, default_cache, find_version, of_version, registry, resolve

SERVICE = "serving.service:Explainer"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is stopped; returns the exit code of the service."""
    options = _parser().parse_args(arguments)
    if options.poll <= 0:
        raise ValueError(f"--poll must be > 0 seconds, got {options.poll}")
    Limits(**{f.name: getattr(options, f.name) for f in fields(Limits)})
    cache = Path(options.cache) if options.cache else default_cache()
    models = named([_named_source(given, cache) for given in options.models])
    with tempfile.TemporaryDirectory(prefix="pct-serve-") as room:
        listed = Path(room) / "models.json"
        write_entries(listed, models)
        for model in models:
            print(f"{model.id}: {model.source}{f' (version {model.version})' if model.version else ''}")
        print(f"http://{options.host}:{options.port} (stop with Ctrl+C)", flush=True)
        return _run(options, models, listed, cache)


def named(models: Sequence[Entry]) -> list[Entry]:
    """With ids that differ: the second of two equal ones gets -2."""
    out: list[Entry] = []
    for model in models:
        same = sum(
            m.id == model.id or (m.id.startswith(f"{model.id}-") and m.id[len(model.id) + 1 :].isdigit()) for m in out
        )
        out.append(replace(model, id=f"{model.id}-{same + 1}") if same else model)
    return out


def _named_source(given: str, cache: Path) -> Entry:
    """`id=source`, or a source alone."""
    id, equals, source = given.partition("=")
    if equals and id and "/" not in id and ":" not in id:
        return replace(resolve(source, cache), id=id)
    return resolve(given, cache)


@dataclass
class Watch:
    """Looks whether the aliases in the registry still mean the versions that are served."""

    models: list[Entry]
    listed: Path
    cache: Path
    complained: str = ""

    def look(self) -> bool:
        """Whether the list changed. A registry that cannot be asked, or a version that cannot be served, is told once;
        what is served stays."""
        try:
            client = registry()
            now = [self._current(client, m) for m in self.models]
        except Exception as problem:  # whatever a server or its driver raises: serving goes on
            if str(problem) != self.complained:
                self.complained = str(problem)
                print(f"the models stay as they are: {problem}", file=sys.stderr, flush=True)
            return False
        self.complained = ""
        if now == self.models:
            return False
        for before, after in zip(self.models, now, strict=True):
            if before != after:
                print(f"{after.id}: version {after.version} instead of {before.version}", flush=True)
        write_entries(self.listed, now)
        self.models = now
        return True

    @property
    def needed(self) -> bool:
        """Whether there is an alias to look after."""
        return any(m.alias for m in self.models)

    def _current(self, client: Any, model: Entry) -> Entry:
        match = REGISTERED.fullmatch(model.source)
        if match is None or not match["alias"]:
            return model
        found = find_version(client, match["name"], match["alias"], None)
        if found.version == model.version:
            return model
        return replace(of_version(client, found, model.source, self.cache), id=model.id)


def _run(options: argparse.Namespace, models: list[Entry], listed: Path, cache: Path) -> int:
    threads = options.threads or max((os.cpu_count() or 1) // options.workers, 1)
    environment = {
        **os.environ, LIST: str(listed), WORKERS: str(options.workers), THREADS: str(threads),
        "BENTOML_DO_NOT_TRACK": "True",
        **{PREFIX + f.name.upper(): str(getattr(options, f.name)) for f in fields(Limits)},
    }  # fmt: skip
    command = [sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", options.host, "--port", str(options.port)]
    root = str(Path(__file__).parents[1])
    service = subprocess.Popen(command, env=environment, cwd=root)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.terminate())
    watch = Watch(models, listed, cache)
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
