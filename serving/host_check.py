"""The first check of a request: its host, its path and method, and the size of its head."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from typing import Any

from serving.limits import EVERY_HOST, SECONDS_TO_REFUSE
from serving.metrics import refusals

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
HOST = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<name>[^:\[\]]*))(?::\d+)?")

WITHOUT_DELAY = (408, 503)  # these have waited, or should be sent again


async def refuse(send: Send, status: int, error: str, *more: tuple[bytes, bytes]) -> None:
    """Sends an ASGI answer with a status and {"error": ...}. more: further headers."""
    refusals.labels(str(status)).inc()
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if status in (408, 413, 431):
        headers.append((b"connection", b"close"))  # the rest is not read
    if status not in WITHOUT_DELAY:
        await asyncio.sleep(SECONDS_TO_REFUSE)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class HostCheck:
    """ASGI middleware that refuses unknown hosts, paths and methods, and heads that are too large.

    A page of another site could otherwise rebind its name to this machine and read the answers. Starlette's
    TrustedHostMiddleware takes a list of names alone: here any IP address is allowed, since a rebound page has a name.
    An unknown path is refused before it becomes a label of a metric.

    Args:
        app: the application behind it.
        paths: the paths that exist, with the methods of each.
        hosts: names of the service, beside localhost and IP addresses; "*" for all.
        head_bytes: the limit of a request's address and headers.
    """

    def __init__(self, app: App, paths: Mapping[str, Sequence[str]], hosts: Collection[str], head_bytes: int) -> None:
        self.app, self.paths, self.head_bytes = app, dict(paths), head_bytes
        self.hosts = frozenset(h.strip().lower().rstrip(".") for h in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application's call."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        elif scope["type"] == "http" and (refusal := self._refusal(scope)):
            await refuse(send, *refusal)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[Any, ...] | None:
        size = len(scope.get("raw_path", b"")) + len(scope.get("query_string", b""))
        if size + sum(len(name) + len(value) for name, value in scope["headers"]) > self.head_bytes:
            return 431, f"address and headers are larger than {self.head_bytes} bytes"
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self.allows(hosts[0].decode("latin-1")):
            shown = b", ".join(hosts).decode("latin-1")[:80]
            remedy = "`pct serve --allow-host NAME`, or of a Bento PCT_SERVE_HOSTS=NAME, allows one"
            return 421, f"the host {shown!r} is not served here; {remedy}"
        methods = self.paths.get(scope["path"])
        if methods is None:
            return 404, "this path does not exist; GET /docs lists the paths"
        if scope["method"] not in methods:
            error = f"{scope['path']} takes {' or '.join(methods)}, not {scope['method'][:20]}; see GET /docs"
            return 405, error, (b"allow", ", ".join(methods).encode())
        return None

    def allows(self, host: str) -> bool:
        """Whether a Host header is this machine's own name, an IP address, or a name that is allowed."""
        if EVERY_HOST in self.hosts:
            return True
        name = host_name(host)
        return bool(name) and (name == "localhost" or name in self.hosts or _is_address(name))


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port, brackets and final dot; empty for an invalid header."""
    match = HOST.fullmatch(host.lower())
    return (match["bracketed"] or match["name"].removesuffix(".")) if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
