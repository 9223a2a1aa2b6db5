"""Answers say what the library says of the same model and texts, and what the formulas say by hand."""

import json
import math
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import pct
from pct.explaining.explanation import Explanation
from pct.explaining.verdict import PATHOLOGICAL, judge, tolerances
from pct.onnx.predictor import OnnxPredictor
from pct.text.words import split
from serving import schema
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.limits import Limits
from serving.model_store import ModelEntry, ServedModel
from serving.schema import Control, ExplainAnswer, ExplainRequest

TEXTS = [
    "despite its slow start , the film is brilliant",
    "a dull and lifeless piece of work , though the cast is fine and the score is lovely",
    "a moving film",
    "dreadful",
]
MANY = [
    *TEXTS, "bad film", "brilliant and dreadful and fine", "the film is lovely , lovely , lovely", "a a a a a",
    "in the end , its scenes remain always joyous .",
    "the script is an odious thriller , and the documentary is quiet .",
]  # fmt: skip
LIMITS = Limits()


@pytest.fixture(scope="module")
def served(exported: dict[str, Path]) -> ServedModel:
    return ServedModel(
        ModelEntry("pct", str(exported["pct"]), "somewhere"), OnnxPredictor.load(exported["pct"], 1), (0, 0)
    )


def explained(served: ServedModel, texts: list[str], **asked: Any) -> list[dict[str, Any]]:
    job = ExplainJob.of(ExplainRequest(texts=texts, **asked), served, LIMITS)
    return [one for (one,) in job.run(read_texts(texts, LIMITS), math.inf)]


@pytest.mark.parametrize("order", ["static", "recomputed"])
@pytest.mark.parametrize("max_steps", [3, 15])
def test_an_explanation_is_that_of_the_library(served, order, max_steps):
    theirs = pct.explain(served.predictor, TEXTS, max_steps, order=order)
    for mine, e in zip(explained(served, TEXTS, max_steps=max_steps, order=order), theirs, strict=True):
        expected = e.to_dict()
        del mine["metrics"]["comp_aopc"], mine["metrics"]["suff_aopc"]  # the library does not compute them
        del expected["metrics"]["comp_aopc"], expected["metrics"]["suff_aopc"]
        assert list(mine) == list(expected)
        for one, other in zip(_flat(list(mine.values())), _flat(list(expected.values())), strict=True):
            assert one == (pytest.approx(other, abs=1e-6) if isinstance(other, float) else other)


@pytest.mark.parametrize("asked", [{}, {"controls": True}, {"target": "positive"}, {"max_steps": 0}])
def test_an_answer_becomes_an_explanation_and_the_same_answer_again(served, asked):
    for mine in explained(served, TEXTS, **asked):
        assert Explanation.from_dict(json.loads(json.dumps(mine))).to_dict() == mine


@pytest.mark.parametrize("order", ["static", "recomputed"])
def test_the_metrics_of_a_text_are_those_that_evaluation_gives_it(served, order):
    s = served.predictor.settings
    report = pct.evaluate(served.predictor, (TEXTS, [0] * len(TEXTS)), *s.measured_shares, order)
    for row, mine in enumerate(explained(served, TEXTS, order=order, max_steps=1, saliency=s.saliency)):
        for name, value in mine["metrics"].items():
            expected = report.columns[name][row]
            assert value is None if np.isnan(expected) else value == pytest.approx(expected, abs=1e-6), name


def test_controls_are_those_that_evaluation_gives_each_text_by_itself(served):
    names = get_args(Control)
    found = explained(served, TEXTS, controls=list(names), saliency=served.predictor.settings.saliency)
    for text, mine in zip(TEXTS, found, strict=True):
        report = pct.evaluate(
            served.predictor, ([text], [0]), *served.predictor.settings.measured_shares, metrics=names
        )
        assert list(mine["controls"]) == list(names)
        for name, value in mine["controls"].items():
            expected = report.columns[name][0]
            assert value is None if np.isnan(expected) else value == pytest.approx(expected, abs=1e-5), name
    assert all(value is not None for value in found[0]["controls"].values())
    assert set(found[3]["controls"].values()) == {None}  # of one word


def test_controls_are_given_where_they_are_asked_for(served):
    assert explained(served, TEXTS[:1])[0]["controls"] is None
    assert list(explained(served, TEXTS[:1], controls=["win", "win"])[0]["controls"]) == ["win"]
    given = explained(served, TEXTS[:1], controls=True)[0]["controls"]
    assert set(get_args(Control)) - set(given) == {"naopc_comp", "naopc_suff"}


def test_a_steps_label_and_the_flip_are_those_of_the_text_that_is_left(served):
    for mine in explained(served, TEXTS, max_steps=200):
        for side in ("important", "unimportant"):
            left = dict(enumerate(w["word"] for w in mine["words"]))
            flips = None
            for number, step in enumerate(mine[side]["steps"], 1):
                del left[step["removed"]]
                found = served.predictor.predict([list(left.values())])[0]
                assert step["label"] == served.predictor.classes[found.argmax()]
                target = served.predictor.classes.index(mine["target"])
                assert step["confidence"] == pytest.approx(found[target], abs=1e-5)
                if flips is None and step["label"] != mine["label"]:
                    flips = number
            assert mine[side]["flips_at"] == flips


def test_a_target_is_explained_in_place_of_the_prediction(served):
    for target in served.predictor.classes:
        for mine in explained(served, TEXTS, target=target):
            assert mine["target"] == target
            assert mine["target_confidence"] == mine["probabilities"][target]
            assert mine["label"] == max(mine["probabilities"], key=mine["probabilities"].__getitem__)
            assert mine["confidence"] == max(mine["probabilities"].values())


def test_texts_that_go_together_are_answered_as_alone(served):
    together = explained(served, TEXTS)
    alone = [explained(served, [text])[0] for text in TEXTS]
    for one, other in zip(together, alone, strict=True):
        flat = [list(_flat(x)) for x in (one, other)]
        assert len(flat[0]) == len(flat[1])
        assert all(a == (pytest.approx(b, abs=1e-5) if isinstance(b, float) else b) for a, b in zip(*flat, strict=True))


def _flat(value: Any) -> Any:
    if isinstance(value, list | dict):
        for v in value.values() if isinstance(value, dict) else value:
            yield from _flat(v)
    else:
        yield value


@pytest.mark.parametrize(
    "text",
    [
        "  a\tmoving\n\nfilm ", "naïve 🎬🎬 film 👍🏽", "فيلم رائع جدا", "a\u00a0b\u2003c\u3000d", "x\x00y z",
        "e\u0301 \ufffd f",
    ],
)  # fmt: skip
def test_offsets_point_at_the_words_in_the_text(served, text):
    (mine,) = explained(served, [text])
    assert [mine["text"][w["start"] : w["end"]] for w in mine["words"]] == [w["word"] for w in mine["words"]]
    assert [w["word"] for w in mine["words"]] == list(split(text))
    mine["text"].encode()


def test_a_text_beyond_the_models_length_says_how_many_words_it_never_saw(served):
    length = served.predictor.settings.max_length
    (mine,) = explained(served, ["word " * (length + 7)])
    assert len(mine["words"]) == length
    assert mine["truncated"] == 7
    (predicted,) = PredictJob(served).run(read_texts(["word " * (length + 7)], LIMITS), math.inf)
    assert predicted["truncated"] == 7


def test_a_text_of_one_word_has_no_curves_no_metrics_and_no_pathology(served):
    (mine,) = explained(served, ["dreadful"])
    assert mine["important"] == mine["unimportant"] == {"steps": [], "flips_at": None, "flips_to": None}
    assert set(mine["metrics"].values()) == {None}
    assert mine["pathology"] == {"found": False, "reasons": []}
    assert mine["verdict"]["kind"] == "undecided"


def test_answers_are_what_the_schema_says(served):
    for mine in [*explained(served, TEXTS), *explained(served, TEXTS, controls=True)]:
        schema.Explanation.model_validate(mine, strict=True, extra="forbid")
    for found in PredictJob(served).run(read_texts(TEXTS, LIMITS), math.inf):
        schema.Prediction.model_validate(found, strict=True, extra="forbid")
    assert set(ExplainAnswer.model_fields) == {
        "model", "order", "saliency", "signed", "saliency_reason", "max_steps", "explanations",
    }  # fmt: skip


def test_a_verdict_is_that_of_the_library_on_what_is_answered(served):
    kinds = set()
    for mine in explained(served, MANY):
        comp, suff = mine["metrics"]["comp"], mine["metrics"]["suff"]
        flips, new = ([mine[side][key] for side in ("important", "unimportant")] for key in ("flips_at", "flips_to"))
        allowed = float(tolerances(max(mine["probabilities"].values()), len(mine["probabilities"])))
        expected = judge(
            math.nan if comp is None else comp, math.nan if suff is None else suff, *flips, len(mine["words"]), allowed,
            tuple(new),
        )  # fmt: skip
        assert mine["verdict"] == {"kind": expected.kind, "reasons": list(expected.reasons)}
        sick = expected.kind == PATHOLOGICAL
        assert mine["pathology"] == {"found": sick, "reasons": list(expected.reasons) if sick else []}
        kinds.add(expected.kind)
    assert len(kinds) > 1


def test_work_stops_at_the_deadline(served):
    job = ExplainJob.of(ExplainRequest(texts=TEXTS, order="recomputed"), served, LIMITS)
    with pytest.raises(TimeoutError):
        job.run(read_texts(TEXTS, LIMITS), time.monotonic() - 1)
    with pytest.raises(TimeoutError):
        PredictJob(served).run(read_texts(TEXTS, LIMITS), time.monotonic() - 1)


def test_what_is_beyond_the_limits_is_named(served):
    limits = Limits(characters=5, max_steps=9)
    with pytest.raises(ValueError, match="text 1 has 6 characters; send at most 5"):
        read_texts(["a", "bbbbbb"], limits)
    with pytest.raises(ValueError, match="text 1 has no words"):
        read_texts(["a", " \t\n"], limits)
    with pytest.raises(ValueError, match="max_steps must be at most 9, got 10"):
        ExplainJob.of(ExplainRequest(texts=["a"], max_steps=10), served, limits)
    with pytest.raises(ValueError, match="target 'good' is not one of the labels negative, positive"):
        ExplainJob.of(ExplainRequest(texts=["a"], target="good"), served, limits)


def test_words_are_read_by_the_rule_of_the_model():
    assert read_texts(["Great film!"], LIMITS, "natural") == [("Great", "film", "!")]
    assert read_texts(["Great film!"], LIMITS, "spaces") == [("Great", "film!")]


def test_a_word_that_the_model_does_not_know_is_said_to_be_unknown(served):
    (mine,) = explained(served, ["a xyzzyqwert film"])
    assert [w["known"] for w in mine["words"]] == [True, False, True]
