"""The BentoML service: POST /predict and /explain, adaptively batched, over the models of a list.

`pct serve` starts it; `PCT_SERVE_LIST=exported-folder bentoml serve serving.service:Explainer` does without `pct`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import bentoml
from starlette.responses import Response

from serving.answers import ExplainJob, PredictJob, Text, read_texts
from serving.batching import Batcher
from serving.guard import Guard
from serving.limits import MODEL_LIST, THREADS, TOKEN, WORKERS, Limits
from serving.model_store import ModelStore
from serving.routes import make_app
from serving.schema import TEXT, ExplainAnswer, ExplainRequest, PredictAnswer, PredictRequest

SECONDS_TO_NOTICE = 1.0  # between looks at the list of models
WORDS = (8, 16, 32, 64, 128, 256)

logger = logging.getLogger("pct.serving")
limits = Limits.from_environment()
explain_seconds = bentoml.metrics.Histogram(
    "pct_explain_seconds", "Seconds from an /explain request to its answer, by the words of its longest text",
    ["words", "order"], buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)  # fmt: skip
swaps = bentoml.metrics.Counter("pct_model_swaps", "How often another list of models was taken up")


@bentoml.service(
    name="explainer",
    workers=int(os.environ.get(WORKERS, "1")),
    # ours answers first, with a status and a sentence
    traffic={"timeout": limits.seconds + 10},
    logging={"access": {"enabled": False}},
    # four spans a request, which nobody collects, took a third of the time of a small one
    tracing={"excluded_urls": ["/predict$", "/explain$"]},
)
@bentoml.asgi_app(make_app(limits), path="/")
class Explainer:
    """Text classifiers with their explanations: which words decided, and what their removal does to the confidence."""

    def __init__(self) -> None:
        path = os.environ.get(MODEL_LIST, "")
        if not path:
            raise ValueError(
                f"{MODEL_LIST} must name an exported model's folder or a list of models; use `pct serve MODEL`"
            )
        self.store = ModelStore.open(Path(path), int(os.environ.get(THREADS, "0")))
        self.batcher = Batcher(lambda job, texts, deadline: job.run(texts, deadline), limits.batch)
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
        await asyncio.to_thread(self.batcher.close)

    @bentoml.api(input_spec=PredictRequest, output_spec=PredictAnswer)  # type: ignore[untyped-decorator]
    async def predict(self, **asked: Any) -> Response:
        """Labels and probabilities of texts."""
        return await _answered(self._predict(PredictRequest.model_construct(**asked)))

    @bentoml.api(input_spec=ExplainRequest, output_spec=ExplainAnswer)  # type: ignore[untyped-decorator]
    async def explain(self, **asked: Any) -> Response:
        """Saliency and reduction curves of texts."""
        return await _answered(self._explain(ExplainRequest.model_construct(**asked)))

    async def examples(self) -> dict[str, Any]:
        """What the default model answers to the examples of the OpenAPI document."""
        return {
            "/predict": await self._predict(PredictRequest(texts=[TEXT])),
            "/explain": await self._explain(ExplainRequest(texts=[TEXT])),
        }

    async def _predict(self, request: PredictRequest) -> dict[str, Any]:
        served = self.store.find(request.model)
        texts = read_texts(request.texts, limits)
        found = await self._run(PredictJob(served), texts)
        return {"model": served.identity(), "predictions": found}

    async def _explain(self, request: ExplainRequest) -> dict[str, Any]:
        begun = time.perf_counter()
        served = self.store.find(request.model)
        texts = read_texts(request.texts, limits)
        job = ExplainJob.of(request, served, limits)
        found = await self._run(job, texts)
        longest = max(len(t.words) for t in texts)
        explain_seconds.labels(_words(longest), job.order).observe(time.perf_counter() - begun)
        return {
            "model": served.identity(), "order": job.order, "saliency": job.saliency,
            "max_steps": job.max_steps, "explanations": found,
        }  # fmt: skip

    async def _run(self, job: PredictJob | ExplainJob, texts: list[Text]) -> list[Any]:
        return await self.batcher.submit(job, texts, limits.seconds)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_TO_NOTICE)
            try:
                if await asyncio.to_thread(self.store.refresh):
                    swaps.inc()
            except Exception:  # the watch must outlive whatever a broken folder raises
                logger.exception("looking for another list of models failed")


Explainer.add_asgi_middleware(  # type: ignore[attr-defined]
    Guard,
    requests={"/predict": PredictRequest, "/explain": ExplainRequest},
    private=frozenset({"/model"}),
    limits=limits,
    token=os.environ.get(TOKEN, ""),
)


async def _answered(work: Awaitable[dict[str, Any]]) -> Response:
    try:
        answer = await work
    except (ValueError, TimeoutError) as problem:
        return _refusal(problem)
    return _json(answer)


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    body = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status, media_type="application/json")


def _refusal(problem: Exception) -> Response:
    if isinstance(problem, TimeoutError):
        return _json({"error": f"it took longer than {limits.seconds:g} seconds: send fewer or shorter texts"}, 408)
    return _json({"error": str(problem)}, 400)


def _words(count: int) -> str:
    """The range of a number of words, as a metric's label."""
    low = 1
    for high in WORDS:
        if count <= high:
            return f"{low}-{high}"
        low = high + 1
    return f"{low}-"
