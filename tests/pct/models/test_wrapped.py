"""Classifiers that exist: their own logits, whatever their family, and what cannot be had refused in a line."""

import copy

import numpy as np
import pytest
import torch

import pct
from pct.models.heads import SOFTMAX
from pct.text.words import split_all
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


def wrapped(name, **settings):
    return pct.wrap(classifier(name), tokenizer(name), name, **settings)


def by_transformers(name, texts):
    """Logits of each text alone, as transformers gives them."""
    model, words = classifier(name), tokenizer(name)
    cut = {"truncation": True, "max_length": FAMILIES[name].longest} if FAMILIES[name].longest else {}
    with torch.no_grad():
        return np.concatenate([model(**words(t, return_tensors="pt", **cut)).logits.numpy() for t in texts])


def log_odds_of(probabilities):
    return np.log(probabilities) - np.log(probabilities).mean(1, keepdims=True)


def test_logits_are_transformers_own_alone_and_in_a_batch_of_mixed_lengths(family):
    texts = [*TEXTS, " ".join(TEXTS)]
    made, wanted = wrapped(family), by_transformers(family, texts)
    wanted = wanted - wanted.mean(1, keepdims=True)
    together = made.predict(texts)
    alone = np.concatenate([made.predict([t]) for t in texts])
    np.testing.assert_allclose(log_odds_of(together), wanted, atol=1e-5 * max(1, np.abs(wanted).max()))
    np.testing.assert_allclose(log_odds_of(alone), wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


def test_its_classes_and_its_longest_text_are_its_own(family):
    made = wrapped(family)
    assert made.classes == ["negative", "positive", "neither"]
    assert made.settings.max_length == (FAMILIES[family].longest or 2**20)


def test_saliency_is_the_gradient_at_the_word_embeddings(family):
    """Against central differences in float64 along a direction a token, of texts that are padded. Some families take
    norms or rotations in float32 whatever they are given: there the step is larger, and so is the tolerance."""
    made = wrapped(family)
    model, of = copy.deepcopy(made.model).double(), made.settings.saliency_of
    tokens = made.tokens(split_all(TEXTS[3:]))
    ids, words = (torch.from_numpy(x) for x in tokens.rows(np.arange(3)))
    target = torch.tensor([0, 1, 2])
    embeddings = model.embed(ids).detach()

    def score(at):
        return SOFTMAX.score(model.encode(at, words > -2).logits, target, of).sum()

    point = embeddings.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(point), point)
    assert (gradient[words == -2] == 0).all()
    step, tolerance = (1e-3, 1e-2) if family in {"ModernBERT", "Llama", "Qwen3", "T5"} else (1e-6, 1e-6)
    rng = torch.Generator().manual_seed(0)
    for place in [(0, 0), (0, 3), (1, 0), (1, 1), (2, 5), (2, 9)]:
        direction = torch.zeros_like(embeddings)
        direction[place] = torch.randn(embeddings.shape[-1], generator=rng, dtype=torch.float64)
        with torch.no_grad():
            slope = (score(embeddings + step * direction) - score(embeddings - step * direction)) / (2 * step)
        loose = tolerance * float(gradient.abs().max())
        assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=tolerance, abs=loose)


def test_saved_and_loaded_it_is_the_same(family, tmp_path):
    before = wrapped(family, saliency="l1")
    after = pct.load(before.save(tmp_path / "model"), "cpu")
    assert (after.classes, after.settings) == (before.classes, before.settings)
    np.testing.assert_array_equal(after.predict(TEXTS), before.predict(TEXTS))
    for a, b in zip(after.saliency(TEXTS), before.saliency(TEXTS), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_folder_of_transformers_is_loaded_with_its_head(family, tmp_path):
    classifier(family).save_pretrained(tmp_path)
    tokenizer(family).save_pretrained(tmp_path)
    loaded = pct.load(tmp_path, "cpu")
    np.testing.assert_allclose(loaded.predict(TEXTS), wrapped(family).predict(TEXTS), atol=1e-6)
    assert loaded.classes == ["negative", "positive", "neither"]


def test_the_representation_is_what_the_head_s_last_layer_reads(family):
    made = wrapped(family)
    tokens = made.tokens(split_all(TEXTS))
    ids, words = (torch.from_numpy(x) for x in tokens.rows(np.arange(len(TEXTS))))
    with torch.no_grad():
        logits, representation = made.model(ids, words > -2)
        np.testing.assert_allclose(made.model.dense(representation), logits, atol=1e-6)
    assert representation.shape == (len(TEXTS), 16)


def test_a_setting_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="unknown setting maxlength; known: corpus, model"):
        wrapped("BERT", maxlength=5)
