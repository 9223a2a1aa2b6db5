"""Saliency against finite differences of the score, in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pct.models.base import without_dropout
from pct.models.heads import SOFTMAX
from pct.saliency import integrated_gradients
from pct.saliency.gradients import gradient_saliency, saliency, sum_by_word
from tests.pct import twins
from tests.pct.small import FAMILIES, LEXICON, small_classifier, small_model, small_words

TEXT = ["leigh's", "film", "is", "full", "of", "memorable", "unfathomable", "joy"]
SHORT = ["a", "goofy", "script"]
OFS = ("log_odds", "probability", "logit")


def tensors(family, texts):
    tokens = small_words(family).encode(texts, 64)
    ids, words = tokens.rows(np.arange(len(texts)))
    return torch.from_numpy(ids), torch.from_numpy(words)


def word_saliency(gradient, embeddings, words, kind="l2"):
    """From the gradients at tokens to one number per word."""
    chosen = gradient_saliency(kind)
    return chosen.word_scores(sum_by_word(chosen.token_scores(gradient, embeddings), words))


def numerical_gradient(model, ids, label, of):
    """Of one text, (length, width)."""
    point = model.embed(ids).detach()[0]

    def scores(stack):
        with torch.no_grad():
            logits = model.encode(stack, torch.ones(stack.shape[:2], dtype=torch.bool)).logits
        return [twins.score(row, label, of) for row in logits.tolist()]

    return twins.finite_differences(scores, point), point


@pytest.mark.parametrize("of", OFS)
@pytest.mark.parametrize("kind", ["l2", "l1", "grad_x_input"])
@pytest.mark.parametrize("family", FAMILIES)
def test_saliency_is_the_finite_difference_of_the_score_a_word(family, kind, of):
    model = small_model(family).double().eval()
    ids, words = tensors(family, [TEXT])
    for label in range(3):
        gradient, point = numerical_gradient(model, ids, label, of)
        expected = twins.of_words(gradient.tolist(), point.tolist(), words[0].tolist(), kind)
        _, found = saliency(model, ids, words, torch.tensor([label]), kind, of)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_of_the_probability_is_that_of_the_log_odds_times_f_times_one_minus_f(family):
    model = small_model(family).double().eval()
    ids, words = tensors(family, [TEXT, SHORT])
    labels = torch.tensor([2, 0])
    logits, of_odds = saliency(model, ids, words, labels, "l2", "log_odds")
    _, of_probability = saliency(model, ids, words, labels, "l2", "probability")
    f = logits.double().softmax(-1)[[0, 1], labels]
    np.testing.assert_allclose(of_probability, of_odds * (f * (1 - f))[:, None], rtol=1e-4, atol=1e-7)


def test_the_log_odds_keep_their_gradient_where_the_probability_rounds_to_one():
    logits = torch.tensor([[60.0, -60.0]], requires_grad=True)
    label = torch.tensor([0])
    (odds,) = torch.autograd.grad(SOFTMAX.score(logits, label, "log_odds").sum(), logits)
    (probability,) = torch.autograd.grad(SOFTMAX.score(logits, label, "probability").sum(), logits)
    assert odds.tolist() == [[1.0, -1.0]]
    assert probability.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("of", OFS)
def test_the_score_of_a_class_is_the_twin_s(of):
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 3.0]])
    labels = torch.tensor([2, 1])
    expected = [twins.score(row, label, of) for row, label in zip(logits.tolist(), labels.tolist(), strict=True)]
    np.testing.assert_allclose(SOFTMAX.score(logits, labels, of), expected, rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_integrated_gradients_are_complete(family):
    """They sum to the score at the text less the score at the zero embedding, every token counted as a word."""
    model = small_model(family).double().eval()
    ids, words = tensors(family, [TEXT])
    mask = words > -2
    everything = torch.arange(ids.shape[1])[None]
    _, found = saliency(model, ids, everything, torch.tensor([1]), "integrated_gradients", "log_odds", steps=400)
    with torch.no_grad():
        point = model.embed(ids)
        ends = [model.encode(p, mask).logits[0].tolist() for p in (point, torch.zeros_like(point))]
    change = twins.score(ends[0], 1, "log_odds") - twins.score(ends[1], 1, "log_odds")
    assert abs(change) > 0.05
    assert float(found.sum()) == pytest.approx(change, rel=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_integrated_gradients_are_the_mean_gradient_at_the_midpoints_of_the_path_of_the_words(family, monkeypatch):
    monkeypatch.setattr(integrated_gradients, "TOLERANCE", math.inf)  # four steps are enough
    model = small_model(family).double().eval()
    ids, words = tensors(family, [SHORT])
    point = model.embed(ids).detach()[0]
    total = torch.zeros_like(point)
    for step in range(4):

        def scores(stack):
            with torch.no_grad():
                logits = model.encode(stack, torch.ones(stack.shape[:2], dtype=torch.bool)).logits
            return [twins.score(row, 0, "log_odds") for row in logits.tolist()]

        part = torch.where((words[0] >= 0)[:, None], (step + 0.5) / 4, 1.0)  # special tokens stay
        total += twins.finite_differences(scores, point * part) / 4
    expected = twins.of_words(total.tolist(), point.tolist(), words[0].tolist(), "integrated_gradients")
    _, found = saliency(model, ids, words, torch.tensor([0]), "integrated_gradients", steps=4)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["l2", "l1", "grad_x_input"])
def test_a_word_of_several_sub_words_takes_one_number_over_all_their_gradients(kind):
    rng = torch.Generator().manual_seed(0)
    gradient, embeddings = torch.randn(2, 6, 3, generator=rng), torch.randn(2, 6, 3, generator=rng)
    words = torch.tensor([[-1, 0, 0, 0, 1, -1], [-1, 0, 1, -1, -2, -2]])
    found = word_saliency(gradient, embeddings, words, kind)
    for row in range(2):
        expected = twins.of_words(gradient[row].tolist(), embeddings[row].tolist(), words[row].tolist(), kind)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


def test_specials_and_padding_give_nothing_to_any_word():
    gradient = torch.zeros(1, 4, 2)
    gradient[0, 0] = gradient[0, 3] = 100.0
    assert word_saliency(gradient, gradient, torch.tensor([[-1, 0, 1, -2]])).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("family", FAMILIES)
def test_saliency_does_not_depend_on_padding_or_on_who_shares_the_batch(family):
    model = small_model(family).eval()
    _, together = saliency(model, *tensors(family, [SHORT, TEXT]), torch.tensor([1, 1]))
    for row, text in enumerate((SHORT, TEXT)):
        _, alone = saliency(model, *tensors(family, [text]), torch.tensor([1]))
        np.testing.assert_allclose(together[row, : len(text)], alone[0], rtol=1e-4, atol=1e-6)
        assert together[row, len(text) :].tolist() == [0.0] * (len(TEXT) - len(text))


@pytest.mark.parametrize("family", FAMILIES)
def test_saliency_is_taken_without_dropout_and_leaves_the_model_in_training(family):
    model = small_model(family, dropout=0.9).train()
    ids, words = tensors(family, [TEXT])
    first, second = (saliency(model, ids, words, torch.tensor([0]))[1] for _ in range(2))
    assert torch.equal(first, second)
    assert all(module.training for module in model.modules())
    np.testing.assert_allclose(first, saliency(model.eval(), ids, words, torch.tensor([0]))[1], rtol=1e-5)


def test_every_module_is_as_before_after_an_error_without_dropout():
    model = small_model("textcnn").train()
    model.dense.eval()
    before = [module.training for module in model.modules()]
    with pytest.raises(KeyError), without_dropout(model):
        raise KeyError("anything")
    assert [module.training for module in model.modules()] == before


@pytest.mark.parametrize("family", FAMILIES)
def test_the_predicted_class_is_explained_where_none_is_given(family):
    model = small_model(family).eval()
    ids, words = tensors(family, [TEXT, SHORT])
    logits, found = saliency(model, ids, words)
    assert torch.equal(found, saliency(model, ids, words, logits.argmax(-1))[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_saliency_asks_for_no_gradient_at_the_weights(family):
    model = small_model(family)
    saliency(model, *tensors(family, [TEXT]))
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", ["l2", "l1", "grad_x_input", "integrated_gradients"])
def test_a_classifier_takes_the_saliency_that_its_settings_name(kind):
    classifier = small_classifier("lstm", saliency=kind, saliency_of="logit", integrated_steps=5)
    ids, words = tensors("lstm", [TEXT])
    expected = saliency(classifier.model, ids, words, torch.tensor([2]), kind, "logit", 5)[1]
    np.testing.assert_allclose(classifier.saliency([TEXT], [2])[0], expected[0], rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=20)
@given(st.lists(st.lists(st.sampled_from(LEXICON), min_size=1, max_size=9), min_size=1, max_size=5))
def test_the_saliency_s_order_is_reproducible(family, texts):
    """Words that occur twice, and so ties, among them: another model of the same seed ranks them alike."""
    classifier = small_classifier(family)
    first, again, other = (c.saliency(texts) for c in (classifier, classifier, small_classifier(family)))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.argsort(-a, kind="stable").tolist() == np.argsort(-b, kind="stable").tolist()
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_saliency_is_near_that_of_float32(family):
    """Mixed precision is for speed: the numbers it gives are finite, float32, and close."""
    full = small_classifier(family).saliency([TEXT], [1])[0]
    mixed = small_classifier(family, precision="bf16").saliency([TEXT], [1])[0]
    assert mixed.dtype == np.float32
    assert np.isfinite(mixed).all()
    assert np.corrcoef(full, mixed)[0, 1] > 0.9


@pytest.mark.parametrize(("what", "call"), [
    ("saliency", lambda: word_saliency(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), torch.zeros(1, 1), "l3")),
    ("saliency_of", lambda: SOFTMAX.score(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), "odds")),
])  # fmt: skip
def test_an_unknown_name_is_refused_with_the_known_ones(what, call):
    with pytest.raises(ValueError, match=f"{what} must be .* got"):
        call()


def test_the_twin_of_finite_differences_knows_a_gradient():
    """sin(a) b has the gradient (cos(a) b, sin(a))."""
    point = torch.tensor([0.3, 2.0], dtype=torch.float64)
    found = twins.finite_differences(lambda stack: [math.sin(a) * b for a, b in stack.tolist()], point)
    np.testing.assert_allclose(found, [math.cos(0.3) * 2.0, math.sin(0.3)], rtol=1e-8)
