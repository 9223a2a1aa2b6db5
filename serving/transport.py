"""Connections bounded in number, their requests in size and in time, whatever a client sends or leaves out.

uvicorn reads headers of any length and waits for their end for ever, which no ASGI application can prevent: it is
called when they are there. Importing this module (the service does, before BentoML's worker starts uvicorn) puts
`BoundedProtocol` in the place of uvicorn's own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.limits import DRAINED, SECONDS_TO_REFUSE, Limits

limits = Limits.from_environment()
# For a body to come and for its answer, each of which has a limit that is told in words, and for the way.
SECONDS_TO_ANSWER = 2 * limits.seconds + limits.head_seconds
# Requests that a client sends on one connection before it has heard the answer to the first.
MOST_AHEAD = 16
# Files that a worker opens beside its connections.
OTHER_FILES = 64
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def count_connections(wanted: int) -> int:
    """As many connections as are wanted, or as this process may have open files for."""
    with suppress(ImportError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY:
            return max(min(wanted, most - OTHER_FILES), 1)
    return wanted


most_connections = count_connections(limits.connections)
# Those whose next request is not whole yet, in the order in which it is waited for.
_awaited: dict[BoundedProtocol, None] = {}


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed when a request's head or body is too large, or takes too long to come, or when its
    answer is not read; and, where there are too many, when it has been waited for longest."""

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
        self._received = self._coming = 0
        self._close_after(limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        self._coming = len(data)
        super().data_received(data)
        self._received += len(data)
        if self._received > (DRAINED if self._head_complete else limits.head_bytes):
            if self._head_complete:
                self.transport.close()
            elif self.transport.is_reading():
                self.transport.pause_reading()
                self.loop.call_later(SECONDS_TO_REFUSE, self._refuse_head)

    def on_message_begin(self) -> None:
        """The first byte of a request. What came with it may be of the one before, and does not count."""
        super().on_message_begin()
        self._head_complete, self._received = False, -self._coming
        self._close_after(limits.head_seconds)

    def on_headers_complete(self) -> None:
        """The application is called from here; `serving.door` measures the head that is complete."""
        self._head_complete = True
        if self.transport.is_closing():
            return
        if len(self.pipeline) > MOST_AHEAD:
            self.cycle.keep_alive = False  # the last one that is answered
            return
        super().on_headers_complete()
        self._close_after(SECONDS_TO_ANSWER)

    def on_message_complete(self) -> None:
        """A request is there, its body included."""
        super().on_message_complete()
        _awaited.pop(self, None)

    def on_response_complete(self) -> None:
        """The last byte of an answer was handed over; the client may yet have to read it. Where no other request comes,
        uvicorn hangs up before."""
        super().on_response_complete()
        self._await_request()
        self._close_after(SECONDS_TO_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client, or this side, closed it."""
        self._close_after(None)
        _awaited.pop(self, None)
        if self._answered is not None:  # uvicorn tells the request alone that came last
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
    """Every server that uvicorn starts in this process from now on reads by `BoundedProtocol`."""
    protocols: dict[Any, Any] = uvicorn.config.HTTP_PROTOCOLS
    protocols["auto"] = f"{__name__}:{BoundedProtocol.__name__}"


install()
