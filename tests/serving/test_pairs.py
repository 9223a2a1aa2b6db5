"""The service of a model that reads pairs of texts: requests, answers, the client, the page's model facts."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.client import Client, ServiceError
from pct.onnx.predictor import OnnxPredictor
from pct.text.words import split
from serving.answers import ExplainJob, PredictJob, given_texts, read_texts
from serving.limits import Limits
from serving.model_store import ModelEntry, ServedModel
from serving.request_guard import read_request
from serving.schema import ExplainRequest, Explanation, PredictRequest
from tests.pct.exported import exported_pairs
from tests.pct.models.families import TEXTS
from tests.serving.conftest import serving

PAIRS = [(TEXTS[0], "fine film"), ("fine film", "tired, goofy, it's 3.5 hours")]
SENT = [{"text": a, "text_pair": b} for a, b in PAIRS]
LIMITS = Limits()


@pytest.fixture(scope="module")
def folder() -> Path:
    return exported_pairs()


@pytest.fixture(scope="module")
def served(folder: Path) -> ServedModel:
    return ServedModel(ModelEntry("pairs", str(folder), "somewhere"), OnnxPredictor.load(folder, 1), (0, 0))


def test_answers_are_those_of_the_library(served: ServedModel) -> None:
    mixed = [*PAIRS, "a film"]
    documents = read_texts(mixed, LIMITS)
    predictions = PredictJob(served).run(documents, math.inf)
    assert predictions == [one.to_dict() for one in pct.predict(served.predictor, mixed)]
    for remove in (None, "second"):
        given = PAIRS if remove else mixed
        job = ExplainJob.of(ExplainRequest(texts=SENT, remove=remove), served, LIMITS)
        answers = [one for (one,) in job.run(read_texts(given, LIMITS), math.inf)]
        expected = pct.explain(served.predictor, given, remove=remove)
        for answer, e in zip(answers, expected, strict=True):
            Explanation.model_validate(answer, strict=True, extra="forbid")
            assert (answer["text"], answer.get("text_pair")) == (e.text, e.text_pair)
            assert [w.get("text") for w in answer["words"]] == [w.get("text") for w in e.to_dict()["words"]]
            np.testing.assert_allclose([w["saliency"] for w in answer["words"]], e.saliency, atol=1e-5)
    assert [len(a["words"]) for a in answers] == [len(split(b)) for _, b in PAIRS]


def test_a_request_may_have_pairs_among_its_texts() -> None:
    body = {"texts": ["a: b", SENT[0]]}
    request = read_request(PredictRequest, json.dumps(body).encode(), 10)
    assert given_texts(request.texts) == ["a: b", PAIRS[0]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("texts", "message"), [
    ('[{"text": "a"}]', "texts.0.text_pair: field required"),
    ('[{"text": "a", "text_pair": "b", "third": "c"}]', "texts.0.third: extra inputs are not permitted"),
    ('[{"text": "a", "text_pair": 1}]', "texts.0.text_pair: input should be a valid string"),
    ('[{"text": "a", "text_pair": "b", "text": "c"}]', "text: it stands twice in one object"),
    ("[1]", "texts.0: input should be a valid string"),
])  # fmt: skip
def test_a_wrong_pair_is_named(texts: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_request(PredictRequest, f'{{"texts": {texts}}}'.encode(), 10)


def test_the_limits_count_both_texts_and_each_needs_a_word() -> None:
    limits = Limits(characters=10)
    with pytest.raises(ValueError, match="text 0 has 12 characters; send at most 10"):
        read_texts([("a" * 6, "b" * 6)], limits)
    with pytest.raises(ValueError, match="text 0 has no words: ' '"):
        read_texts([("a", " ")], limits)


def test_the_service_and_its_client_take_pairs(folder: Path, tmp_path: Path) -> None:
    with serving(tmp_path, f"pairs={folder}") as running, Client(running.url) as client:
        assert client.model()["models"][0]["pairs"] is True
        library = pct.predict(OnnxPredictor.load(folder), PAIRS)
        answered = client.predict(PAIRS)
        assert [(p.text, p.text_pair) for p in answered] == PAIRS
        assert [p.confidence for p in answered] == pytest.approx([p.confidence for p in library], abs=1e-6)
        (one,) = client.explain(PAIRS[:1], remove="second")
        assert (one.words, one.text_pair, one.first_words) == (["fine", "film"], "fine film", 0)
        with pytest.raises(ServiceError, match=r"remove second: no word of 'a' may be removed.*status 400"):
            client.explain(["a"], remove="second")
        with pytest.raises(ServiceError, match="remove: input should be 'both', 'first' or 'second'"):
            client.explain(PAIRS, remove="left")
