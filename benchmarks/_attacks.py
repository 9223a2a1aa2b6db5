"""Clients that mean no good, one kind a process: `python -m benchmarks._attacks KIND PORT SECONDS`."""

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
MANY = b'{"texts": [%s]}' % b",".join([b"1"] * 520_000)
DEAR = {"texts": [f"film {n} " + "brilliant and dreadful and dull " * 12 for n in range(64)], "order": "recomputed"}
LINE = b"X: " + b"y" * 2**20 + b"\r\n"


class Attack:
    """What an attack needs: the port, when it ends, and a count of what came back."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.until = port, time.monotonic() + seconds
        self.came: Counter[str] = Counter()

    @property
    def on(self) -> bool:
        """Whether it goes on."""
        return time.monotonic() < self.until

    def held(self, count: int, start: bytes) -> None:
        """Opens so many connections, sends the start of a request on each, and waits; those that are closed are opened
        again."""
        opened: list[socket.socket] = []
        while self.on:
            while self.on and len(opened) < count:
                opened.append(self._open(start))
            time.sleep(0.5)
            opened = [s for s in opened if not self._closed(s)]
        self.came["still open"] += len(opened)

    def asked(self, clients: int, path: Callable[[int], str], body: bytes | None, host: str = "localhost") -> None:
        """So many clients that ask without a pause."""
        threads = [threading.Thread(target=self._ask, args=(path, body, host)) for _ in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def poured(self, clients: int) -> None:
        """So many clients that send header lines of a megabyte until they are stopped."""
        threads = [threading.Thread(target=self._pour) for _ in range(clients)]
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
            got = connection.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            got = b""
        self.came[got[9:12].decode() or "closed"] += 1
        connection.close()
        return True

    def _ask(self, path: Callable[[int], str], body: bytes | None, host: str) -> None:
        connection, number = Connection(self.port, host=host), 0
        while self.on:
            number += 1
            try:
                self.came[str(connection.ask(path(number), body)[0])] += 1
            except OSError:
                self.came["closed"] += 1

    def _pour(self) -> None:
        while self.on:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 10) as s:
                    s.sendall(HEAD)
                    for _ in range(50):
                        s.sendall(LINE)
                self.came["read whole"] += 1
            except OSError:
                self.came["closed"] += 1


def slow_bodies(attack: Attack) -> None:
    """64 bodies short of three bytes, and 100 of almost a megabyte that never end."""
    large = HEAD + b"Content-Length: 1048576\r\n\r\n" + b" " * 1_000_000
    threads = [
        threading.Thread(target=attack.held, args=(64, HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:-3])),
        threading.Thread(target=attack.held, args=(100, large)),
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


ATTACKS: dict[str, Callable[[Attack], None]] = {
    "slow bodies": slow_bodies,
    "half headers": lambda a: a.held(3000, HEAD),
    "large headers": lambda a: a.poured(8),
    "large lists": lambda a: a.asked(2, lambda n: "/predict", MANY),
    "unknown paths": lambda a: a.asked(2, lambda n: f"/unknown-{n}", None),
    "wrong hosts": lambda a: a.asked(2, lambda n: "/model", None, "attacker.example"),
    "dear explanations": lambda a: a.asked(3, lambda n: "/explain", json.dumps(DEAR).encode()),
}


def main() -> None:
    """Runs one, at the lowest priority: such clients would have machines of their own."""
    kind, port, seconds = sys.argv[1:]
    os.nice(19)
    print("on", flush=True)
    attack = Attack(int(port), float(seconds))
    ATTACKS[kind](attack)
    print(json.dumps(attack.came))


if __name__ == "__main__":
    main()
