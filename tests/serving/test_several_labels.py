"""The service of a model of several labels: an explanation for each label of a text, and the labels of predictions."""

import math

import numpy as np
import pytest

import pct
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.limits import Limits
from serving.model_store import ServedModel
from serving.schema import ExplainRequest, Explanation, Prediction
from tests.pct.several import several_classifier
from tests.pct.small import small_texts
from tests.serving.conftest import served_model

TEXTS = small_texts(4, seed=8)
LIMITS = Limits()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return served_model(several_classifier("textcnn", max_length=16), tmp_path_factory.mktemp("served") / "several")


def test_predictions_have_the_assigned_labels(served: ServedModel) -> None:
    answers = PredictJob(served).run(read_texts(TEXTS, LIMITS), math.inf)
    assert answers == [one.to_dict() for one in pct.predict(served.predictor, TEXTS)]
    for answer in answers:
        Prediction.model_validate(answer, strict=True, extra="forbid")
        assert answer["labels"] == [name for name, p in answer["probabilities"].items() if p >= 0.5]


@pytest.mark.parametrize("target", [None, "positive", ["neither", "negative"]])
def test_explanations_are_those_of_the_library(served: ServedModel, target: str | list[str] | None) -> None:
    request = ExplainRequest(texts=TEXTS, target=target)
    job = ExplainJob.of(request, served, LIMITS)
    of_texts = job.run(read_texts(TEXTS, LIMITS), math.inf)
    expected = pct.explain(served.predictor, TEXTS, target=[target] * 4 if isinstance(target, list) else target)
    answers = [one for of_text in of_texts for one in of_text]
    assert len(of_texts) == 4
    assert [(a["text"], a["target"], a["label"]) for a in answers] == [
        (e.text, e.target, e.predicted) for e in expected
    ]
    for answer, e in zip(answers, expected, strict=True):
        Explanation.model_validate(answer, strict=True, extra="forbid")
        assert (answer["threshold"], answer["assigned"]) == (0.5, e.assigned)
        np.testing.assert_allclose([w["saliency"] for w in answer["words"]], e.saliency, atol=1e-5)
        assert answer["metrics"]["comp"] == pytest.approx(e.comp, abs=1e-6, nan_ok=True)


def test_an_unknown_target_is_refused(served: ServedModel) -> None:
    with pytest.raises(ValueError, match="target 'sad' is not one of the labels negative, positive, neither"):
        ExplainJob.of(ExplainRequest(texts=TEXTS, target=["negative", "sad"]), served, LIMITS)


def test_the_cost_counts_every_label_that_may_be_explained(served: ServedModel) -> None:
    texts = read_texts(TEXTS, LIMITS)
    jobs = [ExplainJob.of(ExplainRequest(texts=TEXTS, target=target), served, LIMITS) for target in (None, "neither")]
    every, one = (job.cost(texts) for job in jobs)
    assert every == 3 * one + len(TEXTS)  # the labels are predicted first
