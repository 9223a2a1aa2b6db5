"""The Prometheus metrics at GET /metrics, beside BentoML's own counts of requests. No label takes text of a client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bentoml

WORDS = (8, 16, 32, 64, 128, 256)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

explain_seconds = bentoml.metrics.Histogram(
    "pct_explain_seconds", "Seconds from an /explain request to its answer, by the words of its longest text",
    ["words", "order"], buckets=SECONDS,
)  # fmt: skip
batch_texts = bentoml.metrics.Histogram("pct_batch_texts", "Texts per call of the model", ["lane"], buckets=SIZES)
wait_seconds = bentoml.metrics.Histogram(
    "pct_wait_seconds", "Seconds that a request waited for the model", ["lane"], buckets=SECONDS
)
queue_requests = bentoml.metrics.Gauge(
    "pct_queue_requests", "Requests that run or wait", ["lane"], multiprocess_mode="livesum"
)
refusals = bentoml.metrics.Counter("pct_refusals", "Refused requests, by status", ["status"])
verdicts = bentoml.metrics.Counter(
    "pct_verdicts", "Explained texts by their verdict: the share of pathological ones is the pathology rate",
    ["model", "version", "verdict"],
)  # fmt: skip
model_version = bentoml.metrics.Gauge(
    "pct_model_version", "1 for the models that are served, 0 for those that were", ["model", "name", "version"],
    multiprocess_mode="livemax",
)  # fmt: skip
swaps = bentoml.metrics.Counter("pct_model_swaps", "How often another list of models was loaded")


def words_range(count: int) -> str:
    """The range of a number of words, as a label."""
    low = 1
    for high in WORDS:
        if count <= high:
            return f"{low}-{high}"
        low = high + 1
    return f"{low}-"


def set_model_versions(before: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]) -> None:
    """Sets which models are served from now on; each is an identity of `ServedModel`."""
    for value, models in ((0, before), (1, now)):
        for model in models:
            model_version.labels(model["id"], model["name"] or "", model["version"] or "").set(value)
