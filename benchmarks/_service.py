"""A real service under load: `pct serve` in separate processes, and clients with persistent connections."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from serving.limits import MODEL_LIST, THREADS

REPOSITORY = Path(__file__).parents[1]
SECONDS_TO_START = 120
WORKER = re.compile(r"worker[./]service")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
WRK_SCRIPT = """bodies = {%s}
n = 0
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n + 1
  return wrk.format("POST", nil, nil, bodies[n %% #bodies + 1])
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Connection:
    """One client: a persistent connection, reopened after a failure."""

    def __init__(self, port: int, timeout: float = 60, host: str = "localhost") -> None:
        self._port, self._timeout, self._host = port, timeout, host
        self._socket: socket.socket | None = None

    def request(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Sends a request; returns the status and body of the answer. Raises OSError if there is none."""
        method = b"GET" if body is None else b"POST"
        head = b"%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), self._timeout)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(head % (method, path.encode(), self._host.encode(), len(body or b"")) + (body or b""))
            return self._read(self._socket)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, connected: socket.socket) -> tuple[int, bytes]:
        received, end, size = b"", -1, 0
        while end < 0 or len(received) < end + size:
            chunk = connected.recv(2**18)
            if not chunk:
                raise ConnectionError("the service closed the connection")
            received += chunk
            if end < 0 and (end := received.find(b"\r\n\r\n") + 4) > 3:
                length = LENGTH.search(received, 0, end)
                size = int(length[1]) if length else 0
            elif end < 4:
                end = -1
        return int(received[9:12]), received[end : end + size]


@dataclass
class Load:
    """The results of many requests. Times are relative to the start of the load.

    Attributes:
        started: when each answered request was due or sent.
        seconds: from then to its answer.
        failed: when a request failed (no answer, or a status other than 200), and why.
        wall: seconds that the load lasted.
    """

    started: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.seconds) / self.wall

    def add(self, other: Load) -> None:
        """Adds the results of further requests."""
        self.started += other.started
        self.seconds += other.seconds
        self.failed += other.failed
        self.wall += other.wall

    def percentile(self, percent: float) -> float:
        """The seconds within which `percent` of the requests were answered."""
        return float(np.percentile(self.seconds, percent))


def load(
    port: int,
    path: str,
    bodies: Sequence[bytes],
    clients: int,
    seconds: float = math.inf,
    requests: int = 0,
    rate: float = 0.0,
    stop: Callable[[], bool] = bool,
) -> Load:
    """Sends the bodies in turn from several clients: each after its last answer, or all together `rate` a second.

    Ends after `seconds` or `requests`, or when `stop` returns true. With a rate, the time of a request counts from when
    it was due, so that delays of a service that falls behind are counted in full.
    """
    result, lock, numbers = Load(), threading.Lock(), count()
    start = time.perf_counter()

    def run() -> None:
        connection = Connection(port)
        while not stop():
            with lock:
                n = next(numbers)
            due = start + n / rate if rate else time.perf_counter()
            if due >= start + seconds or (requests and n >= requests):
                break
            time.sleep(max(due - time.perf_counter(), 0))
            try:
                status, answer = connection.request(path, bodies[n % len(bodies)])
                problem = "" if status == 200 else f"{status} {answer[:200]!r}"
            except OSError as error:
                problem = f"{type(error).__name__}: {error}"
            now = time.perf_counter()
            if problem:
                result.failed.append((now - start, problem))
                time.sleep(0.005)  # a service that is down would refuse thousands of connections a second
            else:
                result.started.append(due - start)
                result.seconds.append(now - due)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    result.wall = time.perf_counter() - start
    return result


def throughput(
    port: int, path: str, bodies: Sequence[bytes], clients: int, seconds: float = math.inf, requests: int = 0
) -> dict[str, Any]:
    """Requests per second, p50 and p99 in seconds, and errors, measured by wrk for `seconds`.

    Measured by `load` for a number of requests, or if wrk is not installed.
    """
    if requests or not shutil.which("wrk"):
        result = load(port, path, bodies, clients, seconds, requests)
        p50, p99 = result.percentile(50), result.percentile(99)
        return {"by": "threads", "rate": result.rate, "p50": p50, "p99": p99, "errors": len(result.failed)}
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as script:
        # a JSON string without escapes beyond \\ and \" is a Lua string too
        script.write(WRK_SCRIPT % ", ".join(json.dumps(b.decode("ascii")) for b in bodies))
        script.flush()
        # wrk counts a request that takes longer than its timeout as an error
        command = ["wrk", "-t1", "--timeout", "60s", f"-c{clients}", f"-d{seconds:.0f}s", "-s", script.name]
        done = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    rate = summary["requests"] / summary["seconds"]
    return {"by": "wrk", "rate": rate, "p50": summary["p50"], "p99": summary["p99"], "errors": summary["errors"]}


@dataclass
class Service:
    """A running `pct serve`. startup_seconds: from its start to its first answer."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    startup_seconds: float = 0.0

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return [pid for pid, line in _descendants(self.process.pid) if WORKER.search(line)]

    def memory(self) -> dict[str, float]:
        """MB (2^20 bytes): the worker's resident memory, and that of all processes, shared pages counted once (PSS)."""
        pids = [self.process.pid, *(pid for pid, _ in _descendants(self.process.pid))]
        return {
            "worker": sum(_memory_mb(pid, "Rss") for pid in self.workers()),
            "all": sum(_memory_mb(pid, "Pss") for pid in pids),
        }


def service(
    *arguments: str, python: str = sys.executable, body: bytes = b"", installed: bool = False
) -> AbstractContextManager[Service]:
    """Runs `pct serve` with these arguments; entered once it answers `body` at /explain, or is ready if there is none.

    python: the interpreter that runs it. installed: use the packages of its environment, not those of this repository.
    """
    variables = {} if installed else {"PYTHONPATH": str(REPOSITORY)}
    return _running([python, "-m", "pct.cli", "serve", *arguments], variables, body)


def eager_service(folder: Path, threads: int) -> AbstractContextManager[Service]:
    """Runs the service with eager torch (`benchmarks._eager`) on a saved classifier; entered once it is ready."""
    variables = {"PYTHONPATH": str(REPOSITORY), MODEL_LIST: str(folder), THREADS: str(threads)}
    return _running([sys.executable, "-m", "bentoml", "serve", "benchmarks._eager:Explainer"], variables)


@contextmanager
def _running(command: list[str], variables: dict[str, str], body: bytes = b"") -> Iterator[Service]:
    """Runs a service with added environment variables, from its first answer to the end of the block."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pct-bench-") as folder:
        log = Path(folder) / "serve.log"
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")}
        environment = {**inherited, **variables, "BENTOML_HOME": folder, "PCT_CACHE_DIR": folder, "HOME": folder}
        start = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--port", str(port)], env=environment, cwd=folder, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        running = Service(process, port, log)
        try:
            _wait_until_ready(running, body)
            running.startup_seconds = time.perf_counter() - start
            yield running
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_ready(running: Service, body: bytes) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            if Connection(running.port).request("/explain" if body else "/readyz", body or None)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the service did not start:\n{running.log.read_text(errors='replace')[-2000:]}")


def _descendants(parent: int) -> list[tuple[int, str]]:
    """All descendants of a process, with their command lines."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(ppid, []).append(int(entry.name))
        except OSError:
            pass
    descendants, pending = [], [parent]
    while pending:
        own_children = children.get(pending.pop(), [])
        descendants += own_children
        pending += own_children
    return [(pid, _command(pid)) for pid in descendants]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _memory_mb(pid: int, kind: str) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    match = re.search(rf"^{kind}: *(\d+) kB", rollup, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0
