"""The service of a model that gives a number."""

import math

import pytest

import pct
from pct.client import Client
from pct.explaining.prediction import Prediction as Predicted
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.limits import Limits
from serving.model_store import ServedModel
from serving.schema import ExplainRequest, Explanation, Prediction
from tests.pct.number import number_model
from tests.pct.small import small_texts
from tests.serving.conftest import served_model

TEXTS = small_texts(4, seed=8)
LIMITS = Limits()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return served_model(number_model("textcnn", max_length=16), tmp_path_factory.mktemp("served") / "number")


def test_predictions_have_the_number(served: ServedModel) -> None:
    answers = PredictJob(served).run(read_texts(TEXTS, LIMITS), math.inf)
    expected = pct.predict(served.predictor, TEXTS)
    assert answers == [one.to_dict() for one in expected]
    for answer, one, text in zip(answers, expected, TEXTS, strict=True):
        Prediction.model_validate(answer, strict=True, extra="forbid")
        assert Predicted.from_dict(answer, text).value == one.value
        assert "confidence" not in answer


def test_explanations_are_those_of_the_library(served: ServedModel) -> None:
    job = ExplainJob.of(ExplainRequest(texts=TEXTS, controls=["margin"]), served, LIMITS)
    of_texts = job.run(read_texts(TEXTS, LIMITS), math.inf)
    expected = pct.explain(served.predictor, TEXTS)
    for (answer,), e in zip(of_texts, expected, strict=True):
        Explanation.model_validate(answer, strict=True, extra="forbid")
        assert (answer["target"], answer["value"]) == ("stars", pytest.approx(e.confidence))
        assert {step["label"] for step in answer["important"]["steps"]} <= {None}
        assert answer["metrics"]["ir"] is None
        assert answer["metrics"]["comp"] == pytest.approx(e.comp, abs=1e-5, nan_ok=True)


def test_a_control_that_needs_a_class_is_refused(served: ServedModel) -> None:
    with pytest.raises(ValueError, match="control ir_rate: a number has no class that a removal could change"):
        ExplainJob.of(ExplainRequest(texts=TEXTS, controls=["ir_rate"]), served, LIMITS)


def test_all_controls_are_those_that_a_number_has(served: ServedModel) -> None:
    job = ExplainJob.of(ExplainRequest.model_validate({"texts": TEXTS, "controls": True}), served, LIMITS)
    assert "margin" in job.controls
    assert "ir_rate" not in job.controls


def test_the_client_reads_a_number(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = served.identity()
    predictions = PredictJob(served).run(read_texts(TEXTS, LIMITS), math.inf)
    of_texts = ExplainJob.of(ExplainRequest(texts=TEXTS), served, LIMITS).run(read_texts(TEXTS, LIMITS), math.inf)
    answers = {
        "/predict": {"model": identity, "predictions": predictions},
        "/explain": {"model": identity, "explanations": [one for of_text in of_texts for one in of_text]},
    }
    client = Client("http://localhost:1")
    monkeypatch.setattr(client, "_ask", lambda path, body: answers[path])
    assert [p.value for p in client.predict(TEXTS)] == [p["value"] for p in predictions]
    explained = client.explain(TEXTS)
    assert [e.confidence for e in explained] == [p["value"] for p in predictions]
    assert all(e.number and e.verdict.kind == "undecided" for e in explained)
