"""What stands before the service: token, size, time and number of requests, and that they are what they must be."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pydantic import BaseModel, ValidationError

from serving.limits import Limits

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


# Bytes of a body that is too large which are read and thrown away: most clients hear an answer only when they have sent
# it all. Beyond them the connection is closed upon the sender.
DRAINED = 2**25


class Guard:
    """ASGI middleware. What it lets through has a body that its request model accepts.

    requests: POST paths and the models of their bodies. private: paths that need the token too. token: none is asked
    for where it is empty.
    """

    def __init__(
        self, app: App, requests: dict[str, type[BaseModel]], private: frozenset[str], limits: Limits, token: str = ""
    ) -> None:
        self.app, self.requests, self.private, self.limits = app, requests, private, limits
        self.token = token.encode()
        self.at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application's call."""
        path = scope.get("path", "")
        posted = path in self.requests and scope.get("method") == "POST"
        if scope["type"] != "http" or not (posted or path in self.private):
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self.token and not self._allowed(headers.get(b"authorization", b"")):
            await refuse(send, 401, "the service needs a token: send the header Authorization: Bearer TOKEN")
            return
        if not posted:
            await self.app(scope, receive, send)
            return
        if self.at_work >= self.limits.queue:
            await refuse(send, 503, f"the service is busy with {self.at_work} requests; try again in a second")
            return
        self.at_work += 1
        try:
            await self._pass(scope, headers, receive, send)
        finally:
            self.at_work -= 1

    def _allowed(self, authorization: bytes) -> bool:
        kind, _, given = authorization.partition(b" ")
        return hmac.compare_digest(given.strip(), self.token) and kind.lower() == b"bearer"

    async def _pass(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            said = kind.decode("latin-1") or "nothing"
            await refuse(send, 415, f"the body must be application/json, and Content-Type says {said!r:.80}")
            return
        try:
            async with asyncio.timeout(self.limits.seconds):
                body = await self._read(headers, receive)
        except TimeoutError:
            await refuse(send, 408, f"the body did not arrive within {self.limits.seconds:g} seconds")
            return
        if body is None:
            await refuse(
                send, 413, f"the body is larger than {self.limits.body_bytes} bytes; send fewer or shorter texts"
            )
            return
        problem = invalid(self.requests[scope["path"]], body)
        if problem:
            await refuse(send, 400, problem)
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The body; None where it is larger than allowed."""
        announced = int(given) if (given := headers.get(b"content-length", b"0")).isdigit() else 0
        if announced > DRAINED or (announced > self.limits.body_bytes and b"expect" in headers):
            return None
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size <= self.limits.body_bytes:
                parts.append(message.get("body", b""))
            elif size > DRAINED:
                break
        return b"".join(parts) if size <= self.limits.body_bytes else None


def invalid(model: type[BaseModel], body: bytes) -> str:
    """What is wrong with a body, in words; empty where nothing is."""
    try:
        model.model_validate_json(body)
    except ValidationError as problem:
        errors = problem.errors(include_url=False, include_context=False, include_input=False)
        said = [_said(e["loc"], e["msg"]) for e in errors[:3]]
        rest = len(errors) - len(said)
        return "; ".join(said) + (f"; and {rest} more" if rest else "")
    except RecursionError:
        return "the body is nested too deeply"
    return ""


def _said(where: tuple[int | str, ...], what: str) -> str:
    place = ".".join(str(x) for x in where)
    text = what[:1].lower() + what[1:200]
    return f"{place[:80]}: {text}" if place else text


async def refuse(send: Send, status: int, error: str) -> None:
    """Answers with a status and {"error": ...}."""
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
