"""The connection to the tracking server: its URI, whether it answers, and the time limits."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pct.commands.errors import JobError
from pipelines.job import first_line

# MLflow sends telemetry by default; a run makes requests to its tracking server only.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
# its "View run" lines would break a live table; the command prints how to look at a run at its end
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

SECONDS_TO_ANSWER = 5
# for whole files, at a time when no training waits
UPLOAD = {"seconds": 120, "retries": 3}
SIGNS = {  # in the message of an error -> what it means
    "Connection refused": "connection refused",
    "timed out": f"no answer in {SECONDS_TO_ANSWER} seconds",
    "resolve": "its host name is unknown",
    "Name or service": "its host name is unknown",
}
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


class TrackingError(JobError):
    """The tracking server cannot be used; the message says why and what to do."""


def tracking_uri(remembered: str = "") -> str:
    """MLFLOW_TRACKING_URI, else the remembered URI, else MLflow's default (a SQLite file in this folder)."""
    import mlflow

    if mlflow.is_tracking_uri_set() or not remembered:
        return str(mlflow.get_tracking_uri())
    return remembered


@contextmanager
def default_tracking(uri: str) -> Iterator[None]:
    """Sets the URI of MLflow's functions that take none; restores it afterwards, environment included."""
    import mlflow

    if str(mlflow.get_tracking_uri()) == uri:
        yield
        return
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def connect(uri: str) -> Any:
    """An `MlflowClient` whose server has answered within seconds. Raises `TrackingError`."""
    import mlflow

    _probe(uri)
    try:
        with _one_sets_it_up(uri):
            client = mlflow.MlflowClient(uri)
            with request_timeout():
                client.search_experiments(max_results=1)
    except Exception as problem:  # a database's driver raises its own types
        raise TrackingError(_explained(uri, problem)) from problem
    return client


@contextmanager
def _one_sets_it_up(uri: str) -> Iterator[None]:
    """A lock on the first opening of a SQLite file, in which MLflow makes its tables: processes that start together
    would damage the file."""
    path = _sqlite_path(uri)
    with ExitStack() as held:
        # no lock on Windows, or in a folder that cannot be written
        with suppress(ImportError, OSError):
            import fcntl

            if path is not None:
                lock = held.enter_context(open(path.with_name(f".{path.name}.lock"), "a", encoding="utf-8"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite database; None for any other URI."""
    if not uri.startswith("sqlite"):
        return None
    name = unquote(uri.split(":///", 1)[-1]).split("?")[0]
    return Path(name) if name and name != ":memory:" else None


@contextmanager
def request_timeout(seconds: int = SECONDS_TO_ANSWER, retries: int = 1) -> Iterator[None]:
    """Limits the time and the retries of MLflow's requests: by its defaults an absent server costs minutes."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": str(retries - 1),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def without_password(uri: str) -> str:
    """A URI without user and password, to be printed and stored."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def how_to_view(uri: str, experiment_id: str = "", run_id: str = "") -> str:
    """How to open the MLflow UI on this run."""
    if urlsplit(uri).scheme in ("http", "https"):
        page = f"/#/experiments/{experiment_id}/runs/{run_id}" if run_id else ""
        return f"open {without_password(uri).rstrip('/')}{page}"
    return f"mlflow ui --backend-store-uri {quote(without_password(uri))} --host 127.0.0.1 --port 5000"


@contextmanager
def requests_to(uri: str, seconds: int = SECONDS_TO_ANSWER, retries: int = 1) -> Iterator[None]:
    """`request_timeout`, and what requests to the server raise becomes `TrackingError`; a ValueError stays one."""
    try:
        with request_timeout(seconds, retries):
            yield
    except (ValueError, TrackingError):
        raise
    except Exception as problem:  # a server or its driver raises many types
        raise TrackingError(_explained(uri, problem)) from problem


def search_pages(search: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
    """All results of one of the client's searches, which come in pages."""
    token = None
    while True:
        page = search(*arguments, page_token=token, **options)
        yield from page
        if not (token := page.token):
            return


def _probe(uri: str) -> None:
    """Fails early where MLflow's own retries would take minutes: no such folder, or a closed port of a database."""
    parts = urlsplit(uri)
    kind = parts.scheme.split("+")[0]
    if (path := _sqlite_path(uri)) is not None:
        if not path.parent.is_dir():
            raise TrackingError(_unusable(uri, f"there is no folder {path.parent}"))
    elif kind in PORTS and parts.hostname:
        try:
            socket.create_connection((parts.hostname, parts.port or PORTS[kind]), SECONDS_TO_ANSWER).close()
        except OSError as problem:
            raise TrackingError(_unusable(uri, str(problem))) from problem


def _explained(uri: str, problem: Exception) -> str:
    text = str(problem)
    status = getattr(problem, "get_http_status_code", lambda: 0)()
    if status in (401, 403) or " 401" in text or " 403" in text:
        return (
            f"the tracking server {without_password(uri)} refused the credentials; "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)"
        )
    if reason := next((reason for sign, reason in SIGNS.items() if sign in text), ""):
        return _unusable(uri, reason)
    name = type(problem).__name__
    return _unusable(uri, f"{name}: {first_line(problem)}" if str(problem).strip() else name)


def _unusable(uri: str, why: str) -> str:
    if _sqlite_path(uri) is not None:
        return (
            f"the tracking database {uri} cannot be used: {why}. Set MLFLOW_TRACKING_URI to another one; a file whose "
            "set-up was interrupted can be moved away: a new one is made"
        )
    return (
        f"the tracking server {without_password(uri)} cannot be used: {why}. Start it, or set MLFLOW_TRACKING_URI to "
        "one that runs; sqlite:///mlflow.db is a file in this folder and needs no server"
    )
