"""An audit that is kept with a model chooses the saliency that explains it, wherever the model is loaded from."""

import json
import logging
import math
from pathlib import Path

import pytest
import torch

import pct
from pct import cli
from pct.auditing.kept import FILE, REGISTERED, AuditSummary, model_digest, read_audit
from pct.metrics.bootstrap import Interval
from pct.onnx.predictor import OnnxPredictor
from pct.saliency.defaults import default_saliency
from tests.audits import small_audit, write_audit
from tests.pct.exported import classifier, traced_once
from tests.pct.models import families
from tests.pct.small import small_classifier

FOUND = "found best by an audit of this model"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a saved TextCNN."""
    return small_classifier("textcnn").save(tmp_path / "model")


def test_the_summary_of_an_audit_passes_through_tags_and_json() -> None:
    summary = AuditSummary.of(small_audit("occlusion"))
    assert (summary.best, summary.removal, summary.texts) == ("occlusion", "delete", 40)
    assert summary.margin == Interval(0.3, 0.25, 0.35)
    assert AuditSummary.from_tags({**summary.to_tags(), "other": "tag"}) == summary
    assert AuditSummary.from_dict(json.loads(json.dumps(summary.to_dict()))) == summary


def test_an_audit_without_a_best_has_tags_too_and_the_numbers_of_a_random_order() -> None:
    summary = AuditSummary.of(small_audit(""))
    tags = summary.to_tags()
    assert (tags["pct.audit.best"], summary.win.value) == ("none", 0.5)
    assert AuditSummary.from_tags(tags) == summary


def test_numbers_that_are_none_pass_through_tags_and_json() -> None:
    nan = Interval(math.nan, math.nan, math.nan)
    summary = AuditSummary("l2", "delete", 1, nan, Interval(-0.5, -0.75, 0.25), "")
    for again in (AuditSummary.from_tags(summary.to_tags()), AuditSummary.from_dict(summary.to_dict())):
        assert again is not None
        assert all(map(math.isnan, again.margin))
        assert again.win == summary.win
    assert summary.to_dict()["margin"] == [None, None, None]


@pytest.mark.parametrize("tags", [{}, {"pct.audit.best": "l2"}, {"margin": "0.1 [0.0, 0.2]"}])
def test_tags_that_hold_no_audit_are_none(tags: dict[str, str]) -> None:
    assert AuditSummary.from_tags(tags) is None


def test_damaged_tags_are_no_audit() -> None:
    tags = AuditSummary.of(small_audit("l1")).to_tags()
    for name, value in (("margin", "high"), ("texts", "many"), ("win", "")):
        assert AuditSummary.from_tags(tags | {f"pct.audit.{name}": value}) is None


def test_a_saved_classifier_is_explained_by_the_best_of_its_audit(model: Path) -> None:
    before = pct.load(model)
    assert (before.audited, before.audit) == ("", None)
    write_audit(model, "occlusion")
    loaded = pct.load(model)
    assert default_saliency(loaded) == ("occlusion", FOUND)
    assert pct.explain(loaded, ["full of joy"])[0].saliency_name == "occlusion"


def test_a_run_keeps_its_audit_beside_its_model_or_with_it(tmp_path: Path) -> None:
    small_classifier("textcnn").save(tmp_path / "run" / "model")
    write_audit(tmp_path / "run" / "model", "l1")
    assert pct.load(tmp_path / "run").audited == "l1"
    write_audit(tmp_path / "run", "occlusion")
    assert pct.load(tmp_path / "run").audited == "occlusion"


def test_a_folder_of_transformers_is_explained_by_the_best_of_its_audit(tmp_path: Path) -> None:
    for part in (families.classifier("BERT", classes=2), families.tokenizer("BERT")):
        part.save_pretrained(tmp_path / "mine")
    write_audit(tmp_path / "mine", "gim")
    assert default_saliency(pct.load(tmp_path / "mine")) == ("gim", FOUND)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "holds no audit"),
        ("[]", "not an audit, or it is damaged"),
        ('{"format": 99}', "format 99"),
        (json.dumps(small_audit("l2").to_dict() | {"judgement": 1}), "not an audit, or it is damaged"),
        (small_audit("l2").to_json(), "belongs to other weights"),
    ],
)
def test_an_audit_that_cannot_be_used_is_ignored_with_one_line(
    model: Path, text: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    (model / FILE).write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING, "pct.audit"):
        loaded = pct.load(model)
    assert loaded.audited == ""
    assert default_saliency(loaded).name == "grad_x_input"
    (line,) = caplog.messages
    assert message in line
    assert str(model) in line
    assert "not used" in line


@pytest.mark.parametrize(
    ("best", "message"), [("", "no saliency that beats a random order"), ("strange", "no saliency is called 'strange'")]
)
def test_a_best_saliency_that_is_none_or_unknown_is_not_used(
    model: Path, best: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_audit(model, best)
    with caplog.at_level(logging.WARNING, "pct.audit"):
        loaded = pct.load(model)
    assert (loaded.audited, default_saliency(loaded).name) == ("", "grad_x_input")
    (line,) = caplog.messages
    assert message in line


def test_a_choice_by_hand_goes_before_the_audit(model: Path) -> None:
    write_audit(model, "occlusion")
    loaded = pct.load(model)
    loaded.settings = loaded.settings.replace(explain_by="l1")
    assert default_saliency(loaded).name == "l1"


def test_an_audit_follows_a_model_into_its_exported_folder(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    write_audit(model, "occlusion")
    assert cli.main(["export", str(model), str(tmp_path / "exported")]) == 0
    predictor = OnnxPredictor.load(tmp_path / "exported")
    assert default_saliency(predictor) == ("occlusion", FOUND)
    kept = read_audit(None, tmp_path / "exported")
    assert kept == predictor.audit
    assert kept is not None
    assert kept.margin == Interval(0.3, 0.25, 0.35)


def test_an_audit_follows_a_model_that_is_saved_again_also_over_itself(model: Path, tmp_path: Path) -> None:
    write_audit(model, "occlusion")
    classifier = pct.load(model, "cpu")
    for folder in (tmp_path / "copy", model):
        assert pct.load(classifier.save(folder), "cpu").audited == "occlusion"


def test_weights_of_any_precision_have_a_digest() -> None:
    own = small_classifier("lstm")
    digest = model_digest(own)
    for precision in (torch.bfloat16, torch.float16):
        own.model.to(precision)
        assert model_digest(own) not in (digest, "")
        digest = model_digest(own)


def test_an_audit_does_not_follow_a_model_whose_weights_have_changed(model: Path, tmp_path: Path) -> None:
    write_audit(model, "occlusion")
    classifier = pct.load(model, "cpu")
    for weights in classifier.model.parameters():
        weights.data += 0.01
    assert not (classifier.save(tmp_path / "copy") / FILE).exists()


def test_an_exported_folder_holds_the_graph_of_the_audited_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("pct.onnx.export.DEFAULT_MODIFIED", ())
    classifier("bert").save(tmp_path / "mine")
    write_audit(tmp_path / "mine", "gim")
    with traced_once():
        assert cli.main(["export", str(tmp_path / "mine"), str(tmp_path / "exported")]) == 0
    assert default_saliency(OnnxPredictor.load(tmp_path / "exported")) == ("gim", FOUND)


def test_an_audit_follows_a_model_that_is_handed_back_to_transformers(tmp_path: Path) -> None:
    for part in (families.classifier("BERT", classes=2), families.tokenizer("BERT")):
        part.save_pretrained(tmp_path / "mine")
    write_audit(tmp_path / "mine", "occlusion")
    assert cli.main(["export", str(tmp_path / "mine"), str(tmp_path / "again"), "--to", "transformers"]) == 0
    assert pct.load(tmp_path / "again").audited == "occlusion"


@pytest.mark.parametrize(
    ("uri", "parts"),
    [("models:/a-b/3", ("a-b", None, "3")), ("models:/a@champion", ("a", "champion", None)), ("models:/m-1", None),
     ("runs:/1/model", None), ("models:/a/3/more", None)],
)  # fmt: skip
def test_a_version_is_told_from_other_names(uri: str, parts: tuple[str, ...] | None) -> None:
    match = REGISTERED.fullmatch(uri)
    assert parts == (None if match is None else match.group("name", "alias", "version"))
