"""The saliency of one of several labels: the gradient of its own logit, held against finite differences."""

import copy

import numpy as np
import pytest
import torch

import pct
from pct.models.base import without_dropout
from pct.models.heads import SIGMOID
from pct.saliency.base import SaliencyOptions
from pct.saliency.gradients import gradient_saliency
from pct.tasks import SeveralLabels
from tests.pct import twins
from tests.pct.several import several_classifier
from tests.pct.small import small_texts

TEXT = "the film is a work of force"


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def double(family, **settings):
    """A classifier in float64, and the ids and words of a text."""
    classifier = several_classifier(family, words="spaces", **settings)
    model = copy.deepcopy(classifier.model).double()
    ids, words = classifier.tokens([TEXT.split()]).rows(np.array([0]))
    return model, torch.from_numpy(ids), torch.from_numpy(words)


def by_differences(model, ids, words, score, kind="l2"):
    """The saliency of a scalar of the logits, by finite differences at the embeddings."""
    with torch.no_grad(), without_dropout(model):
        point = model.embed(ids)[0]
        gradient = twins.finite_differences(
            lambda at: [float(score(model.encode(one[None], words > -2).logits[0])) for one in at], point
        )
    return twins.of_words(gradient.tolist(), point.tolist(), words[0].tolist(), kind)


@pytest.mark.parametrize("family", ["textcnn", "lstm", "transformer"])
@pytest.mark.parametrize("of", ["log_odds", "probability", "logit"])
def test_the_gradient_is_that_of_the_label_s_own_output(family, of):
    model, ids, words = double(family)
    for label in (0, 2):
        chosen = torch.tensor([label])
        _, scores = gradient_saliency("l2", SaliencyOptions(of)).attribute(model, ids, words, chosen)
        expected = by_differences(
            model, ids, words, lambda z, k=label: torch.sigmoid(z[k]) if of == "probability" else z[k]
        )
        np.testing.assert_allclose(scores[0].numpy(), expected, rtol=1e-3, atol=1e-6)


def test_in_training_it_is_that_of_the_mean_of_the_true_labels():
    model, ids, words = double("transformer")
    _, scores = gradient_saliency("grad_x_input").attribute(model, ids, words, torch.tensor([[True, False, True]]))
    expected = by_differences(model, ids, words, lambda z: (z[0] + z[2]) / 2, "grad_x_input")
    np.testing.assert_allclose(scores[0].numpy(), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["l2", "smooth_grad", "integrated_gradients"])
def test_in_training_a_text_without_labels_has_that_of_the_most_probable_one(kind):
    model, ids, words = double("textcnn")
    saliency = gradient_saliency(kind)
    logits, ours = saliency.attribute(model, ids, words, torch.tensor([[False, False, False]]))
    _, expected = saliency.attribute(model, ids, words, logits.argmax(-1))
    np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-6)


def test_integrated_gradients_sum_to_the_change_of_the_logit():
    from pct.saliency.integrated_gradients import IntegratedGradients

    model, ids, words = double("lstm")
    logits, scores, _ = IntegratedGradients(SaliencyOptions(steps=128)).attribute_with_error(
        model, ids, words, torch.tensor([1])
    )
    with torch.no_grad(), without_dropout(model):
        start = model.encode(torch.zeros_like(model.embed(ids)), words > -2).logits
    assert float(scores.sum()) == pytest.approx(float(logits[0, 1] - start[0, 1]), rel=0.05)


@pytest.mark.parametrize("name", ["occlusion", "lime", "kernel_shap"])
def test_occlusion_is_the_drop_of_the_label_s_log_odds(name):
    classifier = several_classifier("transformer", words="spaces")
    (scores,) = classifier.saliency([TEXT], [1], by=name)
    assert np.isfinite(scores).all()
    if name == "occlusion":
        words = TEXT.split()

        def log_odds(some):
            p = float(classifier.predict([" ".join(some)])[0, 1])
            return np.log(p) - np.log(1 - p)

        expected = [log_odds(words) - log_odds(twins.without(words, [i])) for i in range(len(words))]
        np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("of", ["log_odds", "probability", "logit"])
def test_the_task_and_the_head_are_twins(of):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (20, 4)).astype(np.float32)
    labels, task = rng.integers(0, 4, 20), SeveralLabels()
    tensors = torch.from_numpy(logits), torch.from_numpy(labels)
    np.testing.assert_allclose(task.score(logits, labels, of), SIGMOID.score(*tensors, of).numpy(), rtol=1e-5)
    np.testing.assert_allclose(task.probabilities(logits), SIGMOID.probabilities(tensors[0]).numpy(), rtol=1e-5)
    own = logits[np.arange(20), labels].astype(np.float64)
    np.testing.assert_allclose(task.log_odds(sigmoid(logits.astype(np.float64)), labels), own, rtol=1e-6)


def test_each_assigned_label_is_explained():
    classifier = several_classifier("textcnn", threshold=0.5)
    texts = small_texts(12, seed=5)
    probabilities = classifier.predict(texts)
    explanations = pct.explain(classifier, texts)
    expected = []
    for text, row in zip(texts, probabilities, strict=True):
        labels = [i for i, p in enumerate(row) if p >= 0.5] or [int(row.argmax())]
        expected += [(text, classifier.classes[i], float(row[i])) for i in labels]
    assert [(e.text, e.target) for e in explanations] == [(text, name) for text, name, _ in expected]
    for e, (_, name, p) in zip(explanations, expected, strict=True):
        assert e.confidence == pytest.approx(p, abs=1e-6)
        assert e.predicted == (name if p >= 0.5 else f"not {name}")
        assert e.certainty == pytest.approx(max(p, 1 - p), abs=1e-6)
        assert e.assigned == [x for x in classifier.classes if e.probabilities[x] >= 0.5]


def test_targets_name_the_labels():
    classifier = several_classifier("textcnn")
    texts = small_texts(2, seed=5)
    assert [e.target for e in pct.explain(classifier, texts, target="neither")] == ["neither", "neither"]
    given = [["neither", "negative"], "positive"]
    assert [e.target for e in pct.explain(classifier, texts, target=given)] == ["negative", "neither", "positive"]
    with pytest.raises(ValueError, match="target 'angry' is not one of negative, positive, neither"):
        pct.explain(classifier, texts, target="angry")


def test_a_flip_is_the_crossing_of_the_threshold():
    classifier = several_classifier("textcnn", threshold=0.4)
    for e in pct.explain(classifier, small_texts(12, seed=6)):
        for curve in (e.important, e.unimportant):
            crossed = [(p >= 0.4) != (e.confidence >= 0.4) for p in curve.confidences]
            assert curve.flips_at == (crossed.index(True) if any(crossed) else None)
            assert curve.labels == [e.target if p >= 0.4 else f"not {e.target}" for p in curve.confidences[1:]]


def test_the_dictionary_of_an_explanation_is_read_back():
    from pct.explaining.explanation import Explanation

    (e, *_) = pct.explain(several_classifier("textcnn", threshold=0.4), [TEXT])
    values = e.to_dict()
    assert (values["threshold"], values["assigned"]) == (0.4, e.assigned)
    assert Explanation.from_dict(values).to_dict() == values


def test_the_dictionary_of_one_class_has_no_new_keys():
    from tests.pct.small import small_classifier

    (e,) = pct.explain(small_classifier("textcnn"), [TEXT])
    assert not {"threshold", "assigned"} & set(e.to_dict())


def test_an_audit_measures_pairs():
    from tests.pct.several import several_rows

    rows = several_rows(20)
    classifier = several_classifier("textcnn")
    classifier.classes = ["angry", "food", "happy"]
    result = pct.audit(classifier, rows, ["l2", "occlusion"], budget="cheap")
    assert result.facts["accuracy"] is not None
    assert {row.saliency for row in result.rows} == {"l2", "occlusion", "random"}
