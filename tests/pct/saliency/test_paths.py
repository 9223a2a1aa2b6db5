"""Integrated gradients and the smoothed gradient against loops over one text, one step and one noisy copy at a time."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pct
from pct.explaining.predictor import row_keys
from pct.saliency import integrated_gradients
from pct.saliency.base import SaliencyOptions
from pct.saliency.gradients import gradient_saliency, saliency
from pct.saliency.integrated_gradients import IntegratedGradients
from pct.text.replacement_token import baseline_token, check_baseline
from pct.text.vocabulary import Vocabulary
from tests.pct import twins
from tests.pct.models.families import classifier, tokenizer
from tests.pct.saliency.tiny_transformers import exact, one_text, two_texts

MASK = 8  # the id that stands for a mask token


def score_at(model, point, label, of="log_odds"):
    """Of one text's embeddings (length, width)."""
    with torch.no_grad():
        logits = model.encode(point[None], torch.ones(1, len(point), dtype=torch.bool)).logits[0]
    return twins.score(logits.tolist(), label, of)


def gradient_at(model, point, label):
    return twins.finite_differences(lambda stack: [score_at(model, x, label) for x in stack], point)


def baseline_of(model, point, words, baseline):
    """The start of the path: special tokens stay."""
    token = {"zero": torch.zeros(point.shape[1]), "pad": model.embed(torch.tensor([[0]]))[0, 0],
             "mask": model.embed(torch.tensor([[MASK]]))[0, 0]}[baseline]  # fmt: skip
    return torch.stack([token.to(point).detach() if w >= 0 else x for x, w in zip(point, words, strict=True)])


def integrated(model, ids, words, label, baseline, steps):
    """The attribution of each word of one text, and the change of the output from the baseline to the text."""
    point = model.embed(ids).detach()[0]
    start = baseline_of(model, point, words[0].tolist(), baseline)
    total = torch.zeros_like(point)
    for step in range(steps):
        total += gradient_at(model, start + (point - start) * ((step + 0.5) / steps), label) / steps
    way = (point - start).tolist()
    change = score_at(model, point, label) - score_at(model, start, label)
    return twins.of_words(total.tolist(), way, words[0].tolist(), "integrated_gradients"), change


TOKENS = {"zero": None, "mask": MASK, "pad": 0}


@pytest.mark.parametrize("baseline", ["zero", "mask", "pad"])
def test_integrated_gradients_are_the_loop_s_for_each_baseline(baseline, monkeypatch):
    monkeypatch.setattr(integrated_gradients, "TOLERANCE", np.inf)  # four steps are enough
    model, (ids, words) = exact("bert"), one_text()
    expected, _ = integrated(model, ids, words, 2, baseline, 4)
    options = SaliencyOptions(steps=4, baseline=baseline)
    _, found = gradient_saliency("integrated_gradients", options).attribute(
        model, ids, words, torch.tensor([2]), TOKENS[baseline]
    )
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("baseline", ["zero", "mask", "pad"])
def test_they_sum_to_the_change_of_the_output_where_the_words_alone_move(baseline):
    model, (ids, words) = exact("bert"), one_text()
    _, change = integrated(model, ids, words, 1, baseline, 0)
    options = SaliencyOptions(steps=256, baseline=baseline)
    saliency_of = gradient_saliency("integrated_gradients", options)
    _, found, error = saliency_of.attribute_with_error(model, ids, words, torch.tensor([1]), TOKENS[baseline])
    assert abs(change) > 0.05
    assert float(found.sum()) == pytest.approx(change, rel=1e-3)
    assert float(error[0]) == pytest.approx((float(found.sum()) - change) / max(abs(change), 0.1), abs=1e-5)


def steps_that_ran(monkeypatch):
    """(steps, texts) of each sum over a path, as they run."""
    ran, own = [], IntegratedGradients._mean_gradient

    def counted(self, model, start, end, mask, classes, steps):
        ran.append((steps, len(start)))
        return own(self, model, start, end, mask, classes, steps)

    monkeypatch.setattr(IntegratedGradients, "_mean_gradient", counted)
    return ran


def test_steps_double_until_the_sum_is_within_five_per_cent_and_for_the_texts_that_need_it_alone(monkeypatch):
    ran = steps_that_ran(monkeypatch)
    model, (ids, words) = exact("bert"), two_texts()
    labels = torch.tensor([0, 1])
    needed, expected = [], []
    for row in range(2):
        real, steps = words[row] > -2, 1
        while True:
            one = ids[row : row + 1, real], words[row : row + 1, real]
            scores, change = integrated(model, *one, int(labels[row]), "zero", steps)
            if abs(sum(scores) - change) <= 0.05 * max(abs(change), 0.1) or 2 * steps > integrated_gradients.MOST_STEPS:
                break
            steps *= 2
        needed.append(steps)
        expected.append(scores)
    assert len(set(needed)) == 2  # the texts differ, so that this test can fail
    options = SaliencyOptions(steps=1)
    _, found, error = gradient_saliency("integrated_gradients", options).attribute_with_error(model, ids, words, labels)
    assert ran == [(2**k, sum(2**k <= n for n in needed)) for k in range(20) if 2**k <= max(needed)]
    assert (error.abs() <= 0.05).all()
    for row in range(2):
        count = len(expected[row])
        np.testing.assert_allclose(found[row, :count], expected[row], rtol=1e-3, atol=1e-3)
        assert (found[row, count:] == 0).all()


def test_steps_end_where_twice_as_many_would_be_too_many(monkeypatch):
    monkeypatch.setattr(integrated_gradients, "TOLERANCE", -1.0)
    monkeypatch.setattr(integrated_gradients, "MOST_STEPS", 200)
    ran = steps_that_ran(monkeypatch)
    model, (ids, words) = exact("bert"), one_text(4)
    gradient_saliency("integrated_gradients", SaliencyOptions(steps=40)).attribute(model, ids, words, None)
    assert [steps for steps, _ in ran] == [40, 80, 160]


@pytest.mark.parametrize("padding", [0, 1, 7, None])
def test_the_padding_token_is_the_tokenizer_s_own(padding):
    words = SimpleNamespace(tokenizer=SimpleNamespace(pad_token_id=padding))
    assert baseline_token(words, "pad") == padding
    assert baseline_token(Vocabulary(["film"]), "pad") == 0


@pytest.mark.parametrize(("baseline", "token"), [("pad", "pad_token_id"), ("mask", "mask_token_id")])
def test_a_classifier_starts_the_path_at_the_token_of_its_tokenizer(baseline, token):
    """RoBERTa's padding is not the first entry of its vocabulary."""
    words = tokenizer("RoBERTa")
    made = pct.wrap(
        classifier("RoBERTa"), words, integrated_baseline=baseline, saliency_of="logit", saliency="integrated_gradients"
    )
    tokens = made.tokens([["the", "film", "is", "good"]])
    ids, of_words = (torch.from_numpy(x) for x in tokens.rows(np.array([0])))
    chosen = gradient_saliency("integrated_gradients", SaliencyOptions("logit", baseline=baseline))
    right, wrong = (
        chosen.attribute(made.model, ids, of_words, None, place)[1][0].numpy() for place in (getattr(words, token), 0)
    )
    (found,) = made.saliency(["the film is good"])
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
    assert np.abs(found - wrong).max() > 1e-3


@pytest.mark.parametrize(("baseline", "token"), [("pad", "pad_token"), ("mask", "mask_token")])
def test_training_from_a_token_that_the_tokenizer_lacks_is_refused(baseline, token):
    words = SimpleNamespace(tokenizer=SimpleNamespace(mask_token=None, unk_token=None, pad_token_id=None))
    message = f"baseline {baseline}: the model's tokenizer has no {baseline} token"
    with pytest.raises(ValueError, match=message):
        check_baseline(words, "integrated_gradients", baseline)
    check_baseline(words, "integrated_gradients", "zero")
    check_baseline(words, "l2", baseline)


def test_a_mask_baseline_without_a_mask_token_is_refused():
    model, (ids, words) = exact("bert"), one_text()
    chosen = gradient_saliency("integrated_gradients", SaliencyOptions(baseline="mask"))
    with pytest.raises(ValueError, match="baseline mask: the model's tokenizer has no mask token; use baseline zero"):
        chosen.attribute(model, ids, words, None)


@pytest.mark.parametrize("samples", [None, 3])
def test_the_smoothed_gradient_is_the_loop_s_over_the_same_noise(samples):
    model, (ids, words) = exact("bert"), one_text()
    point, inside = model.embed(ids).detach()[0], (words[0] >= 0).tolist()
    key = row_keys(ids[0].numpy(), np.array([ids.shape[1]]))[0]
    numbers = [x for row, real in zip(point.tolist(), inside, strict=True) if real for x in row]
    deviation = 0.1 * float(np.std(numbers))
    norms = []
    for sample in range(samples or 8):
        generator = np.random.default_rng([3, sample, *map(int, key)])
        noise = generator.standard_normal(tuple(point.shape), np.float32).astype(np.float64)
        noise[~np.array(inside)] = 0.0
        gradient = gradient_at(model, point + deviation * torch.from_numpy(noise), 1)
        norms.append(twins.of_words(gradient.tolist(), point.tolist(), words[0].tolist(), "l2"))
    options = SaliencyOptions(samples=samples, seed=3)
    _, found = gradient_saliency("smooth_grad", options).attribute(model, ids, words, torch.tensor([1]))
    np.testing.assert_allclose(found[0], np.mean(norms, 0), rtol=1e-3)
    _, plain = saliency(model, ids, words, torch.tensor([1]), "l2")
    assert np.abs(found - plain).max() > 1e-3  # noise changes the numbers


def test_the_noise_depends_on_the_seed_and_the_text_alone():
    model, (ids, words) = exact("bert"), two_texts()
    labels = torch.tensor([1, 1])

    def smooth(rows, seed=0):
        return gradient_saliency("smooth_grad", SaliencyOptions(seed=seed)).attribute(
            model, ids[rows], words[rows], labels[rows]
        )[1]

    first = smooth(slice(0, 2))
    assert torch.equal(first, smooth(slice(0, 2)))
    torch.testing.assert_close(first[:1], smooth(slice(0, 1)), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(first, smooth(slice(0, 2), seed=1), rtol=1e-3)
