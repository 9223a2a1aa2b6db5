"""Occlusion, LIME, Kernel SHAP and random numbers against loops over one text at a time, sklearn and lime's package."""

import itertools
import math

import numpy as np
import pytest

from pct.explaining.reduced_texts import ReducedTexts
from pct.saliency import kernel_shap, lime, make_saliency, saliencies
from pct.saliency.base import SaliencyOptions
from pct.saliency.kernel_shap import coalitions
from tests.pct.saliency.text_twin import OneText
from tests.pct.small import FAMILIES, small_classifier, small_texts, tokenizer
from tests.pct.toy import WEIGHTS, Scale

TEXTS = [*small_texts(6, seed=3, longest=6), "film", "joy rising", "unfathomable goofy script is a work"]
LONG = [text for text in small_texts(40, seed=5, longest=11) if len(text.split()) > 8][:3]


class MaskedScale(Scale):
    """A `Scale` whose unknown word, of weight 0, stands for a mask."""

    def replacement_token_id(self, removal):
        return 1


def one_text(classifier, family, text, masked=False):
    words = text.split()
    if not masked:
        return OneText(classifier, words)
    # a word of several sub-words takes as many masks
    masks = {w: ["[MASK]"] * len(tokenizer().tokenize(w)) if family == "transformer" else ["unseen"] for w in words}
    return OneText(classifier, words, masks)


def scores_of(classifier, texts, name, **options):
    saliency = saliencies.get(name)(SaliencyOptions(**options))
    saliency.name = name
    saliency.check(classifier)
    tokens = classifier.tokens([text.split() for text in texts])
    _, scores = saliency.explain_tokens(classifier, tokens)
    return [row[:n] for row, n in zip(scores, tokens.counts, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
def test_occlusion_is_the_log_odds_that_are_lost_without_each_word(family):
    classifier = small_classifier(family, seed=2)
    for text, found in zip(TEXTS, scores_of(classifier, TEXTS, "occlusion"), strict=True):
        one, n = one_text(classifier, family, text), len(text.split())
        label = one.label()
        whole = one.log_odds([True] * n, label)
        expected = [whole - one.log_odds([j != i for j in range(n)], label) for i in range(n)] if n > 1 else [0.0]
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("of", ["probability", "log_odds"])
def test_occlusion_of_additive_words_is_their_weight(of):
    scale = Scale()
    found = scores_of(scale, ["superb bad the slow"], "occlusion", of=of)[0]
    if of == "log_odds":
        np.testing.assert_allclose(found, [4.0, -2.0, 0.0, -1.0], atol=1e-4)
    else:
        f = [1 / (1 + math.exp(-x)) for x in (1.0, -3.0, 3.0, 1.0, 2.0)]
        np.testing.assert_allclose(found, [f[0] - x for x in f[1:]], atol=1e-5)


def test_occlusion_survives_probabilities_that_round_to_one():
    scale = Scale({"huge": 300.0, "small": 1.0})
    found = scores_of(scale, ["huge small"], "occlusion")[0]
    assert np.isfinite(found).all()
    assert found[0] > found[1]


def spied(monkeypatch, module, name):
    """The arguments and the result of each call of a function of a module."""
    calls, own = [], getattr(module, name)

    def spy(*args):
        result = own(*args)
        calls.append((*args, result))
        return result

    monkeypatch.setattr(module, name, spy)
    return calls


@pytest.mark.parametrize("family", FAMILIES)
def test_lime_is_the_ridge_regression_of_its_samples(family, monkeypatch):
    from sklearn.linear_model import Ridge

    calls = spied(monkeypatch, lime, "ridge")
    classifier, texts = small_classifier(family, seed=2), [*LONG[:2], "joy rising above"]
    found = scores_of(classifier, texts, "lime", samples=40)
    for row, (text, (present, values, weights, _)) in enumerate(zip(texts, calls, strict=True)):
        one, n = one_text(classifier, family, text), len(text.split())
        label = one.label()
        assert present[0].tolist() == [1.0] * n
        assert set(present[1:].sum(1)) == set(range(1, n))  # 1 to N - 1 words are left
        for sample in range(0, 41, 5):
            there = [bool(x) for x in present[sample]]
            assert values[sample] == pytest.approx(one.log_odds(there, label), abs=1e-3)
            distance = 100 * (1 - sum(there) / math.sqrt(sum(there) * n))
            assert weights[sample] == pytest.approx(math.sqrt(math.exp(-(distance**2) / 25**2)))
        expected = Ridge(alpha=1.0).fit(present, values, sample_weight=weights).coef_
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-4)


def test_lime_gives_what_the_authors_package_gives_for_the_same_samples(monkeypatch):
    base = pytest.importorskip("lime.lime_base", reason="lime is not installed")
    from sklearn.metrics import pairwise_distances

    calls = spied(monkeypatch, lime, "ridge")
    found = scores_of(small_classifier("lstm", seed=2), LONG, "lime")
    explainer = base.LimeBase(lambda distance: np.sqrt(np.exp(-(distance**2) / 25**2)))
    for row, (data, values, _, _) in enumerate(calls):
        distances = 100 * pairwise_distances(data, data[:1], metric="cosine").ravel()
        _, pairs, *_ = explainer.explain_instance_with_data(data, values[:, None], distances, 0, data.shape[1], "none")
        expected = [weight for _, weight in sorted(pairs)]
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-4)


def test_lime_draws_each_number_of_missing_words_equally_often(monkeypatch):
    calls = spied(monkeypatch, lime, "ridge")
    scores_of(Scale(), ["superb good fine the slow"], "lime", samples=4000)
    present = calls[0][0][1:]
    assert np.bincount(present.sum(1).astype(int)).tolist() == pytest.approx([0, 1000, 1000, 1000, 1000], abs=120)
    assert present.mean(0).tolist() == pytest.approx([0.5] * 5, abs=0.04)


def shapley_values(one, label):
    """By the definition: the mean gain of a word over all orders, from all subsets."""
    n = len(one.words)
    value = {s: one.log_odds([i in s for i in range(n)], label) for s in _subsets(range(n))}
    out = []
    for i in range(n):
        rest = [j for j in range(n) if j != i]
        out.append(sum(
            math.factorial(len(s)) * math.factorial(n - len(s) - 1) / math.factorial(n) * (value[s | {i}] - value[s])
            for s in _subsets(rest)
        ))  # fmt: skip
    return out


def _subsets(items):
    items = list(items)
    return [frozenset(s) for k in range(len(items) + 1) for s in itertools.combinations(items, k)]


@pytest.mark.parametrize("family", FAMILIES)
def test_kernel_shap_of_short_texts_is_the_shapley_values(family):
    classifier = small_classifier(family, seed=2)
    assert max(len(text.split()) for text in TEXTS) == 6
    for text, found in zip(TEXTS, scores_of(classifier, TEXTS, "kernel_shap"), strict=True):
        one = one_text(classifier, family, text, masked=True)
        expected = shapley_values(one, one.label()) if len(text.split()) > 1 else [0.0]
        np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_kernel_shap_of_longer_texts_is_the_constrained_least_squares_of_its_samples(family, monkeypatch):
    calls = spied(monkeypatch, kernel_shap, "shapley")
    classifier = small_classifier(family, seed=2)
    found = scores_of(classifier, LONG, "kernel_shap")
    for row, (text, (present, values, weights, total, _)) in enumerate(zip(LONG, calls, strict=True)):
        one, n = one_text(classifier, family, text, masked=True), len(text.split())
        label = one.label()
        empty = one.log_odds([False] * n, label)
        assert total == pytest.approx(one.log_odds([True] * n, label) - empty, abs=1e-3)
        assert len(present) == 100
        assert sorted(map(tuple, present.tolist())) == sorted(map(tuple, (~present).tolist()))  # with complements
        for sample in range(0, 100, 9):
            assert values[sample] == pytest.approx(one.log_odds(present[sample].tolist(), label) - empty, abs=1e-3)
        # the last word takes what is left of the sum: no constraint remains
        weight = np.sqrt(weights)[:, None]
        design = present[:, :-1].astype(float) - present[:, -1:]
        free = np.linalg.lstsq(weight * design, weight[:, 0] * (values - total * present[:, -1]), rcond=None)[0]
        np.testing.assert_allclose(found[row], [*free, total - free.sum()], atol=1e-3)
        assert found[row].sum() == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("text", ["superb bad the", "superb good fine the slow bad dreadful the good slow"])
@pytest.mark.parametrize("name", ["kernel_shap", "occlusion"])
def test_additive_words_have_their_weights(name, text):
    sign = 1 if sum(WEIGHTS[w] for w in text.split()) > 0 else -1
    found = scores_of(MaskedScale(), [text], name)[0]
    np.testing.assert_allclose(found, [sign * WEIGHTS[w] for w in text.split()], atol=1e-3)


@pytest.mark.parametrize("samples", [100, 31])
def test_coalitions_have_the_sizes_of_the_shapley_kernel(samples):
    n = 12
    sizes = np.zeros(n + 1)
    for seed in range(400):
        present, weights = coalitions(n, samples, np.random.default_rng(seed))
        assert len(present) == samples + samples % 2
        assert (weights == 1).all()
        sizes += np.bincount(present.sum(1), minlength=n + 1)
    kernel = [0.0, *((n - 1) / (k * (n - k)) for k in range(1, n)), 0.0]
    np.testing.assert_allclose(sizes / sizes.sum(), np.array(kernel) / sum(kernel), atol=0.01)


def test_kernel_shap_of_a_predictor_without_a_mask_token_is_refused():
    with pytest.raises(ValueError, match="saliency kernel_shap needs a mask token, which a Scale does not have"):
        make_saliency("kernel_shap").check(Scale())


@pytest.mark.parametrize("name", ["random", "lime", "kernel_shap"])
def test_what_is_drawn_depends_on_the_seed_and_the_text_alone(name):
    classifier = small_classifier("lstm", seed=2)
    together = scores_of(classifier, LONG, name)
    backwards = scores_of(classifier, ["film", *LONG[::-1]], name)[:0:-1]
    other = scores_of(classifier, LONG, name, seed=1)
    for row, text in enumerate(LONG):
        alone = scores_of(classifier, [text], name)[0]
        np.testing.assert_allclose(together[row], alone, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(together[row], backwards[row], rtol=1e-4, atol=1e-5)
        assert not np.allclose(together[row], other[row], rtol=1e-3)


@pytest.mark.parametrize("name", ["random", "occlusion", "lime", "kernel_shap"])
def test_no_texts_have_no_saliency(name):
    assert small_classifier("lstm").saliency([], by=name) == []


@pytest.mark.parametrize("name", ["occlusion", "lime", "kernel_shap"])
def test_many_texts_are_explained_some_at_a_time(name, monkeypatch):
    classifier, texts = small_classifier("lstm", seed=2), ["film", *LONG, "joy rising"]
    together = scores_of(classifier, texts, name, samples=20)
    asked, own = [], ReducedTexts.probabilities
    monkeypatch.setattr("pct.saliency.base.TOKENS_AT_ONCE", 20 * 11)
    monkeypatch.setattr(ReducedTexts, "probabilities", lambda *args: [asked.append(len(args[1])), own(*args)][1])
    for one, other in zip(scores_of(classifier, texts, name, samples=20), together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert len(asked) > 2  # the whole texts, and the reduced ones in parts
    assert max(asked) < 20 + 22


def test_random_numbers_know_nothing_of_the_class_and_the_place():
    texts = small_texts(400, seed=9)
    long = [t for t in texts if len(t.split()) == 11]
    found = np.stack(scores_of(Scale(dict.fromkeys(" ".join(texts).split(), 1.0)), long, "random"))
    assert len(found) > 20
    assert found.min() >= 0
    assert found.max() < 1
    assert np.abs(found.mean(0) - 0.5).max() < 4 * math.sqrt(1 / 12 / len(found))
