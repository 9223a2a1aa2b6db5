"""The second check of a request: its token, the size and the time of its body, and whether the body is valid."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import Counter
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from serving.host_check import App, Receive, Scope, Send, refuse
from serving.limits import DRAINED, Limits
from serving.schema import REQUEST, TextPair

# Values of a body, beside its texts, up to which it is parsed: the error can then name the field.
OTHER_VALUES = 2000
# The number of bodies of the largest size that may arrive at once.
MOST_ARRIVING = 16
# Seconds that the first of the bodies in `BodyMemoryBudget` has while others wait.
TURN = 0.05


class RequestGuard:
    """ASGI middleware. It parses and validates the body of each POST, once; the service takes it from the scope.

    Args:
        app: the application behind it.
        requests: the POST paths, and the models of their bodies.
        private: further paths that need the token.
        limits: of size and time.
        token: the bearer token, without the white space around it; none is needed where it is empty.

    Raises ValueError for a token that is white space alone: a file with the token may be empty by mistake.
    """

    def __init__(
        self, app: App, requests: dict[str, type[BaseModel]], private: frozenset[str], limits: Limits, token: str = ""
    ) -> None:
        self.app, self.requests, self.private, self.limits = app, requests, private, limits
        self.token = token.strip().encode()
        if token and not self.token:
            raise ValueError("PCT_TOKEN is blank: give it a token, or unset it for a service without one")
        self.memory = BodyMemoryBudget(min(limits.queue, MOST_ARRIVING) * limits.body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application's call."""
        path = scope.get("path", "")
        posted = path in self.requests and scope.get("method") == "POST"
        guarded = scope["type"] == "http" and (posted or path in self.private)
        if guarded and (refusal := await self._refusal(scope, receive, posted)):
            await refuse(send, *refusal)
        else:
            await self.app(scope, receive, send)

    def _allowed(self, authorization: bytes) -> bool:
        scheme, _, token = authorization.partition(b" ")
        return hmac.compare_digest(token.strip(), self.token) and scheme.lower() == b"bearer"

    async def _refusal(self, scope: Scope, receive: Receive, posted: bool) -> tuple[int, str] | None:
        """Why the request is refused, with the status; None for a valid one, whose body is then in the scope."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self.token and not self._allowed(headers.get(b"authorization", b"")):
            return 401, "the service needs a token: send the header Authorization: Bearer TOKEN"
        if not posted:
            return None
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if content_type != b"application/json":
            shown = content_type.decode("latin-1") or "nothing"
            return 415, f"the body must be application/json, and Content-Type says {shown!r:.80}"
        try:
            async with asyncio.timeout(self.limits.seconds) as timeout:
                body = await self._read(headers, receive, timeout)
        except TimeoutError:
            seconds = f"{self.limits.seconds:g} seconds"
            return 408, f"the body did not arrive within {seconds}, or too many were sent at once"
        if body is None:
            return 413, f"the body is larger than {self.limits.body_bytes} bytes; send fewer or shorter texts"
        try:
            scope[REQUEST] = read_request(self.requests[scope["path"]], body, self.limits.texts)
        except ValueError as problem:
            return 400, str(problem)
        return None

    async def _read(self, headers: dict[bytes, bytes], receive: Receive, timeout: asyncio.Timeout) -> bytes | None:
        """The body; None where it is larger than the limit."""
        length = headers.get(b"content-length", b"0")
        announced = int(length) if length.isdigit() else 0
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
                        await self.memory.add(timeout, len(part))
                elif size > DRAINED:
                    break
        finally:
            self.memory.remove(timeout)
        return b"".join(parts) if size <= self.limits.body_bytes else None


class BodyMemoryBudget:
    """Bounds the memory of bodies that have arrived in part.

    While they hold more bytes than the budget, no further part is read, except of the body that began first. That one
    is given up when its turn ends: the slowest bodies fill the memory.

    Args:
        most: the budget in bytes; twice as many are never exceeded for long, since no body waits beyond them.
    """

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._sizes: dict[asyncio.Timeout, int] = {}
        self._turn_began = 0.0

    async def add(self, timeout: asyncio.Timeout, size: int) -> None:
        """Counts a part of a body; returns when the next part may be read. timeout: that of the body."""
        clock = asyncio.get_running_loop().time
        if not self._sizes:
            self._turn_began = clock()
        self._sizes[timeout] = self._sizes.get(timeout, 0) + size
        self.bytes += size
        while self.bytes > self.most and (first := next(iter(self._sizes))) is not timeout:
            seconds_left = self._turn_began + TURN - clock()
            if seconds_left > 0 and self.bytes <= 2 * self.most:
                await asyncio.sleep(seconds_left)
            else:
                self.remove(first)
                first.reschedule(clock())

    def remove(self, timeout: asyncio.Timeout) -> None:
        """A body is complete, or is given up."""
        if timeout is next(iter(self._sizes), None):
            self._turn_began = asyncio.get_running_loop().time()
        self.bytes -= self._sizes.pop(timeout, 0)


def read_request(model: type[BaseModel], body: bytes, most_texts: int) -> BaseModel:
    """A body as its model, parsed once and validated once.

    Lengths are checked first, so that no long list becomes objects.

    Raises:
        ValueError: the body is invalid; the message names the first mistake.
    """
    most_values = most_texts + OTHER_VALUES
    if holds_more_values(body, most_values):
        raise ValueError(f"more than {most_values} values in one request; send at most {most_texts} texts")
    try:
        values = from_json(body, allow_inf_nan=False)
    except ValueError as problem:
        raise ValueError(f"invalid JSON: {str(problem)[:200]}") from None
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError('the body must be an object, such as {"texts": ["a moving film"]}')
    unknown = next((name for name in values if name not in model.model_fields), None)
    if unknown is not None:
        raise ValueError(f"{unknown:.80}: extra inputs are not permitted")
    texts: Any = values.get("texts")
    if isinstance(texts, list) and len(texts) > most_texts:
        raise ValueError(f"{len(texts)} texts in one request; send at most {most_texts}")
    try:
        request = model.model_validate(values)
    except ValidationError as problem:
        errors = problem.errors(include_url=False, include_context=False, include_input=False)
        first = next(error for error in errors if _is_of_its_kind(error["loc"], texts))
        raise ValueError(_message(first["loc"], first["msg"])) from None
    # a valid request has no objects inside but pairs, so each colon outside strings follows a name of it or of a pair
    names = len(values) + sum(len(text) for text in values["texts"] if isinstance(text, dict))
    if sum(part.count(b":") for part in _without_escapes(body).split(b'"')[::2]) != names:
        raise ValueError(f"{_repeated_name(body):.80}: it stands twice in one object; send it once")
    return request


def _is_of_its_kind(location: tuple[int | str, ...], texts: Any) -> bool:
    """Whether an error is that of a text for what is no object, and that of a pair for an object: both are tried."""
    match location:
        case ("texts", int(place), str(tried), *_):
            return isinstance(texts[place], dict) == (tried == TextPair.__name__)
    return True


def holds_more_values(body: bytes, most: int) -> bool:
    """Whether a JSON text holds more values than a limit, by its commas outside strings. No value becomes an object."""
    if body.count(b",") < most:
        return False
    body = _without_escapes(body)
    # between two commas stand two strings at most, a name and a value
    return body.count(b'"') > 4 * most or sum(part.count(b",") for part in body.split(b'"')[::2]) >= most


def _without_escapes(body: bytes) -> bytes:
    """A JSON text in which each quotation mark begins or ends a string."""
    return body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body


def _repeated_name(body: bytes) -> str:
    """The first name that an object of the body has twice: JSON does not say which of the two counts."""
    repeated: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        repeated.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)

    json.loads(body, object_pairs_hook=look)
    return repeated[0]


def _message(location: tuple[int | str, ...], problem: str) -> str:
    # of a field that takes a name or a list of names, or a text or a pair, pydantic's location also has the type
    tried = ("str", "constrained-str", TextPair.__name__)
    field = ".".join(str(part) for part in location if part not in tried and not str(part).startswith("list["))
    text = problem[:1].lower() + problem[1:200]
    return f"{field[:80]}: {text}" if field else text
