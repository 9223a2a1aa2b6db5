"""A saliency that knows nothing has the value of chance in every metric, whatever the model."""

import functools
import math

import numpy as np
import pytest

import pct
from pct.metrics import RATIONALE
from tests.pct import twins
from tests.pct.small import FAMILIES, LEXICON, small_classifier
from tests.pct.toy import Scale

SEEDS = (0, 1, 2)
# few words decide, so that most removals cost little and some cost much
SKEWED = {word: (3.0 if place % 6 == 0 else 0.1) * (-1) ** (place // 6 % 4 == 3) for place, word in enumerate(LEXICON)}
METRICS = (
    "comp", "suff", "comp_aopc", "suff_aopc", "ir", "ur", "ir_rate", "ur_rate", "i_var", "u_var", "i_var_aligned",
    "u_var_aligned", "comp_random", "margin", "suff_margin", "win", "tau_loo", "naopc_comp", "naopc_suff",
    *RATIONALE,
)  # fmt: skip
# what chance should make of the columns of a text, each 0 in expectation
CHANCE = {
    "margin": lambda c: c["margin"],
    "suff_margin": lambda c: c["suff_margin"],
    "win": lambda c: c["win"] - 0.5,
    "comp and suff": lambda c: c["comp"] - c["suff"],
    "comp_aopc and suff_aopc": lambda c: c["comp_aopc"] - c["suff_aopc"],
    "ur and ir": lambda c: c["ur"] - c["ir"],
    "ur_rate and ir_rate": lambda c: c["ur_rate"] - c["ir_rate"],
    "the aligned variances of ranks": lambda c: c["i_var_aligned"] - c["u_var_aligned"],
    # ranks as they are written: without the top word every later word has a rank that is higher by 1
    "the variances of ranks": lambda c: c["i_var"] - c["u_var"] - 1,
    "tau_loo": lambda c: c["tau_loo"],
    "naopc_comp and naopc_suff": lambda c: c["naopc_comp"] - c["naopc_suff"],
    "rationale_auprc": lambda c: c["rationale_auprc"] - c["auprc of chance"],
    "rationale_auprc_random": lambda c: c["rationale_auprc_random"] - c["auprc of chance"],
    "rationale_f1": lambda c: c["rationale_f1"] - c["f1 of chance"],
    "rationale_f1_random": lambda c: c["rationale_f1_random"] - c["f1 of chance"],
    "rationale_iou_f1": lambda c: c["rationale_iou_f1"] - c["rationale_iou_f1_random"],
    "rationale_tau": lambda c: c["rationale_tau"],
    "separation": lambda c: c["separation"],
}


def deviation(values):
    """How many standard errors the mean lies from 0; texts of one word have no value."""
    values = values[~np.isnan(values)]
    assert len(values) > 300
    return float(values.mean() / (values.std(ddof=1) / np.sqrt(len(values)) + 1e-12))


@functools.cache
def columns_of(model):
    """The columns of random saliencies over some hundred texts a seed, none of them twice."""
    predictor = Scale(SKEWED) if model == "toy" else small_classifier(model, seed=1)
    texts, marks = [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        for _ in range(200):
            n = int(rng.integers(3, 8))
            texts.append(" ".join(np.array(LEXICON)[rng.permutation(len(LEXICON))[:n]]))
            marks.append((rng.permutation(n) < rng.integers(1, n)).astype(int).tolist())
    assert len(set(texts)) == len(texts)
    data = {"text": texts, "label": [0] * len(texts), "rationale": marks}
    names = METRICS if model == "toy" else (*METRICS, "separation")
    report = pct.evaluate(predictor, data, metrics=names, saliency="random", labels="indices")
    assert report.saliency == "random"
    share = np.mean([np.mean(m) for m in marks])
    top = [max(math.ceil(share * len(m)), 1) for m in marks]
    f1 = [2 * k * sum(m) / len(m) / (k + sum(m)) for k, m in zip(top, marks, strict=True)]
    auprc = [twins.average_precision_by_chance(len(m), sum(m)) for m in marks]
    return {**report.columns, "auprc of chance": np.array(auprc), "f1 of chance": np.array(f1)}


@pytest.mark.parametrize("what", CHANCE)
@pytest.mark.parametrize("model", ["toy", *FAMILIES])
def test_random_numbers_have_the_value_of_chance(model, what):
    if model == "toy" and what == "separation":
        pytest.skip("a Scale has no representation")
    assert abs(deviation(CHANCE[what](columns_of(model)))) < 4


def test_win_is_fair_to_chance_and_its_former_definition_was_not():
    """One word of ten decides: most orders cost nothing, so that few lie above the mean of five."""
    predictor = Scale({word: 4.0 * (word == LEXICON[0]) + 0.01 * place for place, word in enumerate(LEXICON)})
    rest = np.array(LEXICON[1:])
    texts = []
    for seed in range(500):
        rng = np.random.default_rng(seed)
        texts.append(" ".join(rng.permutation([LEXICON[0], *rng.permutation(rest)[:9]])))
    columns = pct.evaluate(
        predictor, (texts, [0] * 500), metrics=["comp", "comp_random", "win"], saliency="random", labels="indices"
    ).columns
    assert abs(deviation(columns["win"] - 0.5)) < 4
    difference = columns["comp"] - columns["comp_random"]
    former = np.where(np.abs(difference) <= 1e-6, 0.5, difference > 0)
    assert deviation(former - 0.5) < -4


def test_the_bootstrap_interval_of_win_holds_one_half_for_random_numbers():
    texts = ["the slow superb", "good the slow the bad", "fine bad the", "dreadful the good slow"] * 10
    rng = np.random.default_rng(0)
    numbers = [rng.random(len(text.split())).tolist() for text in texts]
    report = pct.evaluate(Scale(), (texts, [0] * 40), metrics=["win"], saliency=numbers)
    low, high = report.intervals["win"]
    assert low < report.win < high
    assert low < 0.5 < high
    right = pct.evaluate(Scale(), (texts, [0] * 40), metrics=["win"], saliency="occlusion")
    assert right.intervals["win"][0] > 0.5
