"""The BentoML service: POST /predict and /explain, with adaptive batching, over the models of a list.

`pct serve` starts it; so does `PCT_SERVE_LIST=exported-folder bentoml serve serving.service:Explainer`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
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

import serving.transport  # noqa: F401  replaces uvicorn's connections by bounded ones
from pct.text.words import Document
from serving.answers import ExplainJob, PredictJob, characters, given_texts, read_texts
from serving.batching import BusyError, PriorityQueue
from serving.host_check import HostCheck
from serving.limits import FAILURE, HOSTS, LOG, MODEL_LIST, THREADS, TOKEN, WORKERS, Limits
from serving.logs import RequestLog, log_as_json
from serving.metrics import explain_seconds, refusals, set_model_versions, swaps, verdicts, words_range
from serving.model_store import SERVED, ModelStore, ServedModel
from serving.request_guard import RequestGuard
from serving.routes import PATHS, make_app
from serving.schema import ExplainAnswer, ExplainRequest, PredictAnswer, PredictRequest, TextPair

SECONDS_TO_NOTICE = 1.0  # between checks of the list of models
PARENT = os.getppid()  # the process that starts the workers, and ends them unless it is killed
# characters of texts, or of an answer, from which a thread does the work, so that others are answered meanwhile
LONG = 20_000

# the folder of the models in a Bento, beside the packages
BESIDE = Path(__file__).parents[1] / SERVED
IN_BENTO = MODEL_LIST not in os.environ and BESIDE.is_dir()

logger = logging.getLogger("pct.serving")
limits = Limits.from_environment()
# the thread that answers must not wait long for the interpreter while others compute
sys.setswitchinterval(0.001)
if os.environ.get(LOG) == "json":
    log_as_json()


@bentoml.service(
    name="explainer",
    workers=int(os.environ.get(WORKERS, "1")),
    # unless --host or BENTOML_HOST names another address
    http={"host": "127.0.0.1"},
    # later than our own timeout, which answers with a message
    traffic={"timeout": limits.seconds + 10},
    logging={"access": {"enabled": False}},
    # nobody collects its four spans per request, which took a third of the time of a small one
    tracing={"excluded_urls": ["/predict$", "/explain$"]},
    # `serving.routes` serves them, behind the host check
    metrics={"enabled": False},
)
@bentoml.asgi_app(make_app(limits), path="/")
class Explainer:
    """Text classifiers with their explanations: which words decided, and what their removal does to the confidence."""

    def __init__(self) -> None:
        try:
            self.store = ModelStore(_models_path(), int(os.environ.get(THREADS, "0")))
        except (OSError, ValueError, ImportError) as problem:
            if path := os.environ.get(FAILURE):  # where `pct serve` reads it; several workers may write it at once
                own = Path(f"{path}.{os.getpid()}")
                own.write_text(str(problem), encoding="utf-8")
                os.replace(own, path)
            raise
        set_model_versions([], [m.identity() for m in self.store.models])
        self.queue = PriorityQueue(limits)
        self._watching: asyncio.Task[None] | None = None

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def watch(self) -> None:
        """Starts to watch the list of models."""
        self._watching = asyncio.create_task(self._watch())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Lets running work end."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await asyncio.to_thread(self.queue.close)

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
        predictions = await self.queue.submit(PredictJob(served), texts, limits.seconds)
        return {"model": served.identity(), "predictions": predictions}

    async def _explain(self, request: ExplainRequest) -> dict[str, Any]:
        start = time.perf_counter()
        served = self.store.find(request.model)
        texts = await _read(request.texts, served)
        job = ExplainJob.of(request, served, limits)
        if (cost := job.cost(texts)) > limits.cost:
            raise ValueError(
                f"this takes up to {cost} passes of the model, and {limits.cost} are allowed; send fewer or shorter "
                "texts, order static, fewer controls, or another saliency"
            )
        of_texts = await self.queue.submit(job, texts, limits.seconds)
        explanations = [explanation for of_text in of_texts for explanation in of_text]
        longest = max(map(len, texts))
        explain_seconds.labels(words_range(longest), job.order).observe(time.perf_counter() - start)
        _count_verdicts(served, explanations)
        return {
            "model": served.identity(), "order": job.order, "saliency": job.saliency, "signed": job.signed,
            "saliency_reason": job.reason, "max_steps": job.max_steps, "explanations": explanations,
        }  # fmt: skip

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_TO_NOTICE)
            if os.getppid() != PARENT:
                os.kill(os.getpid(), signal.SIGTERM)
            before = [m.identity() for m in self.store.models]
            try:
                if await asyncio.to_thread(self.store.refresh):
                    swaps.inc()
                    set_model_versions(before, [m.identity() for m in self.store.models])
            except Exception:  # whatever a broken folder raises, the watch goes on
                logger.exception("the check of the list of models failed")


# From the outside in: the host check, BentoML's counts of requests (a label per path: the host check refuses others), a
# log line per request, and the request guard.
Explainer.add_asgi_middleware(  # type: ignore[attr-defined]
    HostCheck,
    paths=PATHS,
    hosts=os.environ.get(HOSTS, "").split(","),
    head_bytes=limits.head_bytes,
)
Explainer.add_asgi_middleware(  # type: ignore[attr-defined]
    RunnerTrafficMetricsMiddleware, namespace="bentoml_service"
)
if os.environ.get(LOG) == "json":
    Explainer.add_asgi_middleware(RequestLog)  # type: ignore[attr-defined]
Explainer.add_asgi_middleware(  # type: ignore[attr-defined]
    RequestGuard,
    requests={"/predict": PredictRequest, "/explain": ExplainRequest},
    private=frozenset({"/model"}),
    limits=limits,
    token=os.environ.get(TOKEN, ""),
)


def _models_path() -> Path:
    """The list of models that the environment names, else the folder of a Bento."""
    if path := os.environ.get(MODEL_LIST):
        return Path(path)
    if not IN_BENTO:
        raise ValueError(f"{MODEL_LIST} must name an exported model's folder or a list of models; use `pct serve`")
    return BESIDE


def _count_verdicts(served: ServedModel, explanations: list[dict[str, Any]]) -> None:
    identity = served.identity()
    for kind, count in Counter(e["verdict"]["kind"] for e in explanations).items():
        verdicts.labels(identity["id"], identity["version"] or "", kind).inc(count)


async def _read(texts: list[str | TextPair], served: ServedModel) -> list[Document]:
    given, rule = given_texts(texts), served.predictor.word_rule
    if sum(map(characters, given)) < LONG:
        return read_texts(given, limits, rule)
    return await asyncio.to_thread(read_texts, given, limits, rule)


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
