"""Classifiers on sentence embeddings as one differentiable model: SetFit, and a body with a logistic regression."""

import numpy as np
import pytest
import torch

import pct
from pct.models.encoder import Transformer
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from pct.training.model_card import save_transformers
from tests.pct.small import small_classifier, small_encoder

sentence_transformers = pytest.importorskip("sentence_transformers")
setfit = pytest.importorskip("setfit")
linear_model = pytest.importorskip("sklearn.linear_model")
multiclass, multioutput = pytest.importorskip("sklearn.multiclass"), pytest.importorskip("sklearn.multioutput")

LABELS = np.array([[1, 0], [0, 0], [1, 1], [0, 1], [0, 0], [1, 1]])
TEXTS = ["a fine film", "slow and dull, but honest", "brilliant!", "the worst of the year", "it is a film", "two hours"]
TWO, THREE = ["good", "bad"] * 3, ["good", "bad", "good", "bad", "neither", "neither"]


@pytest.fixture(scope="module")
def body(minilm):
    return sentence_transformers.SentenceTransformer(str(minilm), device="cpu")


@pytest.fixture(scope="module")
def embeddings(body):
    return body.encode(TEXTS)


def regression(embeddings, labels):
    return linear_model.LogisticRegression(C=10).fit(embeddings, labels)


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two classes", "three classes"])
def test_a_logistic_regression_on_a_body_gives_its_own_probabilities(labels, body, embeddings):
    head = regression(embeddings, labels)
    classifier = pct.wrap(body, head=head)
    assert classifier.classes == sorted(set(labels))
    np.testing.assert_allclose(classifier.predict(TEXTS), head.predict_proba(embeddings), atol=1e-5)


@pytest.mark.parametrize(("fitted", "labels"), [
    (["negative", "positive"] * 3, ["positive", "negative"]),  # classes by name: their order is that of the head
    ([0, 2] * 3, ["negative", "neither", "positive"]),  # by index: the data may lack one
    ([1.0, 0.0] * 3, ["negative", "positive"]),
], ids=["names", "indices", "floats"])  # fmt: skip
def test_the_classes_of_a_setfit_model_have_the_names_that_it_predicts(fitted, labels, body, embeddings):
    model = setfit.SetFitModel(body, regression(embeddings, fitted), labels=labels)
    classifier = pct.wrap(model)
    predicted = [classifier.classes[i] for i in classifier.predict(TEXTS).argmax(1)]
    assert predicted == list(model.predict(TEXTS))
    assert set(predicted) == {"negative", "positive"}


def test_a_class_without_a_label_is_refused(body, embeddings):
    model = setfit.SetFitModel(body, regression(embeddings, [0, 2] * 3), labels=["negative", "positive"])
    with pytest.raises(
        ValueError, match="has the labels negative, positive, and its head the class 2: correct its labels"
    ):
        pct.wrap(model)


@pytest.mark.parametrize("kind", ["one-vs-rest", "multi-output"])
def test_a_regression_for_each_label_gives_its_own_probabilities(kind, body, embeddings, tmp_path):
    wrapper = {"one-vs-rest": multiclass.OneVsRestClassifier, "multi-output": multioutput.MultiOutputClassifier}[kind]
    head = wrapper(linear_model.LogisticRegression(C=10)).fit(embeddings, LABELS)
    model = setfit.SetFitModel(body, head, multi_target_strategy=kind, labels=["kind", "long"])
    classifier = pct.wrap(model)
    own = head.predict_proba(embeddings)
    own = np.stack([one[:, 1] for one in own], 1) if isinstance(own, list) else own
    np.testing.assert_allclose(classifier.predict(TEXTS), own, atol=1e-5)
    assert (classifier.task.several, classifier.classes) == (True, ["kind", "long"])
    assert {e.target for e in pct.explain(classifier, TEXTS)} <= {"kind", "long"}
    again = pct.load(classifier.save(tmp_path / "saved"))
    assert again.task.several
    np.testing.assert_array_equal(again.predict(TEXTS), classifier.predict(TEXTS))


def test_a_differentiable_head_of_several_labels_gives_its_own_probabilities(body):
    model = setfit.SetFitModel(body, setfit.SetFitHead(384, 3, multitarget=True).eval(), labels=["x", "y", "z"])
    classifier = pct.wrap(model)
    assert classifier.task.several
    np.testing.assert_allclose(classifier.predict(TEXTS), model.predict_proba(TEXTS, as_numpy=True), atol=1e-4)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_setfit_model_with_a_differentiable_head_gives_its_own_probabilities(outputs, body):
    head = setfit.SetFitHead(384, outputs, temperature=2.0).eval()
    model = setfit.SetFitModel(model_body=body, model_head=head, labels=["x", "y", "z"][: max(outputs, 2)])
    own = np.asarray(model.predict_proba(TEXTS, as_numpy=True)).reshape(len(TEXTS), -1)
    predicted = pct.wrap(model).predict(TEXTS)
    np.testing.assert_allclose(predicted[:, -own.shape[1] :], own, atol=1e-5)


def test_a_setfit_model_that_normalises_itself_is_wrapped_so(body, embeddings):
    plain = sentence_transformers.SentenceTransformer(modules=[body[0], body[1]], device="cpu")
    model = setfit.SetFitModel(plain, regression(embeddings, TWO), normalize_embeddings=True, labels=["bad", "good"])
    np.testing.assert_allclose(pct.wrap(model).predict(TEXTS), model.predict_proba(TEXTS, as_numpy=True), atol=1e-5)
    model.normalize_embeddings = False
    np.testing.assert_allclose(pct.wrap(model).predict(TEXTS), model.predict_proba(TEXTS, as_numpy=True), atol=1e-5)


def test_it_is_explained_by_the_frozen_gradient_and_saved(body, embeddings, tmp_path):
    classifier = pct.wrap(body, head=regression(embeddings, TWO))
    explanation = pct.explain(classifier, TEXTS[3:4])[0]
    assert classifier.settings.saliency == "frozen_grad_x_input"
    assert explanation.words[int(np.argmax(explanation.saliency))] == "worst"
    again = pct.load(classifier.save(tmp_path))
    np.testing.assert_array_equal(again.predict(TEXTS), classifier.predict(TEXTS))
    with pytest.raises(
        ValueError, match=r"transformers has no classifier that reads the mean of the states, normalized,"
    ):
        save_transformers(classifier, tmp_path / "transformers")


def test_it_is_exported_with_its_pooling_and_normalisation(tmp_path):
    encoder = Transformer(small_encoder(layers=1), 3, dropout=0.0, pooling="mean", normalize=True)
    torch.nn.init.normal_(encoder.dense.weight, std=2.0)
    small = small_classifier("transformer")
    classifier = pct.Classifier(encoder, small.tokenizer, small.classes, small.settings)
    export(classifier, tmp_path / "exported", modified=[])
    exported = OnnxPredictor.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.predict(TEXTS), classifier.predict(TEXTS), atol=1e-4)
    for one, other in zip(exported.saliency(TEXTS), classifier.saliency(TEXTS), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_body_is_not_changed(body, embeddings):
    before = body.encode(TEXTS)
    pct.explain(pct.wrap(body, head=regression(embeddings, TWO)), TEXTS[:2])
    np.testing.assert_array_equal(body.encode(TEXTS), before)


def test_other_heads_and_bodies_are_refused_with_the_way_out(body, embeddings):
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier().fit(embeddings, TWO)
    with pytest.raises(ValueError, match=r"\(DecisionTreeClassifier\) is neither a fitted .*: give pct.predictor_from"):
        pct.wrap(body, head=tree)
    classes = multiclass.OneVsRestClassifier(linear_model.LogisticRegression()).fit(embeddings, THREE)
    with pytest.raises(ValueError, match=r"\(OneVsRestClassifier\) is neither"):  # its probabilities are normalised
        pct.wrap(body, head=classes)
    only_encoder = sentence_transformers.SentenceTransformer(modules=[body[0]], device="cpu")
    with pytest.raises(ValueError, match="unknown setting maxlength"):
        pct.wrap(body, head=regression(embeddings, TWO), maxlength=5)
    with pytest.raises(ValueError, match="is Transformer, not an encoder, its pooling"):
        pct.wrap(only_encoder, head=regression(embeddings, TWO))
