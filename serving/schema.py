"""Requests and answers as pydantic models: what is valid, and the OpenAPI document with its examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

TEXT = "despite its slow start , the film is brilliant"
Saliency = Literal["l2", "l1", "grad_x_input", "integrated_gradients"]
Order = Literal["static", "recomputed"]
# the service's own limits are checked by `serving.answers`: they are settings, and these are what no setting allows
Text = Annotated[str, StringConstraints(min_length=1)]
Texts = Annotated[
    list[Text], Field(min_length=1, description="The texts. Words are what white space separates.", examples=[[TEXT]])
]
ModelId = Annotated[
    str | None, Field(description="The id of a served model; the first one where null.", examples=[None])
]


class Strict(BaseModel):
    """A request: no unknown fields, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PredictRequest(Strict):
    """Texts to classify."""

    texts: Texts
    model: ModelId = None


class ExplainRequest(Strict):
    """Texts to explain, and how."""

    texts: Texts
    max_steps: Annotated[
        Annotated[int, Field(ge=0)] | None,
        Field(description="Words removed at most on each side; one always stays. 15, or the limit, where null."),
    ] = None
    order: Annotated[
        Order, Field(description="static: ranked once, on the whole text. recomputed: again after each removal.")
    ] = "static"
    target: Annotated[
        str | None, Field(description="The label that is explained; the predicted one where null.", examples=[None])
    ] = None
    saliency: Annotated[
        Saliency | None, Field(description="The kind of saliency; the model's own where null.", examples=[None])
    ] = None
    model: ModelId = None


class Identity(BaseModel):
    """The model that answered. name, version, alias: null where it did not come from a registry."""

    id: str
    name: str | None
    version: str | None
    alias: str | None


class Prediction(BaseModel):
    """truncated: words beyond the model's length, which it never saw."""

    label: str
    confidence: float
    probabilities: dict[str, float]
    truncated: int


class PredictAnswer(BaseModel):
    """A prediction a text, in the texts' order."""

    model: Identity
    predictions: list[Prediction]


class Word(BaseModel):
    """A word, where it stands in the text (in Unicode characters, end exclusive), and its saliency."""

    word: str
    start: int
    end: int
    saliency: float


class Step(BaseModel):
    """A removal: the index of the word that went, the target's confidence then, and the predicted label then."""

    removed: int
    word: str
    confidence: float
    label: str


class Curve(BaseModel):
    """The k-th step is the text after k removals. flips_at: the first k at which the predicted label is another one,
    found for the whole text; null where none is."""

    steps: list[Step]
    flips_at: int | None


class TextMetrics(BaseModel):
    """Of this text alone; null for a text of one word. Their formulas: docs/concepts/metrics.md."""

    comp: float | None
    suff: float | None
    comp_aopc: float | None
    suff_aopc: float | None
    ir: float | None
    ur: float | None


class Pathology(BaseModel):
    """Whether the saliency of this text contradicts the confidence, and by which of its figures."""

    found: bool
    reasons: list[str]


class Explanation(BaseModel):
    """Why: the words with their saliency, and what their removal does to the confidence in the target."""

    text: str
    words: list[Word]
    truncated: int
    label: str
    confidence: float
    probabilities: dict[str, float]
    target: str
    target_confidence: float
    important: Curve
    unimportant: Curve
    metrics: TextMetrics
    pathology: Pathology


class ExplainAnswer(BaseModel):
    """An explanation a text, in the texts' order."""

    model: Identity
    order: str
    saliency: str
    max_steps: int
    explanations: list[Explanation]


class AboutModel(Identity):
    """A served model, with the figures that stand in the registry."""

    source: str
    method: str
    architecture: str
    corpus: str
    weights: str
    labels: list[str]
    saliency: str
    max_length: int
    metrics: dict[str, float]


class AboutLimits(BaseModel):
    """What a request may ask for."""

    texts: int
    characters: int
    body_bytes: int
    seconds: float
    max_steps: int
    queue: int
    batch: int


class ModelAnswer(BaseModel):
    """The served models, the first one the default, and the limits."""

    models: list[AboutModel]
    limits: AboutLimits


class Refusal(BaseModel):
    """What was wrong, and what to do."""

    error: str


def openapi(version: str, examples: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the service. examples: an answer for each path, to the request that stands there."""
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
    paths: dict[str, Any] = {
        path: {
            "post": {
                "summary": summary,
                "operationId": path[1:],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref(asked), "example": {"texts": [TEXT]}}},
                },
                "responses": {
                    "200": _answer("The answer", given, examples[path]),
                    **_refusals("400", "401", "408", "413", "415", "503"),
                },
            }
        }
        for path, summary, asked, given in posts
    }
    paths["/model"] = {
        "get": {
            "summary": "The served models and the limits",
            "operationId": "model",
            "responses": {"200": _answer("The models", ModelAnswer, examples["/model"]), **_refusals("401")},
        }
    }
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
    "400": "Not JSON, a wrong type or name, or beyond a limit of the texts",
    "401": "The service has a token and the request has not",
    "408": "It took longer than the limit allows",
    "413": "The body is larger than the limit allows",
    "415": "The body is not application/json",
    "503": "More requests than the queue holds: try again",
}


def _refusals(*codes: str) -> dict[str, Any]:
    return {code: _answer(REFUSALS[code], Refusal) for code in codes}


def _answer(description: str, model: type[BaseModel], example: Any = None) -> dict[str, Any]:
    content = {"schema": _ref(model)} if example is None else {"schema": _ref(model), "example": example}
    return {"description": description, "content": {"application/json": content}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
