"""Predictors of a function from texts to probabilities."""

import math
import re

import numpy as np
import pytest

import pct
from tests.pct.toy import WEIGHTS, Scale


def scale(texts):
    """The toy's numbers, from strings."""
    odds = [sum(WEIGHTS.get(word.lower(), 0.0) for word in text.replace("!", " ! ").split()) for text in texts]
    return [[1 / (1 + math.exp(x)), 1 / (1 + math.exp(-x))] for x in odds]


def kept(texts, seen):
    seen += texts
    return scale(texts)


TEXTS = ["good the bad superb", "slow dreadful", "fine", "superb good the slow fine bad"]


def test_it_predicts_what_the_function_does():
    assert np.allclose(pct.predictor_from(scale, ["negative", "positive"]).predict(TEXTS), scale(TEXTS), atol=1e-6)


def log_odds(text, label):
    p = scale([text])[0][label]
    return math.log(p / (1 - p))


@pytest.mark.parametrize("text", ["หนังดีมากที่สุด", "នេះជាភាពយន្ត", "很好看"], ids=["Thai", "Khmer", "Han"])
def test_no_space_takes_the_place_of_a_word_between_words_without_spaces(text):
    seen = []
    pct.predictor_from(lambda texts: kept(texts, seen), ["negative", "positive"]).saliency([text])
    assert len(set(seen)) > 2
    assert not any(" " in given for given in seen)


def test_its_saliency_is_the_log_odds_that_the_class_loses_without_the_word():
    predictor = pct.predictor_from(scale, ["negative", "positive"])
    for text, label, found in zip(TEXTS, [1, 0, 1, 0], predictor.saliency(TEXTS, [1, 0, 1, 0]), strict=True):
        words = text.split()
        rests = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
        expected = [log_odds(text, label) - log_odds(rest, label) for rest in rests] if len(words) > 1 else [0.0]
        assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_it_is_measured_as_any_other():
    """Occlusion orders additive words by their worth; so does the toy, where no word speaks against the class."""
    texts, labels = ["superb good the", "dreadful slow the bad"], [1, 0]
    found = pct.evaluate(pct.predictor_from(scale, ["negative", "positive"]), (texts, labels), metrics=["usual", "win"])
    toy = pct.evaluate(Scale(), (texts, labels), metrics=["usual", "win"])
    assert found.metrics == pytest.approx(toy.metrics, abs=1e-5)


def test_a_whole_text_reaches_the_function_as_it_was_given_and_no_words_grow_together():
    seen = []
    predictor = pct.predictor_from(lambda texts: kept(texts, seen), ["negative", "positive"])
    predictor.predict(["A good  film, bad/slow!", "很好"])
    assert set(seen) == {"A good  film, bad/slow!", "很好"}
    (found,) = pct.explain(predictor, ["bad/slow!"])
    assert "bad slow!" in seen
    assert found.words == ["bad", "/", "slow", "!"]
    assert [found.text[a:b] for a, b in found.spans] == found.words


ENDS = ["  two leading, newline at the end\n\n", "\tone ", "plain", "\u00a0很好\u3000", " (good), bad (!) "]


@pytest.mark.parametrize("rule", ["natural", "spaces", f"{__name__}:letters"])
def test_the_ends_of_a_text_reach_the_function(rule):
    seen = []
    predictor = pct.predictor_from(lambda texts: kept(texts, seen), ["negative", "positive"], rule)
    for text in ENDS:
        predictor.predict([text])
    assert seen == ENDS


def letters(text):
    """A word rule in which punctuation belongs to no word."""
    return [match.span() for match in re.finditer(r"\w+", text)]


def test_the_ends_of_both_texts_of_a_pair_reach_the_function():
    seen = []
    predictor = pct.predictor_from(
        lambda texts: (seen.extend(texts), [[0.5, 0.5]] * len(texts))[1], ["negative", "positive"]
    )
    predictor.predict([(" good\n", "\n the film \t")])
    assert seen == [(" good\n", "\n the film \t")]


def test_the_ends_of_a_text_stay_when_words_are_removed():
    seen = []
    predictor = pct.predictor_from(lambda texts: kept(texts, seen), ["negative", "positive"])
    (saliency,) = predictor.saliency(["  good the  bad\n"])
    assert set(seen) == {"  good the  bad\n", "  the  bad\n", "  good  bad\n", "  good the\n"}
    assert saliency.shape == (3,)
    assert saliency == pytest.approx(predictor.saliency(["good the bad"])[0], abs=1e-6)
    (found,) = pct.explain(predictor, ["  good the  bad\n"])
    assert (found.text, found.words) == ("  good the  bad\n", ["good", "the", "bad"])


def test_white_space_at_the_ends_changes_no_metric_of_a_function_that_ignores_it():
    predictor = pct.predictor_from(scale, ["negative", "positive"])
    texts, labels = ["superb good the", "dreadful slow the bad"], [1, 0]
    padded = [f"\n {text}\t" for text in texts]
    found = pct.evaluate(predictor, (padded, labels))
    assert found.metrics == pytest.approx(pct.evaluate(predictor, (texts, labels)).metrics, abs=1e-6, nan_ok=True)


def test_a_list_of_words_is_joined_by_spaces():
    seen = []
    pct.predictor_from(lambda texts: kept(texts, seen), ["negative", "positive"]).predict([["good", "film"]])
    assert seen == ["good film"]


@pytest.mark.parametrize(("function", "message"), [
    (lambda texts: [[1.0]] * len(texts), r"must return an array of shape \(1, 2\), texts and classes, got \(1, 1\)"),
    (lambda texts: [[0.9, 0.9]] * len(texts), "rows of numbers >= 0 that sum to 1"),
    (lambda texts: [[math.nan, 1.0]] * len(texts), "rows of numbers >= 0 that sum to 1"),
])  # fmt: skip
def test_a_function_that_gives_no_probabilities_is_refused(function, message):
    with pytest.raises(ValueError, match=message):
        pct.predictor_from(function, ["negative", "positive"]).predict(["good"])


@pytest.mark.parametrize(("arguments", "message"), [
    ((["one"],), "classes must be at least two names"),
    (("ab",), "classes must be at least two names"),
    ((["a", "b"], "letters"), "letters"),
    ((["a", "a", "b"],), r"classes must be distinct names, got 'a' more than once in \['a', 'a', 'b'\]"),
    (([1, "1.0"],), "got '1' more than once"),
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pct.predictor_from(scale, *arguments)
