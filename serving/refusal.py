"""A refusal has a status and a message, and is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.limits import SECONDS_TO_REFUSE
from serving.metrics import refusals

WITHOUT_DELAY = (408, 503)  # these have waited, or should be sent again


async def refuse(send: Callable[[MutableMapping[str, Any]], Awaitable[None]], status: int, error: str) -> None:
    """Sends an ASGI answer with a status and {"error": ...}."""
    refusals.labels(str(status)).inc()
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
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
