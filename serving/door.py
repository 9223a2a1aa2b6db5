"""What stands before everything else: only known hosts and known paths come in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from serving.refusal import refuse

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
EVERY_HOST = "*"
HOST = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<name>[^:\[\]]*))(?::\d+)?")


class Door:
    """ASGI middleware. A host that is not expected is refused: a page of another site, whose name was rebound to this
    machine, could read the answers otherwise. So is a path that there is not, before it becomes a label of a metric.

    Args:
        app: What is behind.
        paths: The paths that there are.
        hosts: Names that the service goes by, beside localhost and addresses (a rebound page has a name); "*" for all.
        head_bytes: Of a request's address and headers.
    """

    def __init__(self, app: App, paths: Collection[str], hosts: Collection[str], head_bytes: int) -> None:
        self.app, self.paths, self.head_bytes = app, frozenset(paths), head_bytes
        self.hosts = frozenset(h.strip().lower().rstrip(".") for h in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application's call."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close"})
        elif refusal := self._refusal(scope):
            await refuse(send, *refusal)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        size = len(scope.get("raw_path", b"")) + len(scope.get("query_string", b""))
        if size + sum(len(name) + len(value) for name, value in scope["headers"]) > self.head_bytes:
            return 431, f"address and headers are larger than {self.head_bytes} bytes"
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) != 1 or not self.known(given[0].decode("latin-1")):
            said = b", ".join(given).decode("latin-1")[:80]
            return 421, f"the host {said!r} is not served here; `pct serve --allow-host NAME` allows one"
        if scope["path"] not in self.paths:
            return 404, "there is nothing at this path; GET /docs tells what there is"
        return None

    def known(self, host: str) -> bool:
        """Whether a Host header is this machine's own name or address, or one that is allowed."""
        if EVERY_HOST in self.hosts:
            return True
        name = host_name(host)
        return bool(name) and (name == "localhost" or name in self.hosts or _is_address(name))


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port, brackets and final dot; empty where it is no such header."""
    match = HOST.fullmatch(host.lower())
    return (match["bracketed"] or match["name"].removesuffix(".")) if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
