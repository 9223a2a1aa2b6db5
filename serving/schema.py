"""Requests and answers as pydantic models: what is valid, and what an answer contains.

What an answer says of a text is the library's `Prediction.to_dict` or `Explanation.to_dict`; tests hold them to these
models.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal, Self, get_args

import bentoml
import starlette.requests
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, create_model
from pydantic.json_schema import JsonSchemaValue

from serving.limits import Limits

REQUEST = "pct.request"  # where the scope of a request has its validated body
TEXT = "despite its slow start , the film is brilliant"
Order = Literal["static", "recomputed"]
Control = Literal[
    "comp_random", "margin", "suff_margin", "win", "ir_rate", "ur_rate", "tau_loo", "cos_important", "cos_unimportant",
    "separation", "naopc_comp", "naopc_suff",
]  # fmt: skip
CONTROLS: tuple[Control, ...] = get_args(Control)
# what `controls: true` means: all but the most expensive, which takes about 5 N^2 passes of the model
CHEAP = tuple(name for name in CONTROLS if not name.startswith("naopc"))
_CONTROLS_SCHEMA: JsonSchemaValue = {
    "type": "array",
    "items": {"enum": list(CONTROLS), "type": "string"},
    "maxItems": len(CONTROLS),
}
# the limits of a service are settings; `serving.request_guard` and `serving.answers` check them
Text = Annotated[str, StringConstraints(min_length=1)]


class TextPair(BaseModel):
    """Two texts that a model reads together, such as a premise and a hypothesis."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Text
    text_pair: Text


ABOUT_TEXTS = "The texts, or pairs of texts. The model's own rule splits them into words."
Texts = Annotated[
    list[Text | TextPair], Field(min_length=1, fail_fast=True, description=ABOUT_TEXTS, examples=[[TEXT]])
]
Remove = Literal["both", "first", "second"]
ModelId = Annotated[
    str | None, Field(description="The id of a served model; the first one where null.", examples=[None])
]
Signed = Annotated[bool, Field(description="Whether numbers below 0 are evidence against the target.")]
Reason = Annotated[str, Field(description="Why this saliency was taken.")]
Interval = Annotated[list[float | None], Field(min_length=3, max_length=3)]


class Request(bentoml.IODescriptor):  # type: ignore[misc]
    """A request: no unknown fields, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    async def from_http_request(cls, request: starlette.requests.Request, serde: Any) -> Self:
        """The request that `serving.request_guard` has validated, in the place of BentoML's own parsing."""
        validated: Self = request.scope[REQUEST]
        return validated


class PredictRequest(Request):
    """Texts to classify."""

    texts: Texts
    model: ModelId = None


class ExplainRequest(Request):
    """Texts to explain, and how."""

    texts: Texts
    max_steps: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The most words removed on each side; one always remains. 15, or the limit, where null."
    )
    order: Order = Field(
        "static", description="static: words are ranked once, on the whole text. recomputed: after each removal."
    )
    target: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        None, examples=[None], description="The label that is explained; the predicted one where null. Of several "
        "labels also a list; all that are assigned, or the most probable one, where null.",
    )  # fmt: skip
    saliency: str | None = Field(
        None, examples=[None], description="The saliency, one of those that GET /model lists for the model. Where "
        "null, the best one by an audit of the model, else the best one for models of its family.",
    )  # fmt: skip
    controls: Annotated[
        list[Control],
        Field(
            max_length=len(CONTROLS),
            fail_fast=True,
            description="Controls of the metrics, by name; true: all but naopc_comp and naopc_suff, which take about "
            "5 N^2 passes of the model for N words. They count against the limit of the cost.",
        ),
        BeforeValidator(lambda value: list(CHEAP) if value is True else [] if value is False else value),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, _CONTROLS_SCHEMA]}),
    ] = []  # noqa: RUF012
    remove: Remove | None = Field(
        None, examples=[None], description="Of pairs: whose words are ranked and removed; where null, as the model's "
        "settings say, by default both, ranked together.",
    )  # fmt: skip
    model: ModelId = None


class Identity(BaseModel):
    """The model that answered. name, version, alias: null where it is not from a registry."""

    id: str
    name: str | None
    version: str | None
    alias: str | None


class Prediction(BaseModel):
    """The predicted label of a text. truncated: words beyond the model's length, which it never saw.

    Of several labels, label is the most probable one, and labels has those that are assigned; else it is absent. A
    model of a number has its name as label, and value in place of confidence and probabilities."""

    label: str
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    truncated: int
    labels: list[str] | None = None
    value: float | None = None


class PredictAnswer(BaseModel):
    """A prediction for each text, in the order of the texts."""

    model: Identity
    predictions: list[Prediction]


class Word(BaseModel):
    """A word, its position in the text (in Unicode characters, end exclusive), its saliency, and whether the model
    knows it. All words that the model does not know are alike to it. text: of a pair, the key of the word's text."""

    word: str
    start: int
    end: int
    saliency: float
    known: bool
    text: Literal["text", "text_pair"] | None = None


class Step(BaseModel):
    """A removal: the index of the removed word, and the target's confidence and the predicted label after it; of a
    model of a number, the number and null."""

    removed: int
    word: str
    confidence: float
    label: str | None


class Curve(BaseModel):
    """The k-th step is the text after k removals. flips_at: the first k at which the predicted label changes, searched
    down to the last word; flips_to: the new label. Both are null where it never changes."""

    steps: list[Step]
    flips_at: int | None
    flips_to: str | None


class TextMetrics(BaseModel):
    """Metrics of this text alone; null for a text of one word. The formulas: docs/concepts/metrics.md."""

    comp: float | None
    suff: float | None
    comp_aopc: float | None
    suff_aopc: float | None
    ir: float | None
    ur: float | None


Controls = Annotated[
    dict[Control, float | None],
    Field(
        description="The controls that the request names, of this text alone, as `pct evaluate --metrics` computes "
        "them: what the saliency tells beyond a random order of removal, and others. Null where the text has none."
    ),
]


class Verdict(BaseModel):
    """Whether saliency and confidence agree on this text, and what the two curves show: docs/concepts/controls.md."""

    kind: Literal["healthy", "pathological", "undecided"]
    reasons: list[str]


class Pathology(BaseModel):
    """found: whether the verdict is pathological; reasons: those of the verdict if so, else none."""

    found: bool
    reasons: list[str]


class Explanation(BaseModel):
    """The words with their saliency, and what their removal does to the confidence in the target.

    label: the predicted one, with its confidence. target: the label that is explained, with its confidence. important:
    the most salient words are removed first; unimportant: the least salient ones. controls: null where the request
    names none. saliency_name, signed, saliency_reason: as in the answer, so that each explanation is complete.

    Of several labels, label is the target, with "not" before it where it is not assigned; threshold is the probability
    from which a label is assigned, and assigned has those that are. Else both are absent. text_pair: the second text of
    a pair; else it is absent. Of a model of a number, label and target are its name, value and target_confidence the
    number, and confidence and probabilities are absent."""

    text: str
    text_pair: str | None = None
    words: list[Word]
    truncated: int
    label: str
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    target: str
    target_confidence: float
    important: Curve
    unimportant: Curve
    metrics: TextMetrics
    controls: Controls | None
    verdict: Verdict
    pathology: Pathology
    saliency_name: str
    signed: Signed
    saliency_reason: Reason
    threshold: float | None = None
    assigned: list[str] | None = None
    value: float | None = None


class ExplainAnswer(BaseModel):
    """An explanation for each text, in the order of the texts; of several labels, for each explained label of each."""

    model: Identity
    order: str
    saliency: str
    signed: Signed
    saliency_reason: Reason
    max_steps: int
    explanations: list[Explanation]


class AboutAudit(BaseModel):
    """The result of `pct audit`. best: the saliency to show; empty where none is better than a random order of removal.
    margin and win: the mean over the texts and the ends of its 95 % interval; of a random order where there is no
    best."""

    best: str
    removal: str
    texts: int
    margin: Interval
    win: Interval
    verdict: str


class AboutModel(Identity):
    """A served model, with its metrics in the registry. saliency, saliency_reason: what explains it where a request
    names none, and why; saliencies: all that it gives. audit: null for a model that was not audited. words: the rule by
    which texts are split into words: natural, spaces, or the model's own. pairs: whether it reads pairs of texts."""

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
    pairs: bool
    metrics: dict[str, float]


_LIMITS: dict[str, Any] = {f.name: (type(f.default), Field(description=f.metadata["help"])) for f in fields(Limits)}
AboutLimits = create_model("AboutLimits", __doc__="What a request may ask for.", **_LIMITS)


class ModelAnswer(BaseModel):
    """The served models and the limits. The first model is the default."""

    models: list[AboutModel]
    limits: AboutLimits  # type: ignore[valid-type]


class Refusal(BaseModel):
    """What was wrong, and the remedy."""

    error: str
