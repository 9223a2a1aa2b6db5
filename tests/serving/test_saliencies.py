"""The saliency of a request: any that the model gives, by default the audited best, within cost and deadline."""

import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pct
from pct.auditing.kept import AuditSummary
from pct.metrics.bootstrap import Interval
from pct.onnx.predictor import OnnxPredictor
from pct.saliency import make_saliency
from pct.saliency.defaults import EVIDENCE
from serving.answers import ExplainJob, read_texts
from serving.limits import Limits
from serving.model_store import ModelEntry, ModelStore, ServedModel, write_entries
from serving.schema import AboutModel, ExplainRequest
from tests.audits import write_audit

TEXTS = ["despite its slow start , the film is brilliant", "a dull and lifeless piece of work", "a moving film", "dull"]
LIMITS = Limits()
FORWARD_ONLY = ("occlusion", "lime", "kernel_shap", "random")


class Counting:
    """A predictor that counts the passes of the model, there and back as three, and may wait before each call."""

    def __init__(self, predictor: OnnxPredictor, before: Any = None) -> None:
        self.inner, self.passes, self.before = predictor, 0, before or (lambda: None)
        self.classes, self.settings, self.tokens = predictor.classes, predictor.settings, predictor.tokens
        self.word_rule, self.family, self.audited = predictor.word_rule, predictor.family, ""
        self.check_saliency, self.replacement_token_id = predictor.check_saliency, predictor.replacement_token_id

    def forward(self, ids: Any, mask: Any) -> Any:
        self.before()
        self.passes += len(ids)
        return self.inner.forward(ids, mask)

    def represent(self, ids: Any, mask: Any) -> Any:
        self.passes += len(ids)
        return self.inner.represent(ids, mask)

    def explain_rows(self, ids: Any, words: Any, classes: Any) -> Any:
        raise AssertionError("explained by the predictor's own saliency, not by the one that was asked for")

    def attribute_rows(self, saliency: Any, ids: Any, words: Any, classes: Any) -> Any:
        self.passes += 3 * int(saliency.passes(np.ones(len(ids), np.int64)).sum())
        return self.inner.attribute_rows(saliency, ids, words, classes)


@pytest.fixture(scope="module")
def served(exported: dict[str, Path]) -> ServedModel:
    return ServedModel(ModelEntry("pct", str(exported["pct"]), "here"), OnnxPredictor.load(exported["pct"], 1), (0, 0))


def job_of(served: ServedModel, texts: list[str], **asked: Any) -> ExplainJob:
    return ExplainJob.of(ExplainRequest(texts=texts, **asked), served, LIMITS)


def counted(served: ServedModel, before: Any = None) -> tuple[ServedModel, Counting]:
    counting = Counting(served.predictor, before)
    return ServedModel(served.entry, counting, (0, 0)), counting  # type: ignore[arg-type]


def test_every_saliency_that_the_model_offers_is_given_when_asked_for(served):
    assert set(FORWARD_ONLY) | {"l2", "l1", "grad_x_input", "integrated_gradients"} == set(served.saliencies)
    for name in served.saliencies:
        job = job_of(served, TEXTS, saliency=name)
        theirs = served.predictor.saliency(TEXTS, by=name)
        for (mine,), scores in zip(job.run(read_texts(TEXTS, LIMITS), math.inf), theirs, strict=True):
            np.testing.assert_allclose([w["saliency"] for w in mine["words"]], scores, atol=1e-5, err_msg=name)
        assert (job.saliency, job.reason, job.signed) == (name, "asked for", make_saliency(name).signed)


def test_a_text_is_answered_as_alone_whoever_is_asked_beside_it(served):
    for name in FORWARD_ONLY:
        together = job_of(served, TEXTS, saliency=name).run(read_texts(TEXTS, LIMITS), math.inf)
        for text, (mine,) in zip(TEXTS, together, strict=True):
            ((alone,),) = job_of(served, [text], saliency=name).run(read_texts([text], LIMITS), math.inf)
            numbers = [[w["saliency"] for w in one["words"]] for one in (mine, alone)]
            np.testing.assert_allclose(*numbers, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", ["attention", "gim", "no such thing", "", "l2 "])
def test_a_saliency_that_the_model_does_not_give_is_refused_with_those_that_it_gives(served, name):
    with pytest.raises(ValueError, match="is not one that this model gives; it gives l2, l1, ") as caught:
        job_of(served, TEXTS, saliency=name)
    assert "\n" not in str(caught.value)
    assert all(other in str(caught.value) for other in FORWARD_ONLY)


def test_requests_of_one_saliency_go_together_whether_it_was_named_or_not(served):
    named, default = (job_of(served, TEXTS, saliency=name) for name in (served.default_saliency.name, None))
    assert named == default
    assert hash(named) == hash(default)
    assert named.reason != default.reason
    assert job_of(served, TEXTS, saliency="random") != default


def test_a_model_that_was_not_audited_is_explained_by_the_evidence_for_its_family(served):
    job = job_of(served, TEXTS)
    assert job.saliency == EVIDENCE["textcnn"]
    assert "not audited on this model" in job.reason
    assert served.about()["audit"] is None


def test_an_audited_model_is_explained_by_the_best_of_its_audit(exported, tmp_path):
    folder = Path(shutil.copytree(exported["pct"], tmp_path / "model"))
    write_audit(folder, "occlusion")
    one = ModelStore(folder, 1).find(None)
    job = job_of(one, TEXTS)
    assert (job.saliency, job.signed, job.reason) == ("occlusion", True, "found best by an audit of this model")
    about = one.about()
    AboutModel.model_validate(about, strict=True, extra="forbid")
    assert (about["saliency"], about["saliency_reason"]) == (job.saliency, job.reason)
    assert about["saliencies"] == list(one.saliencies)
    assert about["audit"]["best"] == "occlusion"
    assert about["audit"]["margin"] == [0.3, 0.25, 0.35]
    assert about["audit"]["verdict"] == "Show occlusion."


def test_an_audit_that_comes_while_the_model_is_served_is_taken_up(exported, tmp_path):
    folder = Path(shutil.copytree(exported["pct"], tmp_path / "model"))
    store = ModelStore(folder, 1)
    assert store.find(None).default_saliency.name != "occlusion"
    write_audit(folder, "occlusion")
    assert store.refresh()
    assert store.find(None).default_saliency.name == "occlusion"


def test_the_audit_of_a_list_goes_before_that_of_the_folder(exported, tmp_path):
    summary = AuditSummary("l1", "mask", 5, Interval(0.1, 0.05, 0.2), Interval(0.9, 0.8, 1.0), "Show l1.")
    folder = str(exported["pct"])
    entries = [ModelEntry("a", folder, "a", audit=summary.to_dict()), ModelEntry("b", folder, "b")]
    write_entries(tmp_path / "models.json", entries)
    store = ModelStore(tmp_path / "models.json", 1)
    assert store.find("a").default_saliency.name == "l1"
    assert store.find("a").predictor.audit == summary
    assert store.find("b").predictor.audit is None


def test_an_audited_best_that_an_exported_model_does_not_hold_gives_way(exported, tmp_path):
    folder = Path(shutil.copytree(exported["pct"], tmp_path / "model"))
    write_audit(folder, "gim")
    one = ModelStore(folder, 1).find(None)
    assert one.predictor.audited == "gim"
    assert one.default_saliency.name == EVIDENCE["textcnn"]


def test_the_cost_bounds_the_passes_of_the_model(served):
    cases: list[dict[str, Any]] = [{}, {"controls": True}, {"order": "recomputed"}, {"controls": ["naopc_comp"]}]
    cases += [{"saliency": name} for name in ("l2", *FORWARD_ONLY)]
    cases += [{"saliency": name, "order": "recomputed"} for name in ("occlusion", "random")]
    texts = read_texts(TEXTS, LIMITS)
    for asked in cases:
        model, counting = counted(served)
        job = job_of(model, TEXTS, max_steps=200, **asked)
        job.run(texts, math.inf)
        assert job.cost(texts) / 3 < counting.passes <= job.cost(texts), asked
    expensive = job_of(served, TEXTS, saliency="integrated_gradients").cost(texts)
    assert expensive > 10 * job_of(served, TEXTS, saliency="l2").cost(texts)


def test_the_cost_of_occlusion_is_a_pass_a_word(served):
    texts = read_texts(["one two three four five"], LIMITS)
    costs = {name: job_of(served, TEXTS, saliency=name).cost(texts) for name in ("random", "occlusion", "l2")}
    assert costs["occlusion"] - costs["random"] == 5
    assert costs["l2"] - costs["random"] == 2  # a backward pass
    again = job_of(served, TEXTS, saliency="occlusion", order="recomputed").cost(texts)
    # beside a prediction of each reduced text, its own occlusion: of 4, 3 and 2 words; one of one word takes none
    assert again - costs["occlusion"] == 2 * (4 + 3 + 2)


@pytest.mark.parametrize("name", FORWARD_ONLY)
def test_forward_only_saliencies_stop_at_the_deadline_and_give_way(served, name):
    texts = read_texts(TEXTS, LIMITS)
    with pytest.raises(TimeoutError):
        job_of(served, TEXTS, saliency=name).run(texts, time.monotonic() - 1)
    calls: list[int] = []
    turns: list[int] = []
    model, _ = counted(served, lambda: calls.append(len(turns)))
    job_of(model, TEXTS, saliency=name).run(texts, math.inf, lambda: turns.append(0))
    assert calls == list(range(1, len(calls) + 1))  # a turn was offered before each call of the model


def test_the_library_gives_the_same_default(served):
    (theirs,) = pct.explain(served.predictor, TEXTS[:1])
    assert (theirs.saliency_name, theirs.saliency_reason) == served.default_saliency
