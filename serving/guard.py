"""What stands before the service: token, size and time of a body, and that it is what it must be."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import Counter
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from serving.door import App, Message, Receive, Scope, Send
from serving.limits import DRAINED, Limits
from serving.refusal import refuse

# Values of a body, beside its texts, up to which it is read as JSON: mistakes are then told by their place.
MOST_BESIDE = 2000
# Bodies of the largest size that come in at once.
MOST_ARRIVING = 16


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
        self.arriving = Arriving(min(limits.queue, MOST_ARRIVING) * limits.body_bytes)

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
        elif posted:
            await self._pass(scope, headers, receive, send)
        else:
            await self.app(scope, receive, send)

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
            async with asyncio.timeout(self.limits.seconds) as patience:
                body = await self._read(headers, receive, patience)
        except TimeoutError:
            await refuse(
                send,
                408,
                f"the body did not arrive within {self.limits.seconds:g} seconds, or too many were sent at once",
            )
            return
        if body is None:
            await refuse(
                send, 413, f"the body is larger than {self.limits.body_bytes} bytes; send fewer or shorter texts"
            )
            return
        problem = invalid(self.requests[scope["path"]], body, self.limits.texts)
        if problem:
            del body  # it is not held while the client waits
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

    async def _read(self, headers: dict[bytes, bytes], receive: Receive, patience: asyncio.Timeout) -> bytes | None:
        """The body; None where it is larger than allowed."""
        announced = int(given) if (given := headers.get(b"content-length", b"0")).isdigit() else 0
        if announced > DRAINED or (announced > self.limits.body_bytes and b"expect" in headers):
            return None
        parts: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                part = message.get("body", b"")
                size += len(part)
                more = message.get("more_body", False)
                if size <= self.limits.body_bytes:
                    parts.append(part)
                    if more:
                        await self.arriving.add(patience, len(part))
                elif size > DRAINED:
                    break
        finally:
            self.arriving.remove(patience)
        return b"".join(parts) if size <= self.limits.body_bytes else None


class Arriving:
    """Bodies of which a part has come. Beyond a number of bytes together they wait, unread, but for the one that began
    first: it gives way when it has had its time, for those that come slowest are the ones that fill the memory.

    most: bytes; at twice as many nobody waits. fair: seconds of the first one while others wait.
    """

    def __init__(self, most: int, fair: float = 0.05) -> None:
        self.most, self.fair, self.bytes = most, fair, 0
        self._sizes: dict[asyncio.Timeout, int] = {}
        self._turn = 0.0  # when the first one became it

    async def add(self, patience: asyncio.Timeout, size: int) -> None:
        """A part of a body came; returns when the next may. patience: what ends the wait for it."""
        clock = asyncio.get_running_loop().time
        if not self._sizes:
            self._turn = clock()
        self._sizes[patience] = self._sizes.get(patience, 0) + size
        self.bytes += size
        while self.bytes > self.most and (first := next(iter(self._sizes))) is not patience:
            left = self._turn + self.fair - clock()
            if left > 0 and self.bytes <= 2 * self.most:
                await asyncio.sleep(left)
            else:
                self.remove(first)
                first.reschedule(clock())

    def remove(self, patience: asyncio.Timeout) -> None:
        """A body is there, or is given up."""
        if patience is next(iter(self._sizes), None):
            self._turn = asyncio.get_running_loop().time()
        self.bytes -= self._sizes.pop(patience, 0)


def invalid(model: type[BaseModel], body: bytes, most_texts: int) -> str:
    """What is wrong first with a body, in words; empty where nothing is. Lengths come first: what is made into objects,
    and looked at one by one, is not long."""
    most_values = most_texts + MOST_BESIDE
    if holds_more_values(body, most_values):
        return f"more than {most_values} values in one request; send at most {most_texts} texts"
    try:
        asked = from_json(body, allow_inf_nan=False)
        twice = _name_that_stands_twice(body)
    except ValueError as problem:
        return f"invalid JSON: {str(problem)[:200]}"
    except RecursionError:
        return "the body is nested too deeply"
    if twice is not None:
        return f"{twice:.80}: it stands twice in one object; send it once"
    if not isinstance(asked, dict):
        return 'the body must be an object, such as {"texts": ["a moving film"]}'
    unknown = next((name for name in asked if name not in model.model_fields), None)
    if unknown is not None:
        return f"{unknown:.80}: extra inputs are not permitted"
    texts: Any = asked.get("texts")
    if isinstance(texts, list) and len(texts) > most_texts:
        return f"{len(texts)} texts in one request; send at most {most_texts}"
    try:
        model.model_validate(asked)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        return _said(first["loc"], first["msg"])
    return ""


def holds_more_values(body: bytes, most: int) -> bool:
    """Whether a JSON text holds more values than so many, by its commas outside strings: no object is made of any."""
    if body.count(b",") < most:
        return False
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # what stands between two commas has two strings at most, a name and a value
    return body.count(b'"') > 4 * most or sum(part.count(b",") for part in body.split(b'"')[::2]) >= most


def _name_that_stands_twice(body: bytes) -> str | None:
    """The first name that an object of the body has twice: JSON leaves open which of the two is meant."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        found.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)

    json.loads(body, object_pairs_hook=look)
    return found[0] if found else None


def _said(where: tuple[int | str, ...], what: str) -> str:
    place = ".".join(str(x) for x in where)
    text = what[:1].lower() + what[1:200]
    return f"{place[:80]}: {text}" if place else text
