"""pct serve: models behind HTTP on this machine, and a watch of the registry for another champion."""

from __future__ import annotations

import argparse
import errno
import http.client
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

from pct.commands.options import add_own_settings
from pct.commands.parser import CommandParser
from pct.layout import CONFIG, cache_folder
from pct.tasks import SeveralLabels
from serving.limits import FAILURE, HOSTS, LOG, MODEL_LIST, PREFIX, THREADS, WORKERS, Limits
from serving.model_sources import RegistryWatch, resolve
from serving.model_store import LIST_FILE, ModelEntry, write_entries

SERVICE = "serving.service:Explainer"
# the signals that stop the service; SIGHUP is that of a terminal that is closed, and does not exist on Windows
STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is stopped; returns the exit code of the service."""
    options = _parser().parse_args(arguments)
    _check(options)
    address = _address(options.host, options.port)
    cache = Path(options.cache) if options.cache else cache_folder()
    models = read_models(options.models, cache, options.head, options.threshold)
    if options.threshold is not None:
        check_several(models)
    with tempfile.TemporaryDirectory(prefix="pct-serve-") as tmp_dir:
        listed = Path(tmp_dir) / LIST_FILE
        write_entries(listed, models)
        for model in models:
            print(f"{model.id}: {model.source}{f' (version {model.version})' if model.version else ''}")
        shown = f"[{options.host}]" if ":" in options.host else options.host
        print(f"http://{shown}:{options.port} (stop with Ctrl+C)", flush=True)
        return _run(options, address, RegistryWatch(models, listed, cache), Path(tmp_dir))


def _check(options: argparse.Namespace) -> None:
    """Raises ValueError for an option outside its range."""
    Limits(**{f.name: getattr(options, f.name) for f in fields(Limits)})
    if not 0 < options.poll < math.inf:
        raise ValueError(f"--poll must be > 0 seconds and finite, got {options.poll}")
    if options.workers < 1:
        raise ValueError(f"--workers must be >= 1, got {options.workers}")
    if options.threads < 0:
        raise ValueError(f"--threads must be >= 0, got {options.threads}; 0 divides all cores among the workers")
    if not 1 <= options.port <= 65535:
        raise ValueError(f"--port must be from 1 to 65535, got {options.port}")


def _address(host: str, port: int) -> str:
    """The address of a host's name.

    Raises:
        ValueError: the host has no address.
        OSError: nothing can listen at it.
    """
    try:
        family, _, _, _, socket_address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ValueError(f"--host must be an address or a name of this machine, got {host!r}") from None
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(socket_address)
            trial.listen()
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                raise OSError(f"port {port} of {host} is in use; choose another with --port") from None
            remedy = "choose others with --host and --port"
            raise OSError(f"cannot listen at port {port} of {host}: {problem.strerror}; {remedy}") from None
    return str(socket_address[0])


def read_models(models: Sequence[str], cache: Path, head: str = "", threshold: float | None = None) -> list[ModelEntry]:
    """The models of a command line, each `id=source` or a source alone, with the head and threshold of all.

    Raises what `resolve` raises.
    """
    return with_unique_ids([_entry_of(model, cache, head, threshold) for model in models])


def check_several(models: Sequence[ModelEntry]) -> None:
    """Raises ValueError if a model, for which there is a threshold, does not assign several labels."""
    for model in models:
        about = json.loads((Path(model.folder) / CONFIG).read_text(encoding="utf-8"))
        if about.get("probabilities") != SeveralLabels.kind:
            raise ValueError(
                f"threshold {model.threshold}: {model.source} does not assign several labels: leave it out, or set "
                "head to sigmoid if it does"
            )


def with_unique_ids(models: Sequence[ModelEntry]) -> list[ModelEntry]:
    """The models with ids that differ: the second of two equal ones gets -2."""
    by_id: dict[str, ModelEntry] = {}
    for model in models:
        id, number = model.id, 1
        while id in by_id:
            number += 1
            id = f"{model.id}-{number}"
        by_id[id] = replace(model, id=id)
    return list(by_id.values())


def _entry_of(model: str, cache: Path, head: str, threshold: float | None) -> ModelEntry:
    """`id=source`, or a source alone."""
    named = re.fullmatch("([^=/:]+)=(.*)", model, re.S)
    entry = resolve(named[2] if named else model, cache, head, threshold)
    return replace(entry, id=named[1]) if named else entry


def _run(options: argparse.Namespace, address: str, watch: RegistryWatch, tmp_dir: Path) -> int:
    """Runs the service as a child process until it ends. tmp_dir: a folder for its files."""
    _allow_many_connections()
    failure = tmp_dir / "failure.txt"
    threads = options.threads or max((os.cpu_count() or 1) // options.workers, 1)
    environment = {
        **os.environ, MODEL_LIST: str(watch.listed), WORKERS: str(options.workers), THREADS: str(threads),
        HOSTS: ",".join([options.host, *options.allow_host]), LOG: options.log, FAILURE: str(failure),
        # BentoML keeps the metrics of all services of a user in one folder, which each service empties at its start
        "BENTOML_HOME": str(tmp_dir / "bentoml"), "BENTOML_DO_NOT_TRACK": "True",
        **{PREFIX + f.name.upper(): str(getattr(options, f.name)) for f in fields(Limits)},
    }  # fmt: skip
    command = [sys.executable, "-m", "serving.process", "serve", SERVICE]
    command += ["--host", address, "--port", str(options.port)]
    root = str(Path(__file__).parents[1])
    stopping, error = threading.Event(), ""
    for number in STOPS:
        signal.signal(number, lambda *_: stopping.set())
    service = subprocess.Popen(command, env=environment, cwd=root, stdin=subprocess.PIPE)
    next_check = time.monotonic() + options.poll
    while True:
        with suppress(subprocess.TimeoutExpired):
            code = service.wait(timeout=0.5)
            break
        if stopping.is_set():
            service.terminate()  # again: circus ignores a signal that it gets while it starts a worker
        elif failure.exists():
            error = failure.read_text(encoding="utf-8")
            failure.unlink()
            if _is_ready(address, options.port):
                print(f"a worker could not start: {error}", file=sys.stderr, flush=True)
                error = ""
            else:
                stopping.set()
        elif watch.needed and time.monotonic() >= next_check:
            watch.check()
            next_check = time.monotonic() + options.poll
    if error:
        raise OSError(f"the service cannot start: {error}")
    if code in (0, -signal.SIGTERM, -signal.SIGINT):
        return 0
    if code < 0:
        raise OSError(f"the service was killed by signal {-code}; the system sends 9 where memory is short")
    return 1


def _is_ready(address: str, port: int) -> bool:
    """Whether any worker answers: the service goes on while one of them serves."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(address, port, timeout=5)
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    return False


def _allow_many_connections() -> None:
    """Raises the limit of open files to the most that the system allows: slow clients hold connections for a while."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="pct serve",
        description="Serves models over HTTP with their explanations: a page at /, POST /predict and /explain, GET "
        "/model. The service follows a registered alias: when it moves, the new version is served. With PCT_TOKEN set, "
        "requests need it as a bearer token.",
        epilog="example: pct serve models:/pct-planted-textcnn@champion; or two side by side: pct serve a=RUN b=RUN",
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL",
        help="the folder of an export, run or model, models:/<name>@champion or runs:/<id>/model; ID=MODEL names it",
    )  # fmt: skip
    add_own_settings(parser, "outputs")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: 127.0.0.1, loopback)")
    parser.add_argument("--port", type=int, default=3000, help="the port to listen at (default: 3000)")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="a further host name to accept, beside localhost and IP addresses; repeatable; '*' accepts any",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=1, help="the number of processes (default: 1)")
    parser.add_argument("--threads", type=int, default=0, help="cores per worker (default: all cores, divided)")
    parser.add_argument("--poll", type=float, default=10, help="seconds between checks of the registry (default: 10)")
    parser.add_argument(
        "--cache", default="", help="the folder for exported models (default: PCT_CACHE_DIR or ~/.cache/pct)"
    )
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="json: one line per event and request (default: text)"
    )
    group = parser.add_argument_group("limits")
    for f in fields(Limits):
        option, kind = f"--max-{f.name}".replace("max-max", "max").replace("_", "-"), type(f.default)
        group.add_argument(
            option, dest=f.name, type=kind, default=f.default, help=f"{f.metadata['help']} (default: {f.default})"
        )
    return parser
