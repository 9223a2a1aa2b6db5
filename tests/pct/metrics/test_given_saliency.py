"""Saliency of other libraries as it comes: shap's Explanation and captum's attributions, by stand-ins of their form."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pct
from pct.metrics.given_saliency import saliency_by_text
from tests.pct.small import small_classifier
from tests.pct.toy import Scale

TEXTS, LABELS = ["The good film, superb!", "a slow bad   film"], [1, 0]
WORDS = [["The", "good", "film", ",", "superb", "!"], ["a", "slow", "bad", "film"]]
NUMBERS = [[0.1, 0.5, 0.0, 0.2, 0.9, 0.3], [0.1, 0.7, 0.9, 0.2]]


def expected(saliency=NUMBERS):
    return pct.evaluate(Scale(), (TEXTS, LABELS), saliency=saliency).metrics


def columns(values):
    """Of a class each: the second one's are wanted for a text that is predicted so."""
    return np.stack([-np.asarray(values), np.asarray(values)], 1)


def shap_result(pieces, values, names=None):
    data = np.empty(len(pieces), object)
    data[:] = [np.array(p) for p in pieces]
    held = np.empty(len(pieces), object)
    held[:] = [np.array(v) for v in values]
    return SimpleNamespace(values=held, data=data, output_names=names)


def test_shap_s_explanation_is_taken_as_it_comes():
    pieces = [["", "The ", "good ", "film", ", ", "superb", "!", ""], ["", "a ", "slow ", "bad   ", "film", ""]]
    padded = [[9.0, *v, 9.0] for v in NUMBERS]  # what stands for special tokens is no word's
    assert expected(shap_result(pieces, padded)) == pytest.approx(expected(), nan_ok=True)


def test_of_several_classes_the_predicted_one_is_taken_by_name_or_place():
    pieces = [[f"{w} " for w in words] for words in WORDS]
    signed = [columns(NUMBERS[0]), -columns(NUMBERS[1])]  # texts predicted positive and negative
    assert expected(shap_result(WORDS, signed)) == pytest.approx(expected(), nan_ok=True)
    turned = [v[:, ::-1] for v in signed]
    assert expected(shap_result(WORDS, turned, ["positive", "negative"])) == pytest.approx(expected(), nan_ok=True)
    one = [SimpleNamespace(values=v, data=p, output_names=None) for v, p in zip(signed, pieces, strict=True)]
    assert expected(one) == pytest.approx(expected(), nan_ok=True)
    with pytest.raises(ValueError, match="text 0 has 3 columns, the model 2 classes"):
        expected(shap_result(WORDS, [np.ones((6, 3)), np.ones((4, 3))]))


def test_the_numbers_of_a_word_s_tokens_are_added():
    pieces = [["the", "go", "##od", "film", ",", "sup", "##er", "##b", "!"], ["Ġa", "Ġslow", "Ġb", "ad", "Ġfilm"]]
    values = [[0.1, 0.2, 0.3, 0.0, 0.2, 0.3, 0.3, 0.3, 0.3], [0.1, 0.7, 0.4, 0.5, 0.2]]
    assert expected(shap_result(pieces, values)) == pytest.approx(expected(), nan_ok=True)


def test_an_unknown_token_stands_for_the_next_word():
    pieces = [["[CLS]", "the", "[UNK]", "film", ",", "superb", "!", "[SEP]"], ["a", "slow", "[UNK]", "film"]]
    values = [[5.0, *NUMBERS[0], 5.0], NUMBERS[1]]
    assert expected(shap_result(pieces, values)) == pytest.approx(expected(), nan_ok=True)


def test_captum_s_records_are_taken_as_they_come():
    records = [
        SimpleNamespace(word_attributions=torch.tensor(v), raw_input_ids=[w.lower() for w in words])
        for v, words in zip(NUMBERS, WORDS, strict=True)
    ]
    assert expected(records) == pytest.approx(expected(), nan_ok=True)


@pytest.mark.parametrize("width", [None, 5])
def test_a_tensor_of_the_model_s_own_tokens_is_summed_by_word(width):
    clf = small_classifier("transformer")
    texts = ["charmlessly film", "a bad and dull lifelessness night"]
    tokens = clf.tokens([t.split() for t in texts])
    rng = np.random.default_rng(0)
    given = np.zeros((2, int(tokens.lengths.max())))
    words = []
    for i, n in enumerate(tokens.lengths):
        given[i, :n] = rng.normal(size=n)
        own = tokens.word_ids[tokens.starts[i] : tokens.starts[i + 1]]
        words.append([sum(v for v, w in zip(given[i], own, strict=False) if w == k) for k in range(tokens.counts[i])])
    assert any(n > len(t.split()) + 2 for n, t in zip(tokens.lengths, texts, strict=True))  # words of several tokens
    tensor = torch.tensor(given, requires_grad=True)
    if width:
        tensor = tensor[..., None] * torch.tensor([0.5, 0.5, 1.0, -1.0, 0.0])
    theirs = pct.evaluate(clf, (texts, [0, 1]), saliency=tensor).metrics
    assert theirs == pytest.approx(pct.evaluate(clf, (texts, [0, 1]), saliency=words).metrics, nan_ok=True)


def test_numbers_of_words_in_a_padded_rectangle_are_not_taken_for_those_of_tokens():
    clf = small_classifier("transformer")
    texts, words = ["a bad film", "a bad and dull lifelessness night"], np.zeros((2, 6))
    words[0, :3], words[1] = [1, 3, 2], range(1, 7)
    with pytest.raises(ValueError, match="text 0 has 6 numbers, zero from number 4 on: are they of its 3 words"):
        pct.evaluate(clf, (texts, [0, 1]), saliency=words)
    ragged = pct.evaluate(clf, (texts, [0, 1]), saliency=[words[0, :3], words[1]])
    assert np.isfinite(ragged.comp)


def test_the_first_text_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="text 1 does not fit it: the token 'wonderful' does not follow 'a slow'"):
        expected(shap_result([WORDS[0], ["a", "slow", "wonderful", "film"]], NUMBERS))
    with pytest.raises(ValueError, match="text 1 does not fit it: the token 'film'"):
        expected(shap_result([WORDS[0], ["a", "slow", "film"]], [NUMBERS[0], NUMBERS[1][:3]]))
    with pytest.raises(ValueError, match="text 0 has 5 numbers for 6 tokens"):
        expected(shap_result(WORDS, [NUMBERS[0][:5], NUMBERS[1]]))
    with pytest.raises(ValueError, match="text 0 must be numbers, one a word, or a result of shap or captum"):
        expected([["a", "b"], ["c"]])


def test_words_of_the_numbers_that_evaluate_took_before_are_the_same():
    assert [one.tokens for one in saliency_by_text(NUMBERS)] == [None, None]
