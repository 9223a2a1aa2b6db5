"""Explanations and their reduction curves; input reduction on the paper's own sentences."""

import itertools
import json
import math
from dataclasses import fields

import numpy as np
import pytest

import pct
from pct.explaining.explanation import Explanation
from tests.pct import twins
from tests.pct.metrics.test_metrics import sigmoid
from tests.pct.small import FAMILIES, LEXICON, small_classifier, small_texts
from tests.pct.toy import Scale

# Tables 6 and 7, and 8 and 9, of the paper
SENTENCES = [
    "leigh's film is full of memorable performances from top to bottom",
    "a work of astonishing delicacy and force",
]
ORDERS = ("static", "recomputed")


def both(explanation):
    return ((explanation.important, True), (explanation.unimportant, False))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_input_reduction_loses_one_word_a_step_and_stops_at_one_word(sentence, family, order):
    classifier = small_classifier(family)
    (found,) = pct.explain(classifier, [sentence], order=order)
    words = sentence.split()
    assert found.words == words
    for curve, _ in both(found):
        sequence = [words, *twins.reduced(words, curve.removed, len(curve.removed))]
        assert [len(text) for text in sequence] == list(range(len(words), 0, -1))
        for before, after in itertools.pairwise(sequence):
            assert any(before[:i] + before[i + 1 :] == after for i in range(len(before)))
        confidences = [classifier.predict([" ".join(text)])[0][found.label] for text in sequence]
        np.testing.assert_allclose(curve.confidences, confidences, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_curves_of_many_texts_are_those_of_the_loop(family, order):
    classifier = small_classifier(family, seed=2)
    texts = small_texts(10, seed=6)
    asked = twins.Asked(classifier)
    explained = pct.explain(classifier, texts, max_steps=4, order=order, saliency="l2")
    for text, found in zip(texts, explained, strict=True):
        words = text.split()
        label = asked.predicted(words)
        assert (found.label, found.label_name) == (label, classifier.classes[label])
        assert found.confidence == pytest.approx(asked.probabilities(words)[label], abs=1e-5)
        saliency = asked.saliency(words, label)
        np.testing.assert_allclose(found.saliency, saliency, rtol=1e-3, atol=1e-5)
        steps = min(4, len(words) - 1)
        for curve, important in both(found):
            if order == "recomputed":
                removed = twins.recomputed_order(asked, words, label, important)
            else:
                removed = twins.removal_order(saliency, important)
            rest = twins.reduced(words, removed, len(words) - 1)
            flips = [t for t, r in enumerate(rest, 1) if asked.predicted(r) != label]
            assert curve.removed == removed[:steps]
            assert curve.flips_at == (flips[0] if flips else None)  # looked for behind the steps that are shown too
            expected = [asked.probabilities(r)[label] for r in (words, *rest)]
            np.testing.assert_allclose(curve.confidences, expected[: steps + 1], atol=1e-5)
            taken = max(1, math.ceil(0.1 * len(words)))
            drop = np.mean([expected[0] - x for x in expected[1 : taken + 1]]) if len(words) > 1 else np.nan
            np.testing.assert_allclose(found.comp if important else found.suff, drop, atol=1e-5)


def test_a_worked_example():
    (found,) = pct.explain(Scale(), ["good the bad superb"])
    assert found.words == ["good", "the", "bad", "superb"]
    assert found.saliency.tolist() == [2.0, 0.0, 2.0, 4.0]
    assert (found.label, found.label_name) == (1, "positive")
    assert found.important.removed == [3, 0, 2]
    assert found.important.confidences == pytest.approx([sigmoid(4), 0.5, sigmoid(-2), 0.5], abs=1e-6)
    assert found.important.flips_at == 1
    assert found.unimportant.removed == [1, 0, 2]
    assert found.unimportant.confidences == pytest.approx([sigmoid(4), sigmoid(4), sigmoid(2), sigmoid(4)], abs=1e-6)
    assert found.unimportant.flips_at is None
    assert found.truncated == 0
    assert (found.ir, found.ur) == (1, 3)
    assert (found.comp, found.suff) == (pytest.approx(sigmoid(4) - 0.5, abs=1e-6), pytest.approx(0, abs=1e-6))
    assert found.verdict.kind == "healthy"


def test_the_class_that_is_asked_for_is_explained():
    (found,) = pct.explain(Scale(), ["good fine superb"], classes=[0])
    assert (found.label, found.label_name) == (0, "negative")
    assert found.confidence == pytest.approx(sigmoid(-7), abs=1e-6)
    assert found.important.confidences == pytest.approx([sigmoid(-7), sigmoid(-3), sigmoid(-1)], abs=1e-6)
    # the prediction is positive from the start and stays so: it never differs from the original's
    assert found.important.flips_at is None


def test_a_text_of_one_word_has_nothing_to_remove():
    (found,) = pct.explain(Scale(), ["superb"])
    for curve, _ in both(found):
        assert curve.removed == []
        assert curve.confidences == [found.confidence]
        assert curve.flips_at is None


def test_no_step_gives_the_saliency_alone():
    (found,) = pct.explain(Scale(), ["good the superb"], max_steps=0)
    assert found.saliency.tolist() == [2.0, 0.0, 4.0]
    assert (found.important.removed, len(found.important.confidences)) == ([], 1)
    assert found.important.flips_at is None
    assert all(np.isnan(value) for value in (found.comp, found.ir, found.ur))
    assert found.verdict.reasons == ("no word was removed: no order can be judged",)


def test_a_slice_of_the_answers_has_their_type():
    explained, predicted = pct.explain(Scale(), ["good", "bad", "the"]), pct.predict(Scale(), ["good", "bad", "the"])
    assert [e.words for e in explained[1:]] == [["bad"], ["the"]]
    assert explained[1:].to_pandas()["text"].tolist() == ["bad", "the"]
    assert predicted[:2].to_pandas()["text"].tolist() == ["good", "bad"]
    assert predicted[-1].text == "the"


def test_words_beyond_the_cut_are_counted_and_not_shown():
    found = pct.explain(Scale(max_length=3), ["good the superb bad", "good"])
    assert [e.truncated for e in found] == [1, 0]
    assert found[0].words == ["good", "the", "superb"]
    assert len(found[0].saliency) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_explanations_do_not_depend_on_who_shares_the_call(family):
    classifier = small_classifier(family)
    texts = small_texts(6, seed=8)
    for together, text in zip(pct.explain(classifier, texts), texts, strict=True):
        (alone,) = pct.explain(classifier, [text])
        for one, other in zip(
            (together.important, together.unimportant), (alone.important, alone.unimportant), strict=True
        ):
            assert (one.removed, one.flips_at) == (other.removed, other.flips_at)
            np.testing.assert_allclose(one.confidences, other.confidences, atol=1e-5)


def test_more_texts_than_a_block_holds_keep_their_order_and_their_classes():
    words = ["superb", "good", "fine", "the", "slow", "bad", "dreadful"]
    texts = [" ".join(words[(i + k) % 7] for k in range(1 + i % 5)) for i in range(400)]
    classes = [i % 2 for i in range(400)]
    found = pct.explain(Scale(), texts, classes=classes)
    assert [" ".join(e.words) for e in found] == texts
    assert [e.label for e in found] == classes


def test_an_explanation_is_json():
    (found,) = pct.explain(small_classifier("lstm"), [" ".join(LEXICON[:5])])
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [word["word"] for word in again["words"]] == LEXICON[:5]
    assert [word["saliency"] for word in again["words"]] == found.saliency.tolist()
    assert [step["removed"] for step in again["important"]["steps"]] == found.important.removed
    assert [step["confidence"] for step in again["unimportant"]["steps"]] == found.unimportant.confidences[1:]
    assert again["unimportant"]["flips_at"] == found.unimportant.flips_at
    assert (again["label"], again["confidence"]) == (found.predicted, max(found.probabilities.values()))
    assert (again["target"], again["target_confidence"]) == (found.label_name, found.confidence)


@pytest.mark.parametrize("asked", [{}, {"max_steps": 0}, {"classes": [0, 0, 0]}, {"order": "recomputed"}])
def test_an_explanation_read_from_its_dictionary_is_equal_to_it(asked):
    for found in pct.explain(Scale(), ["good the bad superb", "superb", "slow the"], **asked):
        again = Explanation.from_dict(json.loads(json.dumps(found.to_dict())))
        for f in fields(Explanation):
            one, other = getattr(found, f.name), getattr(again, f.name)
            np.testing.assert_equal(one, other, err_msg=f.name)


@pytest.mark.parametrize(("name", "value"), [("target_confidence", 0.5), ("reasons", 1), ("pathology", [])])
def test_the_names_of_the_client_s_own_explanations_go_on_with_a_warning(name, value):
    (found,) = pct.explain(Scale(), ["the"])
    with pytest.warns(DeprecationWarning, match=f"{name} is now "):
        given = getattr(found, name)
    assert (len(given) if name == "reasons" else given) == value
    assert not hasattr(found, "other")


def test_no_text_has_no_explanation():
    assert pct.explain(Scale(), []) == []


@pytest.mark.parametrize(("arguments", "kind", "message"), [
    ({"max_steps": -1}, ValueError, "max_steps must be a whole number >= 0, got -1"),
    ({"order": "random"}, ValueError, "order must be one of static, recomputed, beam"),
    ({"classes": [2, 0]}, ValueError, r"label 2 is outside the model's classes 0\.\.1"),
    ({"classes": [0]}, ValueError, "2 texts need 2 class indices"),
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        pct.explain(Scale(), ["good bad", "the"], **arguments)


@pytest.mark.parametrize(("texts", "kind", "message"), [
    (["good", ""], ValueError, "text 1: a text needs at least one word"),
    (["good", 3], TypeError, "text 1: a text must be a string or a list of words"),
    ("good", TypeError, "write \\[text\\]"),
])  # fmt: skip
def test_what_is_not_a_text_is_refused_with_its_place(texts, kind, message):
    with pytest.raises(kind, match=message):
        pct.explain(Scale(), texts)


@pytest.mark.parametrize(("family", "name"), [
    ("textcnn", "grad_x_input"), ("lstm", "grad_x_input"), ("transformer", "frozen_grad_x_input"),
])  # fmt: skip
def test_a_model_that_was_never_audited_is_explained_by_what_measured_best_for_its_family(family, name):
    classifier, texts = small_classifier(family), small_texts(4)
    for explanation, scores in zip(pct.explain(classifier, texts), classifier.saliency(texts, by=name), strict=True):
        assert (explanation.saliency_name, explanation.signed) == (name, True)
        assert "not audited" in explanation.saliency_reason
        np.testing.assert_allclose(explanation.saliency, scores, rtol=1e-4, atol=1e-6)


def test_the_saliency_that_the_settings_name_comes_before_the_default():
    (explanation,) = pct.explain(small_classifier("lstm", explain_by="l1"), ["film joy"])
    assert (explanation.saliency_name, explanation.signed) == ("l1", False)


def test_a_saliency_that_the_model_cannot_give_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="frozen_grad_x_input needs an encoder or decoder"):
        pct.explain(small_classifier("lstm"), ["film joy"], saliency="frozen_grad_x_input")
    with pytest.raises(ValueError, match="l2 needs the gradient"):
        pct.explain(
            pct.predictor_from(lambda texts: [[0.5, 0.5]] * len(texts), ["a", "b"]), ["film joy"], saliency="l2"
        )


# --- what is explained, and what comes back ---


def test_a_target_is_a_name_or_an_index_for_all_texts_or_one_a_text():
    texts = ["superb the film", "dreadful the film"]
    for target, labels in (
        ("negative", [0, 0]), (1, [1, 1]), (np.int64(0), [0, 0]), (["positive", "negative"], [1, 0]),
        ([1, "negative"], [1, 0]), (np.array([0, 1]), [0, 1]), (None, [1, 0]),
    ):  # fmt: skip
        assert [e.label for e in pct.explain(Scale(), texts, target=target)] == labels
    same = pct.explain(Scale(), texts, classes=[0, 1]), pct.explain(Scale(), texts, target=[0, 1])
    assert [e.to_dict() for e in same[0]] == [e.to_dict() for e in same[1]]


@pytest.mark.parametrize(("target", "said"), [
    ("happy", "target 'happy' is not one of negative, positive"), (2, "2"), (["positive"], "2 texts need 2"),
    (-1, "-1"), (1.5, "a target must be the name"),
])  # fmt: skip
def test_a_target_that_is_none_is_refused(target, said):
    with pytest.raises((ValueError, TypeError), match=said):
        pct.explain(Scale(), ["good", "bad"], target=target)


def test_a_target_and_classes_are_not_given_together():
    with pytest.raises(ValueError, match="give one of them"):
        pct.explain(Scale(), ["good"], classes=[0], target=1)


def test_explanations_are_a_list_that_becomes_a_frame_and_a_page():
    found = pct.explain(Scale(), ["superb the film", "dreadful the film", "good"])
    assert isinstance(found, list)
    assert isinstance(found[:2], pct.Explanations)
    assert found.to_pandas()["label"].tolist() == ["positive", "negative", "positive"]
    assert found[1:].to_html().count("<article>") == 2
    assert found._repr_html_() == found.to_html()


def test_a_predictor_says_what_it_is():
    assert repr(Scale()) == "<Scale classes negative, positive>"
    many = pct.predictor_from(lambda texts: None, [f"c{i}" for i in range(77)])
    assert repr(many) == "<FunctionPredictor classes c0, c1, c2, c3, c4, c5, c6, c7 and 69 more>"
    from tests.pct.small import small_classifier

    assert repr(small_classifier("textcnn")).startswith("<Classifier textcnn, ")


def test_predictions_have_names_and_the_probabilities_of_the_model():
    texts = ["superb the film", "dreadful"]
    found = pct.predict(Scale(), texts)
    assert [p.label for p in found] == ["positive", "negative"]
    assert [list(p.probabilities.values()) for p in found] == Scale().predict(texts).tolist()
    assert [p.confidence for p in found] == [max(p.probabilities.values()) for p in found]
    frame = found.to_pandas()
    assert list(frame.columns) == ["text", "label", "confidence", "p_negative", "p_positive"]
    assert frame["text"].tolist() == texts
