"""Logs as JSON, a line an event, for those who collect them. No text of a request is ever written."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from serving.door import App, Message, Receive, Scope, Send

logger = logging.getLogger("pct.serving.requests")
# what a request's line says of it
REQUEST_FIELDS = ("method", "path", "status", "seconds", "client")


class JsonLines(logging.Formatter):
    """time, level, logger and message; of a request its fields; of an exception its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: getattr(record, name) for name in REQUEST_FIELDS if hasattr(record, name)}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def log_as_json() -> None:
    """All loggers of this process write JSON to standard output from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in ("", "bentoml", "circus", "uvicorn.error"):
        logging.getLogger(name).handlers = [handler] if name == "" else []
        logging.getLogger(name).propagate = True
    logger.setLevel(logging.INFO)


class RequestLog:
    """ASGI middleware: a line a request. Health checks and Prometheus ask too often to be told of."""

    def __init__(
        self, app: App, quiet: frozenset[str] = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
    ) -> None:
        self.app, self.quiet = app, quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application's call."""
        if scope["type"] != "http" or scope["path"] in self.quiet:
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            about = {
                "method": scope["method"], "path": scope["path"], "status": status,
                "seconds": round(time.perf_counter() - begun, 6), "client": (scope.get("client") or [""])[0],
            }  # fmt: skip
            logger.info("request", extra=about)
