"""A server that answers each request at once and does nothing: `python -m benchmarks._bystander`.

Attacks aimed at it show how much of their effect is due to the shared machine. It prints its port.
"""

import asyncio
import os

from benchmarks._service import LENGTH

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Discard(asyncio.Protocol):
    """A connection: reads each request, discards it, and answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport for the answers."""
        self._transport = transport
        self._head, self._left = b"", 0

    def data_received(self, data: bytes) -> None:
        """Counts the bytes of a body; buffers only the end of a head."""
        if self._left:
            self._left -= len(data)
        else:
            self._head = (self._head + data)[-(2**16) :]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self._head, 0, end)
            self._left = (int(length[1]) if length else 0) - (len(self._head) - end - 4)
        if self._left <= 0:
            self._head, self._left = b"", 0
            self._transport.write(ANSWER)  # type: ignore[attr-defined]


async def main() -> None:
    """Serves until it is stopped, at the attackers' priority."""
    os.nice(19)
    server = await asyncio.get_running_loop().create_server(Discard, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
