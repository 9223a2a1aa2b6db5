"""The OpenAPI document, the same for every service of a version. Its examples are invented."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from serving.limits import Limits
from serving.schema import ExplainAnswer, ExplainRequest, ModelAnswer, PredictAnswer, PredictRequest, Refusal

IDENTITY = {"id": "reviews", "name": None, "version": None, "alias": None}
CHANCES = {"negative": 0.06, "positive": 0.94}
# "a moving film", in which the second word decides
STEPS = {
    "important": [(1, "moving", 0.58, "positive"), (2, "film", 0.41, "negative")],
    "unimportant": [(0, "a", 0.95, "positive"), (2, "film", 0.93, "positive")],
}
EXAMPLES: dict[str, Any] = {
    "/predict": {
        "model": IDENTITY,
        "predictions": [{"label": "positive", "confidence": 0.94, "probabilities": CHANCES, "truncated": 0}],
    },
    "/explain": {
        "model": IDENTITY,
        "order": "static",
        "saliency": "l2",
        "signed": False,
        "saliency_reason": "asked for",
        "max_steps": 15,
        "explanations": [
            {
                "text": "a moving film",
                "words": [
                    {"word": "a", "start": 0, "end": 1, "saliency": 0.02, "known": True},
                    {"word": "moving", "start": 2, "end": 8, "saliency": 0.91, "known": True},
                    {"word": "film", "start": 9, "end": 13, "saliency": 0.17, "known": True},
                ],
                "truncated": 0,
                "label": "positive",
                "confidence": 0.94,
                "probabilities": CHANCES,
                "target": "positive",
                "target_confidence": 0.94,
                **{
                    side: {
                        "steps": [
                            dict(zip(("removed", "word", "confidence", "label"), s, strict=True)) for s in steps
                        ],
                        "flips_at": 2 if side == "important" else None,
                        "flips_to": "negative" if side == "important" else None,
                    }
                    for side, steps in STEPS.items()
                },
                "metrics": {"comp": 0.36, "suff": -0.01, "comp_aopc": 0.38, "suff_aopc": -0.01, "ir": 2, "ur": 2},
                "controls": None,
                "pathology": {"found": False, "reasons": []},
                "verdict": {
                    "kind": "undecided",
                    "reasons": [
                        "removing the most salient words lowers the confidence by 0.360, removing the least salient "
                        "raises it by 0.010 (comp 0.360, suff -0.010)",
                        "removing the most salient words changes the prediction after 2, removing the least salient "
                        "never does: neither comes first",
                    ],
                },
                "saliency_name": "l2",
                "signed": False,
                "saliency_reason": "asked for",
            }
        ],
    },
    "/model": {
        "models": [
            {
                **IDENTITY, "source": "exported", "method": "pct", "architecture": "textcnn", "corpus": "reviews",
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
    schemas: dict[str, Any] = {}
    for model in used:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
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
