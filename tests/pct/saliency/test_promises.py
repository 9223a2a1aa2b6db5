"""What each saliency says of itself: its sign, its passes, what it needs."""

import numpy as np
import pytest

from pct.saliency import choose_saliency, make_saliency, saliencies
from pct.saliency.base import GradientSaliency, SaliencyOptions
from pct.settings import SALIENCIES
from tests.pct.small import small_classifier, small_texts
from tests.pct.toy import Scale

FORWARD = ("occlusion", "lime", "kernel_shap", "random")
TRANSFORMERS_ALONE = ("frozen_grad_x_input", "gim", "attention", "rollout")
# the prediction has a forward pass of its own; that of the others is the pass whose gradient is taken
PREDICTED_APART = (*FORWARD, "integrated_gradients", "smooth_grad")
SAMPLED = ("lime", "kernel_shap")  # equal samples run once


def families_of(name):
    return ("transformer",) if name in TRANSFORMERS_ALONE else ("textcnn", "lstm", "transformer")


def scores_of(name, classifier, texts, options=None):
    saliency = saliencies.get(name)(options)
    saliency.name = name
    saliency.check(classifier)
    tokens = classifier.tokens([text.split() for text in texts])
    probabilities, scores = saliency.explain_tokens(classifier, tokens)
    inside = np.arange(scores.shape[1]) < tokens.counts[:, None]
    return probabilities, scores, inside, tokens


@pytest.mark.parametrize("name", SALIENCIES)
def test_it_is_signed_exactly_where_a_number_below_zero_occurs(name):
    below = False
    for family in families_of(name):
        _, scores, inside, _ = scores_of(name, small_classifier(family, seed=4), small_texts(12, seed=1))
        assert np.isfinite(scores).all()
        below = below or bool((scores[inside] < 0).any())
    assert below == saliencies.get(name).signed


@pytest.mark.parametrize("name", SALIENCIES)
def test_another_seed_gives_other_numbers_exactly_where_it_is_seeded(name):
    classifier, texts = small_classifier("transformer", seed=4), small_texts(6, seed=1)
    first, other = (scores_of(name, classifier, texts, SaliencyOptions(seed=seed))[1] for seed in (0, 1))
    assert saliencies.get(name).seeded == (not np.allclose(first, other, rtol=1e-4, atol=1e-6))


@pytest.mark.parametrize("name", SALIENCIES)
def test_the_probabilities_are_those_of_the_whole_texts(name):
    classifier, texts = small_classifier("transformer", seed=4), [*small_texts(6, seed=1), "film"]
    probabilities, _, _, _ = scores_of(name, classifier, texts)
    np.testing.assert_allclose(probabilities, classifier.predict(texts), atol=1e-5)


@pytest.mark.parametrize("options", [SaliencyOptions(), SaliencyOptions(steps=3, samples=5)])
@pytest.mark.parametrize("name", SALIENCIES)
def test_a_text_goes_through_the_model_as_often_as_passes_says(name, options, monkeypatch):
    classifier = small_classifier("transformer", seed=4)
    scores_of(name, classifier, ["film"], options)  # the probe of a model runs before the count
    for text in ("film", "joy rising above", "astonishing goofy film is a work of delicacy and force"):
        rows, body = [0], type(classifier.model).features

        def features(self, embeddings, mask, body=body, rows=rows):
            rows[0] += len(embeddings)
            return body(self, embeddings, mask)

        with monkeypatch.context() as patch:
            patch.setattr(type(classifier.model), "features", features)
            saliency = saliencies.get(name)(options)
            saliency.name = name
            tokens = classifier.tokens([text.split()])
            saliency.explain_tokens(classifier, tokens)
        expected = float(saliency.passes(tokens.counts)[0])
        beside = rows[0] - (name in PREDICTED_APART)
        if name in SAMPLED:
            assert 0.5 * expected <= beside <= expected
        elif name == "integrated_gradients":
            assert beside >= expected
            assert (beside - 1 - options.steps) % options.steps == 0  # doubled steps run anew
        else:
            assert beside == expected


def test_integrated_gradients_run_as_often_as_passes_says_where_the_steps_suffice(monkeypatch):
    from pct.saliency import integrated_gradients

    monkeypatch.setattr(integrated_gradients, "TOLERANCE", np.inf)
    classifier, rows = small_classifier("transformer", seed=4), [0]
    body = type(classifier.model).features

    def features(self, embeddings, mask):
        rows[0] += len(embeddings)
        return body(self, embeddings, mask)

    monkeypatch.setattr(type(classifier.model), "features", features)
    _, _, _, tokens = scores_of("integrated_gradients", classifier, ["joy rising above"])
    assert rows[0] - 1 == make_saliency("integrated_gradients").passes(tokens.counts)[0] == 17


@pytest.mark.parametrize("name", SALIENCIES)
def test_without_a_gradient_the_forward_saliencies_alone_are_given(name):
    if name in FORWARD and name != "kernel_shap":
        make_saliency(name).check(Scale())
        assert len(Scale().saliency(["good bad"], by=name)[0]) == 2
        return
    reason = "needs a mask token" if name == "kernel_shap" else "has only forward passes: use occlusion, lime or"
    with pytest.raises(ValueError, match=f"saliency {name} .*{reason}"):
        Scale().saliency(["good bad"], by=name)


@pytest.mark.parametrize("name", SALIENCIES)
def test_its_name_in_the_settings_gives_what_its_name_at_the_call_gives(name):
    texts = small_texts(3, seed=1)
    family = families_of(name)[-1]
    named = small_classifier(family, seed=4, saliency=name).saliency(texts)
    asked = small_classifier(family, seed=4).saliency(texts, by=name)
    for one, other in zip(named, asked, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"saliency must be one of l2, l1, .* random.* got 'shap'"):
        choose_saliency(small_classifier("lstm"), "shap")


def test_a_class_without_its_methods_says_which():
    from pct.saliency.base import ForwardSaliency, Saliency

    with pytest.raises(NotImplementedError, match=r"Saliency must define passes\(counts\)"):
        Saliency().passes(np.array([2]))
    with pytest.raises(NotImplementedError, match="ForwardSaliency must define scores"):
        ForwardSaliency().explain_tokens(Scale(), Scale().tokens([["good", "bad"]]))
    assert GradientSaliency().is_plain
    assert [n for n in SALIENCIES if getattr(make_saliency(n), "is_plain", False)] == ["l2", "l1", "grad_x_input"]
