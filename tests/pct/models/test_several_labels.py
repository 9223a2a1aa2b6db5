"""Classifiers of several labels of the transformers library: its own sigmoids, saved, converted and exported."""

import numpy as np
import pytest
import torch

import pct
from pct.models.to_transformers import to_transformers
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from tests.pct.exported import classifier as exported_classifier
from tests.pct.exported import traced_once
from tests.pct.models.families import TEXTS, classifier, tokenizer
from tests.pct.several import several_classifier
from tests.pct.small import small_texts

SEVERAL = {"problem_type": "multi_label_classification"}


def own_sigmoids(model, family):
    encode = tokenizer(family)
    with torch.no_grad():
        rows = [model.eval()(**encode(text, return_tensors="pt")).logits.sigmoid()[0] for text in TEXTS]
    return torch.stack(rows).numpy()


def test_the_configuration_states_several_labels():
    wrapped = pct.wrap(classifier("BERT", **SEVERAL), tokenizer("BERT"))
    assert wrapped.task.several
    assert wrapped.settings.multi_label


def test_the_head_may_be_given():
    model = classifier("BERT")
    assert not pct.wrap(model, tokenizer("BERT")).task.several
    wrapped = pct.wrap(model, tokenizer("BERT"), head="sigmoid", threshold=0.3)
    assert wrapped.task.threshold == 0.3
    np.testing.assert_allclose(wrapped.predict(TEXTS), own_sigmoids(model, "BERT"), atol=1e-5)
    assert not pct.wrap(classifier("BERT", **SEVERAL), tokenizer("BERT"), head="softmax").task.several


def test_predictions_name_the_assigned_labels():
    wrapped = pct.wrap(classifier("BERT", **SEVERAL), tokenizer("BERT"))
    for one in pct.predict(wrapped, TEXTS):
        assert one.labels == [name for name, p in one.probabilities.items() if p >= 0.5]
        assert one.confidence == max(one.probabilities.values())
        assert one.to_dict()["labels"] == one.labels
    assert "labels" in pct.predict(wrapped, TEXTS).to_pandas()
    single = pct.predict(pct.wrap(classifier("BERT"), tokenizer("BERT")), TEXTS)
    assert "labels" not in single[0].to_dict()


def test_a_saved_model_keeps_its_task_and_threshold(tmp_path):
    wrapped = pct.wrap(classifier("BERT", **SEVERAL), tokenizer("BERT"), threshold=0.3)
    again = pct.load(wrapped.save(tmp_path / "saved"))
    assert (again.task, again.model.task_kind) == (wrapped.task, "sigmoid")
    np.testing.assert_array_equal(again.predict(TEXTS), wrapped.predict(TEXTS))
    assert pct.load(tmp_path / "saved", threshold=0.7).task.threshold == 0.7
    with pytest.raises(ValueError, match=r"threshold 0\.7: the model chooses one class of several.*head to sigmoid"):
        pct.load(pct.wrap(classifier("BERT"), tokenizer("BERT")).save(tmp_path / "one"), threshold=0.7)


@pytest.mark.parametrize("own_head", [True, False])
def test_transformers_reads_several_labels(tmp_path, own_head):
    own = pct.wrap(classifier("BERT", **SEVERAL), tokenizer("BERT"))
    labeller = own if own_head else several_classifier("transformer")
    converted = to_transformers(labeller.model, labeller.classes)
    assert converted.config.problem_type == "multi_label_classification"
    converted.save_pretrained(tmp_path)
    labeller.tokenizer.save_files(tmp_path)
    again = pct.load(tmp_path)
    assert again.task.several
    np.testing.assert_allclose(again.predict(TEXTS[:3]), labeller.predict(TEXTS[:3]), atol=1e-4)


@pytest.mark.parametrize(
    ("family", "of"),
    [("textcnn", "log_odds"), ("textcnn", "probability"), ("lstm", "log_odds"), ("transformer", "probability")],
)
def test_an_exported_model_equals_torch(tmp_path, family, of):
    labeller = several_classifier(family, layers=1, saliency_of=of, threshold=0.4, max_length=24)
    modified = ["frozen_grad_x_input"] if family == "transformer" else []
    if family == "transformer":
        labeller.model.load_state_dict(exported_classifier("bert").model.state_dict())  # which are traced
    with traced_once():
        export(labeller, tmp_path / "onnx", modified=modified)
    exported = OnnxPredictor.load(tmp_path / "onnx", threads=1)
    texts = small_texts(10, seed=7)
    assert exported.task == labeller.task
    np.testing.assert_allclose(exported.predict(texts), labeller.predict(texts), atol=1e-5)
    labels = np.arange(10) % 3
    for kind in ("l2", "grad_x_input", "integrated_gradients", *modified):
        ours, theirs = (m.saliency(texts, labels, by=kind) for m in (exported, labeller))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4)
    ours, theirs = (pct.explain(m, texts, saliency="l2") for m in (exported, labeller))
    assert [(e.text, e.target, e.verdict.kind) for e in ours] == [(e.text, e.target, e.verdict.kind) for e in theirs]
