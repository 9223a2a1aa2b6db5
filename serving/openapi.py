"""The OpenAPI document, the same for every service of a version. Its examples are invented."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pct.explaining.explanation import Curve, Explanation
from pct.explaining.prediction import ModelIdentity, Prediction
from serving.limits import Limits
from serving.schema import ExplainAnswer, ExplainRequest, ModelAnswer, PredictAnswer, PredictRequest, Refusal

MODEL = ModelIdentity("reviews")
CHANCES = {"negative": 0.06, "positive": 0.94}
EXPLANATION = Explanation(  # its second word decides
    words=["a", "moving", "film"],
    saliency=np.array([0.02, 0.91, 0.17]),
    label=1,
    label_name="positive",
    confidence=CHANCES["positive"],
    important=Curve([1, 2], [CHANCES["positive"], 0.58, 0.41], 2, "negative", ["positive", "negative"]),
    unimportant=Curve([0, 2], [CHANCES["positive"], 0.95, 0.93], labels=["positive", "positive"]),
    comp=0.36,
    suff=-0.01,
    text="a moving film",
    spans=[(0, 1), (2, 8), (9, 13)],
    known=[True, True, True],
    saliency_name="l2",
    saliency_reason="asked for",
    probabilities=CHANCES,
    comp_aopc=0.38,
    suff_aopc=-0.01,
)
EXAMPLES: dict[str, Any] = {
    "/predict": {
        "model": asdict(MODEL),
        "predictions": [Prediction("positive", CHANCES["positive"], CHANCES).to_dict()],
    },
    "/explain": {
        "model": asdict(MODEL),
        "order": "static",
        "saliency": EXPLANATION.saliency_name,
        "signed": EXPLANATION.signed,
        "saliency_reason": EXPLANATION.saliency_reason,
        "max_steps": 15,
        "explanations": [EXPLANATION.to_dict()],
    },
    "/model": {
        "models": [
            {
                **asdict(MODEL), "source": "exported", "method": "pct", "architecture": "textcnn", "corpus": "reviews",
                "weights": "float32", "labels": ["negative", "positive"], "saliency": "occlusion",
                "saliency_reason": "found best by an audit of this model",
                "saliencies": ["l2", "l1", "grad_x_input", "integrated_gradients", "occlusion", "lime", "random"],
                "audit": {
                    "best": "occlusion", "removal": "delete", "texts": 300, "margin": [0.334, 0.301, 0.366],
                    "win": [0.99, 0.985, 0.994], "verdict": "Show occlusion.",
                },
                "max_length": 64, "words": "natural", "pairs": False,
                "metrics": {"acc": 0.84, "comp": 0.18, "suff": 0.01},
            }
        ],
        "limits": asdict(Limits()),
    },
}  # fmt: skip


def openapi(version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the service. It is the same for every service of a version, whatever models are
    served."""
    posts: list[tuple[str, str, type[BaseModel], type[BaseModel]]] = [
        ("/predict", "Labels and probabilities of texts", PredictRequest, PredictAnswer),
        ("/explain", "Saliency and reduction curves of texts", ExplainRequest, ExplainAnswer),
    ]
    used: list[type[BaseModel]] = [ModelAnswer, Refusal, *(m for _, _, *pair in posts for m in pair)]
    _, defined = models_json_schema(
        [(model, "validation") for model in used], ref_template="#/components/schemas/{model}"
    )
    schemas = defined["$defs"]
    paths: dict[str, Any] = {}
    for path, summary, asked, given in posts:
        example = {"schema": _ref(asked), "example": {"texts": ["a moving film"]}}
        body = {"required": True, "content": {"application/json": example}}
        responses = _responses(_answer("The answer", given, EXAMPLES[path]), *REFUSALS)
        paths[path] = {
            "post": {"summary": summary, "operationId": path[1:], "requestBody": body, "responses": responses}
        }
    responses = _responses(_answer("The models", ModelAnswer, EXAMPLES["/model"]), "401", "421", "431")
    summary = "The served models and the limits"
    paths["/model"] = {"get": {"summary": summary, "operationId": "model", "responses": responses}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Text classifiers with their explanations", "version": version},
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


REFUSALS = {
    "400": "The body is not JSON, has a wrong type or name, or exceeds a limit of the texts or of the cost",
    "401": "The service needs a token, and the request has none or a wrong one",
    "408": "It took longer than the limit allows",
    "413": "The body is larger than the limit allows",
    "415": "The body is not application/json",
    "421": "The Host header names another host",
    "431": "The headers are larger than the limit allows",
    "503": "The queue is full: try again",
}


def _responses(answer: dict[str, Any], *refusals: str) -> dict[str, Any]:
    return {"200": answer, **{code: _answer(REFUSALS[code], Refusal) for code in refusals}}


def _answer(description: str, model: type[BaseModel], example: Any = None) -> dict[str, Any]:
    content = {"schema": _ref(model)} if example is None else {"schema": _ref(model), "example": example}
    return {"description": description, "content": {"application/json": content}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
