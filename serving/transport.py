"""Connections with bounds on their number, and on the size and the time of their requests, whatever a client sends.

uvicorn reads headers of any length and waits for their end without a limit. An ASGI application cannot prevent this: it
is called when they are complete. An import of this module replaces uvicorn's protocol by `BoundedProtocol`; the service
imports it before BentoML's worker starts uvicorn. The names of uvicorn that this takes are private: its version has an
upper bound, and `tests/serving/test_private_names.py` fails when they move.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.limits import DRAINED, SECONDS_TO_REFUSE, Limits

limits = Limits.from_environment()
# For a body to arrive and for its answer, each of which has a limit of its own with a message, and for the network.
SECONDS_TO_ANSWER = 2 * limits.seconds + limits.head_seconds
# Requests that a client may send on one connection before it has the answer to the first.
MOST_AHEAD = 16
# The number of files that a worker opens beside its connections.
OTHER_FILES = 64
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def count_connections(wanted: int) -> int:
    """The number of connections: as many as wanted, at most those for which this process may open files."""
    with suppress(ImportError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY:
            return max(min(wanted, most - OTHER_FILES), 1)
    return wanted


most_connections = count_connections(limits.connections)
# The connections whose next request is not complete, in the order in which they began to wait.
_awaited: dict[BoundedProtocol, None] = {}


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed when a request's head or body is too large or arrives too slowly, or when the client
    does not read the answer. Where there are too many connections, the one that has waited longest is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        if len(self.connections) > most_connections:
            oldest = next(iter(_awaited), self)
            _awaited.pop(oldest, None)
            oldest.transport.abort()
        self._await_request()
        self._timer: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None
        self._head_complete = False
        self._received = self._chunk_size = 0
        self._close_after(limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Some bytes arrived."""
        self._chunk_size = len(data)
        super().data_received(data)
        self._received += len(data)
        if self._received > (DRAINED if self._head_complete else limits.head_bytes):
            if self._head_complete:
                self.transport.close()
            elif self.transport.is_reading():
                self.transport.pause_reading()
                self.loop.call_later(SECONDS_TO_REFUSE, self._refuse_head)

    def on_message_begin(self) -> None:
        """The first byte of a request. The bytes before it in the same chunk belong to the previous one."""
        super().on_message_begin()
        self._head_complete, self._received = False, -self._chunk_size
        self._close_after(limits.head_seconds)

    def on_headers_complete(self) -> None:
        """The application is called from here; `serving.host_check` checks the size of a complete head."""
        self._head_complete = True
        if self.transport.is_closing():
            return
        if len(self.pipeline) > MOST_AHEAD:
            self.cycle.keep_alive = False  # the last request that is answered
            return
        super().on_headers_complete()
        self._close_after(SECONDS_TO_ANSWER)

    def on_message_complete(self) -> None:
        """A request is complete, its body included."""
        super().on_message_complete()
        _awaited.pop(self, None)

    def on_response_complete(self) -> None:
        """The last byte of an answer was sent; the client may still have to read it. Where no other request arrives,
        uvicorn closes the connection earlier."""
        super().on_response_complete()
        self._await_request()
        self._close_after(SECONDS_TO_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client or this side closed the connection."""
        self._close_after(None)
        _awaited.pop(self, None)
        if self._answered is not None:  # uvicorn notifies the last request alone
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _await_request(self) -> None:
        _awaited.pop(self, None)
        _awaited[self] = None

    def _close_after(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


def install() -> None:
    """Makes every server that uvicorn starts in this process use `BoundedProtocol`."""
    protocols: dict[Any, Any] = uvicorn.config.HTTP_PROTOCOLS
    protocols["auto"] = f"{__name__}:{BoundedProtocol.__name__}"


install()
