"""What is read, not asked: the page with its assets, GET /model, and the OpenAPI document."""

from __future__ import annotations

import mimetypes
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

import pct
from serving.limits import Limits
from serving.schema import openapi

PAGE = Path(__file__).parent / "page"
KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
# nothing from elsewhere, nothing inline, in nobody's frame
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def make_app(limits: Limits) -> Starlette:
    """The ASGI app that the service mounts at /."""

    def models() -> dict[str, Any]:
        store: Any = bentoml.get_current_service().store
        return {"models": [s.about() for s in store.models], "limits": asdict(limits)}

    async def model(_: Request) -> Response:
        return JSONResponse(models())

    async def description(_: Request) -> Response:
        examples = {**await bentoml.get_current_service().examples(), "/model": models()}
        return JSONResponse(openapi(pct.__version__, examples))

    routes = [Route("/model", model), Route("/openapi.json", description)]
    for file in sorted(PAGE.glob("*.*")):
        paths = ["/"] if file.name == "index.html" else [f"/{file.name}"]
        routes += [Route(path, _file(file)) for path in paths]
    return Starlette(routes=routes)


def _file(path: Path) -> Any:
    kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"

    async def give(_: Request) -> Response:
        return FileResponse(path, media_type=kind, headers=HEADERS)

    return give
