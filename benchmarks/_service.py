"""A real service under load: `pct serve` in processes of its own, and clients that keep their connections."""

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
POST = """bodies = {%s}
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
    """One client: a connection that is kept, and opened again when it broke."""

    def __init__(self, port: int, timeout: float = 60, host: str = "localhost") -> None:
        self._port, self._timeout, self._host = port, timeout, host
        self._socket: socket.socket | None = None

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError where there is none."""
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
        """Hangs up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, connected: socket.socket) -> tuple[int, bytes]:
        got, end, size = b"", -1, 0
        while end < 0 or len(got) < end + size:
            part = connected.recv(2**18)
            if not part:
                raise ConnectionError("the service hung up")
            got += part
            if end < 0 and (end := got.find(b"\r\n\r\n") + 4) > 3:
                length = LENGTH.search(got, 0, end)
                size = int(length[1]) if length else 0
            elif end < 4:
                end = -1
        return int(got[9:12]), got[end : end + size]


@dataclass
class Load:
    """What came of many requests. begun: when each was sent; seconds: until its answer;
    failed: when one got none, or another status than 200, and why. Times count from the first request's."""

    begun: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall

    def add(self, other: Load) -> None:
        """What came of more requests, as if they had been among these."""
        self.begun += other.begun
        self.seconds += other.seconds
        self.failed += other.failed
        self.wall += other.wall

    def percentile(self, share: float) -> float:
        """Seconds within which so many percent were answered."""
        return float(np.percentile(self.seconds, share))


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
    """So many clients send the bodies in turn: each as soon as it is answered, or all together `rate` a second.

    It ends after so many seconds or requests, or when `stop` says so. With a rate, the time counts from when a request
    was due: a service that falls behind does not slow down those who measure it.
    """
    out, lock, numbers = Load(), threading.Lock(), count()
    begun = time.perf_counter()

    def run() -> None:
        connection = Connection(port)
        while not stop():
            with lock:
                n = next(numbers)
            start = begun + n / rate if rate else time.perf_counter()
            if start >= begun + seconds or (requests and n >= requests):
                break
            time.sleep(max(start - time.perf_counter(), 0))
            try:
                status, answer = connection.ask(path, bodies[n % len(bodies)])
                problem = "" if status == 200 else f"{status} {answer[:200]!r}"
            except OSError as error:
                problem = f"{type(error).__name__}: {error}"
            now = time.perf_counter()
            if problem:
                out.failed.append((now - begun, problem))
                time.sleep(0.005)  # a service that is away would refuse thousands of connections a second
            else:
                out.begun.append(start - begun)
                out.seconds.append(now - start)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    out.wall = time.perf_counter() - begun
    return out


def pressed(
    port: int, path: str, bodies: Sequence[bytes], clients: int, seconds: float = math.inf, requests: int = 0
) -> dict[str, Any]:
    """Requests a second, p50 and p99 in seconds, and errors, by wrk for so many seconds.

    By `load` for a number of requests, or where wrk is not installed.
    """
    if requests or not shutil.which("wrk"):
        found = load(port, path, bodies, clients, seconds, requests)
        p50, p99 = found.percentile(50), found.percentile(99)
        return {"by": "threads", "rate": found.rate, "p50": p50, "p99": p99, "errors": len(found.failed)}
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as script:
        # a JSON string without escapes beyond \\ and \" is a Lua string too
        script.write(POST % ", ".join(json.dumps(b.decode("ascii")) for b in bodies))
        script.flush()
        # wrk counts what takes longer than its timeout as an error
        command = ["wrk", "-t1", "--timeout", "60s", f"-c{clients}", f"-d{seconds:.0f}s", "-s", script.name]
        done = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    rate = told["requests"] / told["seconds"]
    return {"by": "wrk", "rate": rate, "p50": told["p50"], "p99": told["p99"], "errors": told["errors"]}


@dataclass
class Service:
    """A running `pct serve`. to_answer: seconds from its start to the answer of its first request."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    to_answer: float = 0.0

    def workers(self) -> list[int]:
        """The ids of the processes that answer."""
        return [pid for pid, line in _children(self.process.pid) if WORKER.search(line)]

    def memory(self) -> dict[str, float]:
        """MB (2^20 bytes): the worker's resident memory, and all processes', what they share counted once (PSS)."""
        everyone = [self.process.pid, *(pid for pid, _ in _children(self.process.pid))]
        return {
            "worker": sum(_resident(pid, "Rss") for pid in self.workers()),
            "all": sum(_resident(pid, "Pss") for pid in everyone),
        }


def service(
    *arguments: str, python: str = sys.executable, body: bytes = b"", installed: bool = False
) -> AbstractContextManager[Service]:
    """`pct serve` with these arguments, once it answers: `body` at /explain, or else that it is ready.

    python: the interpreter of the environment that it runs in. installed: take the packages from there, not from here.
    """
    own = {} if installed else {"PYTHONPATH": str(REPOSITORY)}
    return _started([python, "-m", "pct.cli", "serve", *arguments], own, body)


def eager_service(folder: Path, threads: int) -> AbstractContextManager[Service]:
    """The service with eager torch in it (`benchmarks._eager`), of a saved classifier, once it is ready."""
    own = {"PYTHONPATH": str(REPOSITORY), MODEL_LIST: str(folder), THREADS: str(threads)}
    return _started([sys.executable, "-m", "bentoml", "serve", "benchmarks._eager:Explainer"], own)


@contextmanager
def _started(command: list[str], own: dict[str, str], body: bytes = b"") -> Iterator[Service]:
    """The service of a command, with an environment of its own, from its first answer to the end of the block."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pct-bench-") as room:
        log = Path(room) / "serve.log"
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")}
        environment = {**inherited, **own, "BENTOML_HOME": room, "PCT_CACHE_DIR": room, "HOME": room}
        begun = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--port", str(port)], env=environment, cwd=room, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        running = Service(process, port, log)
        try:
            _wait(running, body)
            running.to_answer = time.perf_counter() - begun
            yield running
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(running: Service, body: bytes) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until and running.process.poll() is None:
        try:
            if Connection(running.port).ask("/explain" if body else "/readyz", body or None)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the service did not start:\n{running.log.read_text(errors='replace')[-2000:]}")


def _children(parent: int) -> list[tuple[int, str]]:
    """All processes below one, with their command lines."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                of = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                below.setdefault(of, []).append(int(entry.name))
        except OSError:
            pass
    found, left = [], [parent]
    while left:
        some = below.get(left.pop(), [])
        found += some
        left += some
    return [(pid, _command(pid)) for pid in found]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _resident(pid: int, kind: str) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(rf"^{kind}: *(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
