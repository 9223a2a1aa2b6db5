"""Connections of a real service that are held on to: they are bounded in number, and in time where nobody reads."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.serving.conftest import Running, serving
from tests.waiting import PATIENCE, until

psutil = pytest.importorskip("psutil")
MOST = 12


@pytest.fixture(scope="module")
def strict(exported: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service whose limits are soon reached."""
    limits = ("--max-head-seconds", "2", "--max-seconds", "3", "--max-connections", str(MOST))
    with serving(tmp_path_factory.mktemp("strict"), str(exported["normal"]), *limits) as running:
        yield running


def connect(running: Running) -> socket.socket:
    """A client that takes little before it reads."""
    place = urlsplit(running.url)
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(PATIENCE)
    made.connect((place.hostname, place.port))
    return made


def held(running: Running) -> set[int]:
    """The ports of the clients whose connections the service holds."""
    service = psutil.Process(running.process.pid)
    every = [c for p in [service, *service.children(recursive=True)] for c in p.net_connections("tcp")]
    return {c.raddr.port for c in every if c.raddr}


def test_a_client_that_reads_no_answer_is_cut_off(strict):
    body = json.dumps({"texts": ["x" * 10_000] * 64}).encode()
    asked = b"POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with connect(strict) as client:
        port = client.getsockname()[1]
        client.settimeout(2)
        with suppress(OSError):  # until what the systems keep on the way is full, or it is cut off already
            for _ in range(60):
                client.sendall(asked % len(body) + body)
        until(lambda: port not in held(strict))
    assert strict.ask("/predict", {"texts": ["a film"]})[0] == 200
    assert "Traceback" not in strict.log


def test_of_too_many_connections_the_one_waited_for_longest_gives_way(strict):
    clients = []
    try:
        for _ in range(3 * MOST):
            clients.append(connect(strict))
            clients[-1].sendall(b"POST /predict HTTP/1.1\r\nHost: loc")
        assert strict.ask("/predict", {"texts": ["a film"]})[0] == 200
        until(lambda: len(held(strict)) <= MOST)
        assert clients[0].getsockname()[1] not in held(strict)
    finally:
        for client in clients:
            client.close()
    until(lambda: not held(strict))


def test_a_large_head_is_refused_and_half_a_head_is_closed(strict):
    def sent(*parts):
        address = urlsplit(strict.url)
        with socket.create_connection((address.hostname, address.port), PATIENCE) as s:
            try:
                for part in parts:
                    s.sendall(part)
                return b"".join(iter(lambda: s.recv(4096), b""))
            except ConnectionError:
                return b"reset"

    first = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
    assert b" 200 " in sent(first, b"X: y\r\nConnection: close\r\n\r\n")
    assert b" 431 " in sent(first, b"X: %s\r\n\r\n" % (b"y" * 40_000))
    answer = sent(first, *[b"X: %s" % (b"y" * 2**20)] * 60)
    assert answer == b"reset" or b" 431 " in answer
    assert sent(first) == b""  # after the seconds that a head may take
    chunked = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    answer = sent(chunked, *[b"T: %s\r\n" % (b"y" * 2**20)] * 60)  # trailers without an end
    assert answer == b"reset" or answer.startswith(b"HTTP/1.1 4")
    ahead = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000  # asked before the first answer is heard
    assert sent(ahead).count(b"200 OK") < 1000
    assert strict.ask("/predict", {"texts": ["a film"]})[0] == 200
