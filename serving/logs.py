"""Logs as JSON, one line per event. No text of a request is ever written.

python-json-logger would write every extra field of every library: here a line has these fields alone.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from serving.host_check import App, Message, Receive, Scope, Send

logger = logging.getLogger("pct.serving.requests")
QUIET = ("/livez", "/readyz", "/healthz", "/metrics")  # asked often: not logged
# the fields of a request's line
REQUEST_FIELDS = ("method", "path", "status", "seconds", "client")


class JsonLines(logging.Formatter):
    """time, level, logger and message; for a request also its fields, for an exception its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: getattr(record, name) for name in REQUEST_FIELDS if hasattr(record, name)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def log_as_json() -> None:
    """Makes all loggers of this process write JSON to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in ("", "bentoml", "circus", "uvicorn.error"):
        logging.getLogger(name).handlers = [handler] if name == "" else []
        logging.getLogger(name).propagate = True
    logger.setLevel(logging.INFO)


class RequestLog:
    """ASGI middleware: one line per request, except for health checks and Prometheus, which ask often."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application's call."""
        if scope["type"] != "http" or scope["path"] in QUIET:
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            extra = {
                "method": scope["method"], "path": scope["path"], "status": status,
                "seconds": round(time.perf_counter() - start, 6), "client": (scope.get("client") or [""])[0],
            }  # fmt: skip
            logger.info("request", extra=extra)
