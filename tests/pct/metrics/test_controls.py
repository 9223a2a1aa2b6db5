"""The metrics that keep the eight honest, against loops over one text at a time."""

import json
import math

import numpy as np
import pytest

import pct
from pct.metrics.chance import random_ranks
from pct.metrics.leave_one_out import kendall_tau_b
from tests.pct import control_twins as twins
from tests.pct.small import FAMILIES, small_classifier, small_texts
from tests.pct.toy import Scale

CHANCE = ["comp_random", "margin", "suff_margin", "win"]
NAOPC = ["naopc_comp", "naopc_suff"]
COSINES = ["cos_important", "cos_unimportant", "separation"]


def measured(classifier, texts, names, **options):
    return pct.evaluate(classifier, (texts, [0] * len(texts)), metrics=names, **options)


def assert_twin(report, classifier, texts, names, twin, tolerance=1e-5):
    """The numbers of each text are the twin's, a function of a text and its place; those of one word are NaN."""
    for place, text in enumerate(texts):
        numbers = {name: float(report.columns[name][place]) for name in names}
        one_word = len(text.split()) == 1
        expected = dict.fromkeys(names, math.nan) if one_word else twin(twins.Text(classifier, text.split()), place)
        assert numbers == pytest.approx(expected, abs=tolerance, nan_ok=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_chance_is_the_loop_s(family):
    classifier, texts = small_classifier(family, seed=1), [*small_texts(10, seed=5), "film"]
    report = measured(classifier, texts, CHANCE, p_important=0.3, p_unimportant=0.2, seed=7)
    assert_twin(report, classifier, texts, CHANCE, lambda text, place: twins.chance(text, place, 0.3, 0.2, seed=7))


def test_random_orders_are_orders_and_depend_on_the_seed_the_place_and_the_word_alone():
    counts = np.array([9, 4, 1])
    ranks = random_ranks(np.array([3, 0, 8]), counts, 5, seed=1)
    for text, n in enumerate(counts):
        assert all(sorted(order[:n]) == list(range(1, n + 1)) for order in ranks[text].tolist())
    alone = random_ranks(np.array([0]), np.array([4]), 5, seed=1)
    assert (alone[0] == ranks[1, :, :4]).all()
    # cut shorter, a text loses the words that it still has in the same order
    cut = random_ranks(np.array([3]), np.array([5]), 5, seed=1)[0]
    assert (cut.argsort(1) == np.array([[w for w in order if w < 5] for order in ranks[0].argsort(1)])).all()
    assert (random_ranks(np.array([3]), np.array([9]), 5, seed=2)[0] != ranks[0]).any()
    first = random_ranks(np.arange(4000), np.full(4000, 4), 1, seed=0)[:, 0].argmin(1)
    assert np.bincount(first).tolist() == pytest.approx([1000] * 4, abs=120)


def test_a_saliency_that_is_right_beats_chance_and_one_that_is_wrong_does_not():
    texts = ["superb the the fine the", "dreadful the the slow the"]
    right = measured(Scale(), texts, CHANCE)
    assert right.margin > 0.05
    assert right.win >= 0.9  # a random order that begins with the same word ties
    backwards = [[0.0, 1.0, 0.9, 0.0, 0.8]] * 2
    wrong = pct.evaluate(Scale(), (texts, [1, 0]), metrics=CHANCE, saliency=backwards)
    assert wrong.margin < 0
    assert wrong.win <= 0.5


def test_an_order_that_ties_with_chance_counts_a_half():
    report = measured(Scale(), ["good good good", "the the"], CHANCE)
    assert report.columns["win"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_bounds_are_those_of_a_search_of_all_orders(family):
    classifier, texts = small_classifier(family, seed=2), [*small_texts(12, seed=3, longest=5), "film"]
    report = measured(classifier, texts, NAOPC)
    assert_twin(report, classifier, texts, NAOPC, lambda x, _: twins.naopc(x, twins.bounds_of_all_orders(x)), 1e-3)
    suff = report.columns["naopc_suff"][report.columns["n"] > 1]
    assert ((suff >= -1e-6) & (suff <= 1 + 1e-6)).all()


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_bounds_of_longer_texts_are_those_of_a_beam_of_five(family):
    classifier = small_classifier(family, seed=2)
    texts = [text for text in small_texts(40, seed=4, longest=10) if len(text.split()) > 7][:4]
    report = measured(classifier, texts, NAOPC)
    assert_twin(report, classifier, texts, NAOPC, lambda x, _: twins.naopc(x, twins.bounds_by_beam(x)), 1e-3)


def test_the_right_order_of_additive_words_is_the_best_there_is():
    report = measured(Scale(), ["superb good fine the", "superb good fine the slow bad dreadful superb good"], NAOPC)
    assert report.columns["naopc_comp"][0] == pytest.approx(1.0)
    assert report.columns["naopc_suff"][0] == pytest.approx(0.0)


def test_equal_bounds_give_zero():
    report = measured(Scale(), ["the the the"], NAOPC)
    assert (report.naopc_comp, report.naopc_suff) == (0.0, 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_tau_is_the_loop_s(family):
    classifier, texts = small_classifier(family, seed=3), [*small_texts(12, seed=6), "film"]
    report = measured(classifier, texts, ["tau_loo"])
    assert_twin(report, classifier, texts, ["tau_loo"], lambda text, _: {"tau_loo": twins.tau_loo(text)}, 1e-6)


def test_tau_takes_no_notice_of_ties_and_of_what_stands_beyond_a_text():
    first = np.array([[1.0, 1.0, 2.0, 9.0], [3.0, 2.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    second = np.array([[0.1, 0.1 + 1e-8, 0.3, -5.0], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]])
    actual = kendall_tau_b(first, second, np.array([3, 4, 4]))
    assert actual.tolist() == pytest.approx([1.0, -1.0, math.nan], nan_ok=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_cosines_are_the_loop_s(family):
    classifier, texts = small_classifier(family, seed=1), [*small_texts(8, seed=8), "film"]
    report = measured(classifier, texts, [*COSINES, "comp"], p_important=0.3)
    assert_twin(report, classifier, texts, COSINES, lambda text, _: twins.cosines(text, 0.3, 0.1))
    plain = measured(classifier, texts, ["comp"], p_important=0.3)
    np.testing.assert_allclose(report.columns["comp"], plain.columns["comp"], atol=1e-6)


def test_cosines_of_a_model_that_shows_no_representation_are_refused():
    with pytest.raises(TypeError, match="Scale has no representations: it needs a method represent"):
        measured(Scale(), ["good bad"], ["separation"])


def test_no_text_is_run_twice_whatever_is_measured():
    texts = ["good the superb bad", "fine the slow", "dreadful good the superb bad fine slow the good"]
    scale = Seen()
    measured(scale, texts, [*CHANCE, *NAOPC, "tau_loo", "ir", "ur"])
    assert len(scale.rows) == len(set(scale.rows))
    assert len(scale.rows) > 200


class Seen(Scale):
    """Writes down the rows that it is asked for."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def forward(self, ids, mask):
        self.rows += [tuple(row[inside].tolist()) for row, inside in zip(ids, mask, strict=True)]
        return super().forward(ids, mask)


def test_every_metric_is_had_at_once_and_the_table_shows_intervals():
    texts = small_texts(6, seed=2)
    report = measured(small_classifier("lstm"), texts, ["all"])
    assert {*CHANCE, *NAOPC, *COSINES, "tau_loo", "acc", "ir_rate"} <= set(report.metrics)
    assert "rationale_f1" not in report.metrics
    low, high = report.intervals["win"]
    assert f"{low:.4f} to {high:.4f}" in report.table()
    assert json.loads(report.to_json())["intervals"]["win"] == [low, high]


ONE_TOKEN = ["film", "work", "force", "full", "joy", "moments", "rising", "material", "level", "tired"]


@pytest.mark.parametrize(("family", "removal", "stand", "order"), [
    ("lstm", "unknown", "\ue000", "static"), ("lstm", "mask", "\ue000", "recomputed"),
    ("lstm", "mask", "\ue000", "beam"), ("transformer", "mask", "[MASK]", "static"),
    ("transformer", "unknown", "[UNK]", "recomputed"), ("transformer", "mask", "[MASK]", "beam"),
])  # fmt: skip
def test_words_that_are_replaced_leave_their_place_filled(family, removal, stand, order):
    classifier = small_classifier(family, seed=1)
    texts = [" ".join(np.random.default_rng(i).permutation(ONE_TOKEN)[: 4 + i % 4]) for i in range(6)]
    report = measured(classifier, texts, ["comp", "suff", "ir", "ur", "i_var", "u_var"], removal=removal, order=order)
    for i, text in enumerate(texts):
        seen = twins.Text(classifier, text.split(), lambda word: [stand])
        for important, names in ((True, ("comp", "ir", "i_var")), (False, ("suff", "ur", "u_var"))):
            sequence = order_of(seen, order, important)
            flip = seen.flips_at(sequence)
            actual = [float(report.columns[name][i]) for name in names]
            assert actual[0] == pytest.approx(twins.mean_drop(seen, sequence, 1), abs=1e-5)
            assert actual[1] == (flip or len(text.split()) - 1)
            assert actual[2] == pytest.approx(rank_variance(seen, important), abs=1e-9)


def order_of(seen, order, important):
    if order == "static":
        return twins.removal_order(seen.saliency, important)
    if order == "beam":
        return twins.beam_order(seen, important)
    taken = []
    for _ in range(len(seen.words) - 1):
        scores = seen.saliency_of_left(taken)
        taken.append(min(scores, key=lambda w: (-scores[w] if important else scores[w], w)))
    return taken


def rank_variance(seen, important):
    taken = twins.removal_order(seen.saliency, important)[0]
    before, after = twins.removal_order(seen.saliency, True), seen.saliency_of_left([taken])
    ranked = sorted(after, key=lambda w: (-after[w], w))
    return twins.mean([(before.index(w) - ranked.index(w)) ** 2 for w in ranked])


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_the_beam_s_order_is_the_loop_s(family):
    classifier, texts = small_classifier(family, seed=4), small_texts(6, seed=9, longest=8)
    for text, actual in zip(texts, pct.explain(classifier, texts, order="beam", saliency="l2"), strict=True):
        seen = twins.Text(classifier, text.split())
        for curve, important in ((actual.important, True), (actual.unimportant, False)):
            order = twins.beam_order(seen, important)[: len(seen.words) - 1]
            assert curve.removed == order
            assert curve.confidences == pytest.approx(
                [seen.confidence(order[:t]) for t in range(len(order) + 1)], abs=1e-5
            )


def test_a_beam_keeps_the_confidence_at_least_as_well_as_one_removal_does():
    classifier, texts = small_classifier("transformer", seed=5), small_texts(12, seed=1, longest=9)
    one, five = (measured(classifier, texts, ["suff_aopc"], order=order) for order in ("recomputed", "beam"))
    assert five.suff_aopc <= one.suff_aopc


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"removal": "blank"}, ValueError, "removal must be one of delete, mask, unknown, got 'blank'"),
    ({"removal": "mask"}, ValueError, "Scale has no token for removal mask; use delete"),
    ({"seed": -1}, ValueError, "the seed must be >= 0, got -1"),
])  # fmt: skip
def test_what_cannot_be_measured_is_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        measured(Scale(), ["good bad"], ["win"], **options)


def test_anybody_s_saliency_is_measured_in_the_place_of_the_model_s_own():
    classifier, texts = small_classifier("lstm", seed=1), small_texts(12, seed=3)
    dataset = (texts, [0] * len(texts))
    own = pct.evaluate(classifier, dataset, metrics=["comp", "suff", "ir", "ur", "margin"])
    same = pct.evaluate(classifier, dataset, saliency=classifier.saliency(texts), metrics=["usual", "margin"])
    for name in own.metrics:
        np.testing.assert_allclose(same.columns[name], own.columns[name], atol=1e-6)
    assert "i_var" not in same.metrics
    mirrored = pct.evaluate(classifier, dataset, saliency=[-s for s in classifier.saliency(texts)], metrics=["comp"])
    without_ties = [len(set(s.tolist())) == len(s) for s in classifier.saliency(texts)]
    assert all(without_ties)
    np.testing.assert_allclose(mirrored.columns["comp"], own.columns["suff"], atol=1e-6)


def test_a_given_saliency_of_a_text_that_is_cut_is_cut_with_it():
    actual = pct.evaluate(Scale(max_length=2), (["good the superb"], [1]), saliency=[[1.0, 2.0, 9.0]], metrics=["comp"])
    assert actual.comp == pytest.approx(0.0, abs=1e-6)  # `the` goes first


@pytest.mark.parametrize(("saliency", "options", "message"), [
    ([[1.0, 2.0]], {}, "2 texts need a saliency each, got 1"),
    ([[1.0, 2.0], [1.0]], {}, "the saliency of text 1 must be 3 finite numbers, one a word, got 1"),
    ([[1.0, math.nan], [1.0, 2.0, 3.0]], {}, "of text 0 must be 2 finite numbers, one a word, got 2, some not finite"),
    ([[1.0, 2.0], [1.0, 2.0, 3.0]], {"order": "recomputed"}, "order must be static"),
    ([[1.0, 2.0], [1.0, 2.0, 3.0]], {"metrics": ["u_var"]}, "i_var and u_var, which compare"),
])  # fmt: skip
def test_a_given_saliency_that_does_not_fit_is_refused(saliency, options, message):
    with pytest.raises(ValueError, match=message):
        pct.evaluate(Scale(), (["good bad", "fine the slow"], [1, 0]), saliency=saliency, **options)


def test_the_usual_metrics_and_some_more():
    texts = (["good the bad superb", "slow dreadful fine"], [1, 0])
    report = pct.evaluate(Scale(), texts, metrics=["usual", "margin"])
    assert set(report.metrics) == {*pct.evaluate(Scale(), texts).metrics, "margin"}
