"""The GET routes: the page with its assets, /model, the OpenAPI document, its readable form, and the metrics."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal.container import BentoMLContainer
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import pct
from pct.output.html import fill
from serving.limits import Limits
from serving.openapi import openapi

PAGE = Path(__file__).parent / "page"
API_PAGE = Path(__file__).parent / "templates" / "api.html"
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
# nothing from other sites, nothing inline, and no frame of another page
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
FILES = {"/" if file.name == "index.html" else f"/{file.name}": file for file in sorted(PAGE.glob("*.*"))}
OWN = ("/model", "/openapi.json", "/docs", "/metrics")
BENTOML = ("/livez", "/readyz", "/healthz", "/schema.json")  # its health, and its description for its clients
PATHS = {  # with their methods
    **dict.fromkeys((*FILES, *OWN, *BENTOML), ("GET", "HEAD")),
    **dict.fromkeys(("/predict", "/explain"), ("POST",)),
}


def make_app(limits: Limits) -> Starlette:
    """The ASGI app that the service mounts at /."""
    document = openapi(pct.__version__)

    async def model(_: Request) -> Response:
        store: Any = bentoml.get_current_service().store
        return JSONResponse({"models": [s.about() for s in store.models], "limits": asdict(limits)})

    async def metrics(_: Request) -> Response:
        client = BentoMLContainer.metrics_client.get()
        return Response(await run_in_threadpool(client.generate_latest), media_type=client.CONTENT_TYPE_LATEST)

    routes = [
        Route("/model", model),
        Route("/metrics", metrics),
        Route("/openapi.json", JSONResponse(document), methods=["GET"]),
        Route("/docs", HTMLResponse(api_page(document), headers=HEADERS), methods=["GET"]),
        *(Route(path, _file(file)) for path, file in FILES.items()),
    ]
    return Starlette(routes=routes)


def api_page(document: dict[str, Any]) -> str:
    """An OpenAPI document as a page for readers."""
    return fill(API_PAGE, **document, schemas=document["components"]["schemas"], dumps=json.dumps)


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    async def send_file(_: Request) -> Response:
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=HEADERS)

    return send_file
