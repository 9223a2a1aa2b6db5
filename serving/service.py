"""The BentoML service: POST /predict and /explain, adaptively batched, over the models of a list.

`pct serve` starts it; `PCT_SERVE_LIST=exported-folder bentoml serve serving.service:Explainer` does without `pct`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal.server.http.instruments import RunnerTrafficMetricsMiddleware
from starlette.responses import Response

import serving.transport  # noqa: F401  puts bounded connections in the place of uvicorn's own
from pct.text.words import Document
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.batching import BusyError
from serving.door import EVERY_HOST, Door
from serving.guard import Guard
from serving.lanes import Lanes
from serving.limits import FAILURE, HOSTS, LOG, MODEL_LIST, THREADS, TOKEN, WORKERS, Limits
from serving.logs import RequestLog, log_as_json
from serving.metrics import explain_seconds, refusals, swaps, tell_models, verdicts, words_range
from serving.model_store import SERVED, ModelStore, ServedModel
from serving.routes import PATHS, make_app
from serving.schema import ExplainAnswer, ExplainRequest, PredictAnswer, PredictRequest

SECONDS_TO_NOTICE = 1.0  # between looks at the list of models
# characters, of texts or of an answer, that are worked on aside: others are answered meanwhile
LONG = 20_000

# where `pct bento` and bentofile.yaml put the models of a Bento: beside the packages
BESIDE = Path(__file__).parents[1] / SERVED
IN_BENTO = MODEL_LIST not in os.environ and BESIDE.is_dir()

logger = logging.getLogger("pct.serving")
limits = Limits.from_environment()
# threads that compute must not keep the one that answers waiting for the interpreter
sys.setswitchinterval(0.001)
if os.environ.get(LOG) == "json":
    log_as_json()


@bentoml.service(
    name="explainer",
    workers=int(os.environ.get(WORKERS, "1")),
    # ours answers first, with a status and a sentence
    traffic={"timeout": limits.seconds + 10},
    logging={"access": {"enabled": False}},
    # four spans a request, which nobody collects, took a third of the time of a small one
    tracing={"excluded_urls": ["/predict$", "/explain$"]},
    # they are there, but behind the door: see below
    metrics={"enabled": False},
)
@bentoml.asgi_app(make_app(limits), path="/")
class Explainer:
    """Text classifiers with their explanations: which words decided, and what their removal does to the confidence."""

    def __init__(self) -> None:
        try:
            self.store = ModelStore.open(_models_path(), int(os.environ.get(THREADS, "0")))
        except (OSError, ValueError, ImportError) as problem:
            _tell_failure(problem)
            raise
        tell_models([], [m.identity() for m in self.store.models])
        self.lanes = Lanes(limits)
        self._watching: asyncio.Task[None] | None = None

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def watch(self) -> None:
        """Begins to look for another list of models."""
        self._watching = asyncio.create_task(self._watch())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Lets the work at hand end."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await asyncio.to_thread(self.lanes.close)

    @bentoml.api(input_spec=PredictRequest, output_spec=PredictAnswer)  # type: ignore[untyped-decorator]
    async def predict(self, **asked: Any) -> Response:
        """Labels and probabilities of texts."""
        return await _answered(self._predict(PredictRequest.model_construct(**asked)))

    @bentoml.api(input_spec=ExplainRequest, output_spec=ExplainAnswer)  # type: ignore[untyped-decorator]
    async def explain(self, **asked: Any) -> Response:
        """Saliency and reduction curves of texts."""
        return await _answered(self._explain(ExplainRequest.model_construct(**asked)))

    async def _predict(self, request: PredictRequest) -> dict[str, Any]:
        served = self.store.find(request.model)
        texts = await _read(request.texts, served)
        found = await self.lanes.submit(PredictJob(served), texts, limits.seconds)
        return {"model": served.identity(), "predictions": found}

    async def _explain(self, request: ExplainRequest) -> dict[str, Any]:
        begun = time.perf_counter()
        served = self.store.find(request.model)
        texts = await _read(request.texts, served)
        job = ExplainJob.of(request, served, limits)
        if (cost := job.cost(texts)) > limits.cost:
            raise ValueError(
                f"this takes up to {cost} passes of the model, and {limits.cost} are allowed; send fewer or shorter "
                "texts, order static, fewer controls, or another saliency"
            )
        found = await self.lanes.submit(job, texts, limits.seconds)
        longest = max(map(len, texts))
        explain_seconds.labels(words_range(longest), job.order).observe(time.perf_counter() - begun)
        _count_verdicts(served, found)
        return {
            "model": served.identity(), "order": job.order, "saliency": job.saliency, "signed": job.signed,
            "saliency_reason": job.reason, "max_steps": job.max_steps, "explanations": found,
        }  # fmt: skip

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_TO_NOTICE)
            before = [m.identity() for m in self.store.models]
            try:
                if await asyncio.to_thread(self.store.refresh):
                    swaps.inc()
                    tell_models(before, [m.identity() for m in self.store.models])
            except Exception:  # the watch must outlive whatever a broken folder raises
                logger.exception("looking for another list of models failed")


# From the outside in: what may come in at all, BentoML's counts of requests (a label a path: the door lets no others
# in), a line a request, and what a request must be.
Explainer.add_asgi_middleware(  # type: ignore[attr-defined]
    Door,
    paths=PATHS,
    # a Bento stands behind a name that nobody knew when it was built
    hosts=os.environ.get(HOSTS, EVERY_HOST if IN_BENTO else "").split(","),
    head_bytes=limits.head_bytes,
)
Explainer.add_asgi_middleware(  # type: ignore[attr-defined]
    RunnerTrafficMetricsMiddleware, namespace="bentoml_service"
)
if os.environ.get(LOG) == "json":
    Explainer.add_asgi_middleware(RequestLog)  # type: ignore[attr-defined]
Explainer.add_asgi_middleware(  # type: ignore[attr-defined]
    Guard,
    requests={"/predict": PredictRequest, "/explain": ExplainRequest},
    private=frozenset({"/model"}),
    limits=limits,
    token=os.environ.get(TOKEN, ""),
)


def _models_path() -> Path:
    """What the environment names, else the folder of a Bento."""
    if given := os.environ.get(MODEL_LIST):
        return Path(given)
    if not IN_BENTO:
        raise ValueError(f"{MODEL_LIST} must name an exported model's folder or a list of models; use `pct serve`")
    return BESIDE


def _tell_failure(problem: Exception) -> None:
    """Writes why this process cannot serve where `pct serve` looks for it."""
    if path := os.environ.get(FAILURE):
        unfinished = Path(f"{path}.{os.getpid()}")
        unfinished.write_text(str(problem), encoding="utf-8")
        os.replace(unfinished, path)


def _count_verdicts(served: ServedModel, explanations: list[dict[str, Any]]) -> None:
    identity = served.identity()
    for kind, count in Counter(e["verdict"]["kind"] for e in explanations).items():
        verdicts.labels(identity["id"], identity["version"] or "", kind).inc(count)


async def _read(texts: list[str], served: ServedModel) -> list[Document]:
    rule = served.predictor.word_rule
    if sum(map(len, texts)) < LONG:
        return read_texts(texts, limits, rule)
    return await asyncio.to_thread(read_texts, texts, limits, rule)


async def _answered(work: Awaitable[dict[str, Any]]) -> Response:
    try:
        answer = await work
    except BusyError as problem:
        return _refusal(503, str(problem), {"Retry-After": "1"})
    except ValueError as problem:
        return _refusal(400, str(problem))
    except TimeoutError:
        return _refusal(408, f"it took longer than {limits.seconds:g} seconds: send fewer or shorter texts")
    explanations = answer.get("explanations", ())
    if sum(len(e["words"]) for e in explanations) * 100 < LONG:
        return _json(answer)
    return await asyncio.to_thread(_json, answer)


def _json(answer: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status, headers, media_type="application/json")


def _refusal(status: int, error: str, headers: dict[str, str] | None = None) -> Response:
    refusals.labels(str(status)).inc()
    return _json({"error": error}, status, headers)
