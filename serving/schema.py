"""Requests and answers as pydantic models: what is valid, and what is promised."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue

TEXT = "despite its slow start , the film is brilliant"
Order = Literal["static", "recomputed"]
Control = Literal[
    "comp_random", "margin", "suff_margin", "win", "ir_rate", "ur_rate", "tau_loo", "cos_important", "cos_unimportant",
    "separation", "naopc_comp", "naopc_suff",
]  # fmt: skip
CONTROLS: tuple[Control, ...] = get_args(Control)
# what `controls: true` means: all but the dearest, which takes some 5 N^2 passes of the model
CHEAP = tuple(name for name in CONTROLS if not name.startswith("naopc"))
_CONTROLS_SCHEMA: JsonSchemaValue = {
    "type": "array",
    "items": {"enum": list(CONTROLS), "type": "string"},
    "maxItems": len(CONTROLS),
}
# the service's own limits are checked by `serving.answers`: they are settings, and these are what no setting allows
Text = Annotated[str, StringConstraints(min_length=1)]
Texts = Annotated[
    list[Text],
    Field(
        min_length=1,
        fail_fast=True,
        description="The texts. What is a word is the model's own rule.",
        examples=[[TEXT]],
    ),
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
        str | None,
        Field(
            description="The saliency, one of those that GET /model lists for the model. Where null, the one that an "
            "audit of the model found best, else the one that measured best for models of its kind.",
            examples=[None],
        ),
    ] = None
    controls: Annotated[
        list[Control],
        Field(
            max_length=len(CONTROLS),
            fail_fast=True,
            description="Controls of the metrics to compute, by name; true: all but naopc_comp and naopc_suff, which "
            "take some 5 N^2 passes of the model for N words. They count against the limit of the cost.",
        ),
        BeforeValidator(lambda given: list(CHEAP) if given is True else [] if given is False else given),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, _CONTROLS_SCHEMA]}),
    ] = []
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
    """A word, where it stands in the text (in Unicode characters, end exclusive), its saliency, and whether the model
    knows it: one that it does not know is to it like any other such word."""

    word: str
    start: int
    end: int
    saliency: float
    known: bool


class Step(BaseModel):
    """A removal: the index of the word that went, the target's confidence then, and the predicted label then."""

    removed: int
    word: str
    confidence: float
    label: str


class Curve(BaseModel):
    """The k-th step is the text after k removals. flips_at: the first k at which the predicted label is another one,
    found for the whole text; flips_to: that label. Both null where none is."""

    steps: list[Step]
    flips_at: int | None
    flips_to: str | None


class TextMetrics(BaseModel):
    """Of this text alone; null for a text of one word. Their formulas: docs/concepts/metrics.md."""

    comp: float | None
    suff: float | None
    comp_aopc: float | None
    suff_aopc: float | None
    ir: float | None
    ur: float | None


Controls = Annotated[
    dict[Control, float | None],
    Field(
        description="What saliency knows beyond a random order of removal, and the like, of this text alone: the names "
        "that were asked for, each as `pct evaluate --metrics` gives it; null where the text has none."
    ),
]


class Verdict(BaseModel):
    """Whether saliency and confidence agree on this text, and what the two curves show: docs/concepts/controls.md."""

    kind: Literal["healthy", "pathological", "undecided"]
    reasons: list[str]


class Pathology(BaseModel):
    """found: the verdict is pathological; reasons: the verdict's then, else none."""

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
    controls: Controls | None
    verdict: Verdict
    pathology: Pathology
    saliency_name: str
    signed: Annotated[bool, Field(description="Whether numbers below 0 are evidence against the target.")]
    saliency_reason: Annotated[str, Field(description="Why this saliency was taken.")]


class ExplainAnswer(BaseModel):
    """An explanation a text, in the texts' order."""

    model: Identity
    order: str
    saliency: str
    signed: Annotated[bool, Field(description="Whether numbers below 0 are evidence against the target.")]
    saliency_reason: Annotated[str, Field(description="Why this saliency was taken.")]
    max_steps: int
    explanations: list[Explanation]


class AboutAudit(BaseModel):
    """What `pct audit` found. best: the saliency to show; empty where none beats a random order of removal. margin and
    win: its mean over the texts and the ends of the 95 % interval; of a random order where there is no best."""

    best: str
    removal: str
    texts: int
    margin: Annotated[list[float | None], Field(min_length=3, max_length=3)]
    win: Annotated[list[float | None], Field(min_length=3, max_length=3)]
    verdict: str


class AboutModel(Identity):
    """A served model, with the figures that stand in the registry. saliency: by which it explains where a request names
    none, and why; saliencies: all that it gives. audit: null for a model that was not audited. words: how texts become
    words: natural, spaces, or a rule of the model's own."""

    source: str
    method: str
    architecture: str
    corpus: str
    weights: str
    labels: list[str]
    saliency: str
    saliency_reason: str
    saliencies: list[str]
    audit: AboutAudit | None
    max_length: int
    words: str
    metrics: dict[str, float]


class AboutLimits(BaseModel):
    """What a request may ask for."""

    texts: int
    characters: int
    body_bytes: int
    head_bytes: int
    head_seconds: float
    connections: int
    seconds: float
    max_steps: int
    cost: int
    queue: int
    batch: int


class ModelAnswer(BaseModel):
    """The served models, the first one the default, and the limits."""

    models: list[AboutModel]
    limits: AboutLimits


class Refusal(BaseModel):
    """What was wrong, and what to do."""

    error: str
