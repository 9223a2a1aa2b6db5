"""Hostile clients, one kind per process: `python -m benchmarks._attacks KIND PORT SECONDS`."""

import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from benchmarks._service import Connection

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"texts": ["a moving film"]}'
LARGE_LIST = b'{"texts": [%s]}' % b",".join([b"1"] * 520_000)
EXPENSIVE = {
    "texts": [f"film {n} " + "brilliant and dreadful and dull " * 12 for n in range(64)],
    "order": "recomputed",
}
HEADER_LINE = b"X: " + b"y" * 2**20 + b"\r\n"


class Attack:
    """An attack on a port until a deadline, with counts of its outcomes: statuses, and connections closed or open."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.deadline = port, time.monotonic() + seconds
        self.outcomes: Counter[str] = Counter()

    @property
    def active(self) -> bool:
        """Whether the deadline is still ahead."""
        return time.monotonic() < self.deadline

    def hold_connections(self, count: int, start: bytes) -> None:
        """Opens `count` connections, sends the start of a request on each, and waits; closed ones are replaced."""
        connections: list[socket.socket] = []
        while self.active:
            while self.active and len(connections) < count:
                connections.append(self._open(start))
            time.sleep(0.5)
            connections = [s for s in connections if not self._closed(s)]
        self.outcomes["still open"] += len(connections)

    def send_requests(
        self, clients: int, path: Callable[[int], str], body: bytes | None, host: str = "localhost"
    ) -> None:
        """Sends requests from several clients without a pause."""
        threads = [threading.Thread(target=self._request_repeatedly, args=(path, body, host)) for _ in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def send_headers(self, clients: int) -> None:
        """Sends header lines of a megabyte from several clients until the service closes the connection."""
        threads = [threading.Thread(target=self._send_header_lines) for _ in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def _open(self, start: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        connection.sendall(start)
        connection.setblocking(False)
        return connection

    def _closed(self, connection: socket.socket) -> bool:
        try:
            answer = connection.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            answer = b""
        self.outcomes[answer[9:12].decode() or "closed"] += 1
        connection.close()
        return True

    def _request_repeatedly(self, path: Callable[[int], str], body: bytes | None, host: str) -> None:
        connection, number = Connection(self.port, host=host), 0
        while self.active:
            number += 1
            try:
                self.outcomes[str(connection.request(path(number), body)[0])] += 1
            except OSError:
                self.outcomes["closed"] += 1

    def _send_header_lines(self) -> None:
        while self.active:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 10) as s:
                    s.sendall(HEAD)
                    for _ in range(50):
                        s.sendall(HEADER_LINE)
                self.outcomes["read in full"] += 1
            except OSError:
                self.outcomes["closed"] += 1


def slow_bodies(attack: Attack) -> None:
    """64 bodies that lack their last three bytes, and 100 of almost a megabyte that never end."""
    large = HEAD + b"Content-Length: 1048576\r\n\r\n" + b" " * 1_000_000
    threads = [
        threading.Thread(
            target=attack.hold_connections, args=(64, HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:-3])
        ),
        threading.Thread(target=attack.hold_connections, args=(100, large)),
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


ATTACKS: dict[str, Callable[[Attack], None]] = {
    "slow bodies": slow_bodies,
    "half headers": lambda attack: attack.hold_connections(3000, HEAD),
    "large headers": lambda attack: attack.send_headers(8),
    "large lists": lambda attack: attack.send_requests(2, lambda n: "/predict", LARGE_LIST),
    "unknown paths": lambda attack: attack.send_requests(2, lambda n: f"/unknown-{n}", None),
    "wrong hosts": lambda attack: attack.send_requests(2, lambda n: "/model", None, "attacker.example"),
    "expensive explanations": lambda attack: attack.send_requests(
        3, lambda n: "/explain", json.dumps(EXPENSIVE).encode()
    ),
}


def main() -> None:
    """Runs one attack at the lowest priority: real attackers would have their own machines."""
    kind, port, seconds = sys.argv[1:]
    os.nice(19)
    print("on", flush=True)
    attack = Attack(int(port), float(seconds))
    ATTACKS[kind](attack)
    print(json.dumps(attack.outcomes))


if __name__ == "__main__":
    main()
