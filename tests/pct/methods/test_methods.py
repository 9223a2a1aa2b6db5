"""The training methods against twins that take one text at a time and reduce it as a list of words."""

import math

import numpy as np
import pytest
import torch

from pct.methods import methods
from pct.methods.base import make_method
from pct.settings import METHODS, Settings
from pct.training.batches import make_batch
from pct.training.paper import METHODS as OF_THE_PAPER
from tests.pct import twins
from tests.pct.methods.one_text import MIXED, batch_of, encoded, gradients, labels_of, order_of, twin_cross_entropy
from tests.pct.small import FAMILIES, LEXICON, method_for, small_model, small_words

ONE_WORD = [["film"], ["joy"], ["goofy"]]
SAME_LENGTH = [LEXICON[i : i + 6] for i in (0, 5, 9, 14)]
BATCHES = {"different lengths, one word among them": MIXED, "one length": SAME_LENGTH, "one text": [LEXICON[4:9]]}


def reduced(model, family, text, label, settings, important):
    """The reduced texts of one side."""
    if len(text) == 1:
        return []
    share = settings.p_important if important else settings.p_unimportant
    if not share:
        return []
    order = order_of(model, family, text, label, settings, important)
    return twins.reduced(text, order, twins.how_many(len(text), share))


def twin_contrastive(rows, sets, temperature):
    """Eq. 6 as `twins.contrastive`, in the graph."""
    unit = [row / row.norm() for row in rows]
    losses = []
    for p, mine in enumerate(sets):
        positives = [torch.exp(unit[p] @ unit[j] / temperature) for j, s in enumerate(sets) if s == mine and j != p]
        negatives = [torch.exp(unit[p] @ unit[j] / temperature) for j, s in enumerate(sets) if s != mine]
        if positives and negatives:
            losses.append(-torch.log(sum(positives) / sum(negatives)))
    return sum(losses) / len(losses) if losses else rows[0].sum() * 0


def twin_loss(model, family, texts, settings):
    """The loss of a method: its parts, one text at a time."""
    supervised = twin_cross_entropy(model, family, texts)
    labels = labels_of(texts).tolist()
    if settings.method == "normal":
        return supervised
    if settings.method == "entropy":
        entropies = []
        for text, label in zip(texts, labels, strict=True):
            for rest in reduced(model, family, text, label, settings, False):
                logp = encoded(model, family, rest).logits[0].log_softmax(-1)
                entropies.append(-(logp.exp() * logp).sum())
        return supervised - settings.entropy_weight * (sum(entropies) / len(entropies) if entropies else 0.0)
    rows, sets = [], []
    for place, (text, label) in enumerate(zip(texts, labels, strict=True)):
        positives = [text, *reduced(model, family, text, label, settings, False)]
        negatives = reduced(model, family, text, label, settings, True)
        rows += [encoded(model, family, t).representation[0] for t in (*positives, *negatives)]
        sets += [("positives", place)] * len(positives) + [("negatives", place)] * len(negatives)
    return supervised + settings.alpha * twin_contrastive(rows, sets, settings.temperature)


def settings_of(method, **changes):
    return Settings(method=method, **({"alpha": 0.6, "temperature": 0.4, "entropy_weight": 0.5} | changes))


def assert_equal_to_the_twin(family, texts, settings):
    """Loss and the gradient at every weight. The twin's choice of words is a list: no gradient can pass it."""
    model = small_model(family, dropout=0.0).double().train()
    step = make_method(settings)(model, batch_of(family, texts))
    found = gradients(model, step.loss)
    expected_loss = twin_loss(model, family, texts, settings)
    assert float(step.loss.detach()) == pytest.approx(float(expected_loss.detach()), rel=1e-5)
    expected = gradients(model, expected_loss)
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-3
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("method", OF_THE_PAPER)
@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_those_of_one_text_at_a_time(family, name, method):
    assert_equal_to_the_twin(family, BATCHES[name], settings_of(method))


@pytest.mark.parametrize("changes", [
    {"p_important": 0.5, "p_unimportant": 0.3}, {"p_important": 1.0, "p_unimportant": 1.0},
    {"saliency": "grad_x_input"}, {"saliency": "l1", "saliency_of": "probability"}, {"saliency_of": "logit"},
    {"saliency": "integrated_gradients", "integrated_steps": 3},
    {"p_important": 0.0, "measure_important": 0.1}, {"p_unimportant": 0.0, "measure_unimportant": 0.1},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("method", ["entropy", "pct"])
def test_the_settings_of_the_choice_are_used(method, changes):
    assert_equal_to_the_twin("lstm", MIXED[:6], settings_of(method, **changes))


@pytest.mark.parametrize("method", ["entropy", "pct"])
def test_texts_of_one_word_leave_the_supervised_loss_alone(method):
    model = small_model("textcnn", dropout=0.0).train()
    step = make_method(settings_of(method))(model, batch_of("textcnn", ONE_WORD))
    normal = make_method(settings_of("normal"))(model, batch_of("textcnn", ONE_WORD))
    assert float(step.loss.detach()) == pytest.approx(float(normal.loss.detach()))
    assert np.isfinite(list(gradients(model, step.loss)["dense.weight"].flatten())).all()
    assert {float(v) for k, v in step.parts.items() if k != "cross_entropy"} == {0.0}


def test_short_texts_make_important_sets_of_one_and_the_loss_is_theirs():
    """At p = 0.1 a text of up to ten words loses one word on each side: two originals with one kin each, and two lone
    rows that are no anchors."""
    texts = SAME_LENGTH[:2]
    model = small_model("lstm", dropout=0.0).double().train()
    step = make_method(settings_of("pct"))(model, batch_of("lstm", texts))
    settings = settings_of("pct")
    rows, sets = [], []
    for place, (text, label) in enumerate(zip(texts, [0, 1], strict=True)):
        positives, negatives = (reduced(model, "lstm", text, label, settings, side) for side in (False, True))
        assert (len(positives), len(negatives)) == (1, 1)
        rows += [encoded(model, "lstm", t).representation[0].tolist() for t in (text, *positives, *negatives)]
        sets += [place, place, 10 + place]
    assert float(step.parts["contrastive"]) == pytest.approx(twins.contrastive(rows, sets, 0.4), rel=1e-5)


@pytest.mark.parametrize("family", ["textcnn", "lstm"])
def test_dropout_moves_neither_the_choice_of_words_nor_the_representations(family):
    model = small_model(family, dropout=0.8).train()
    method, batch = make_method(settings_of("pct")), batch_of(family, MIXED)
    first, second = (method(model, batch).parts for _ in range(2))
    assert float(first["contrastive"]) == pytest.approx(float(second["contrastive"]), rel=1e-6)
    assert float(first["cross_entropy"]) != float(second["cross_entropy"])
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(("method", "names"), [
    ("normal", {"cross_entropy"}), ("entropy", {"cross_entropy", "entropy"}), ("pct", {"cross_entropy", "contrastive"}),
    ("masked", {"cross_entropy"}), ("saliency_guided", {"cross_entropy", "divergence"}),
    ("rationale", {"cross_entropy", "outside_rationale"}),
    ("removal_margin", {"cross_entropy", "hinge", "keep", "random"}),
    ("unirex", {"cross_entropy", "comp_loss", "suff_loss"}), ("vmask", {"cross_entropy", "divergence"}),
])  # fmt: skip
def test_the_parts_make_the_loss_and_carry_no_graph(method, names):
    model = small_model("textcnn").train()
    settings = settings_of(method)
    step = method_for(model, settings, "textcnn")(model, batch_of("textcnn", MIXED))
    assert set(step.parts) == names
    assert not any(part.requires_grad for part in step.parts.values())
    weight = {
        "entropy": -settings.entropy_weight, "contrastive": settings.alpha, "cross_entropy": 1.0,
        "divergence": settings.mask_weight if method == "vmask" else settings.guided_weight,
        "outside_rationale": settings.rationale_weight,
        "hinge": settings.margin_weight, "keep": settings.keep_weight, "random": settings.random_weight,
        "comp_loss": settings.comp_weight, "suff_loss": settings.suff_weight,
    }  # fmt: skip
    assert float(step.loss.detach()) == pytest.approx(sum(weight[k] * float(v) for k, v in step.parts.items()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_in_bf16_has_a_finite_loss_in_float32_near_the_full_one(family, method):
    model = small_model(family, dropout=0.0).train()
    method, batch = method_for(model, settings_of(method), family), batch_of(family, MIXED)
    torch.manual_seed(0)  # of the words that are masked
    full = float(method(model, batch).loss.detach())
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        step = method(model, batch)
    assert step.loss.dtype == torch.float32
    assert float(step.loss.detach()) == pytest.approx(full, rel=0.1, abs=0.1)
    assert all(torch.isfinite(g).all() for g in gradients(model, step.loss).values())


def test_with_alpha_zero_the_gradient_is_the_normal_one():
    model = small_model("lstm", dropout=0.0).double().train()
    batch = batch_of("lstm", MIXED)
    pct, normal = (
        gradients(model, make_method(s)(model, batch).loss)
        for s in (settings_of("pct", alpha=0.0), settings_of("normal"))
    )
    for name, gradient in normal.items():
        np.testing.assert_allclose(pct[name], gradient, rtol=1e-9, atol=1e-12)


def test_the_explained_class_in_training_is_the_true_one():
    """Another label, another gradient, another choice of words: the contrastive part moves with the label alone."""
    model = small_model("lstm", dropout=0.0).double().train()
    tokens = small_words("lstm").encode([LEXICON[4:14], LEXICON[10:20]], 64)
    method = make_method(settings_of("pct", saliency="grad_x_input"))
    found = set()
    for label in range(3):
        labels = np.full(2, label, np.int64)
        batch = make_batch(tokens, labels, np.arange(2), torch.device("cpu"))
        found.add(round(float(method(model, batch).parts["contrastive"]), 6))
    assert len(found) > 1


def test_every_method_of_the_settings_is_made_by_its_name():
    assert set(METHODS) <= set(methods.names())
    for method in METHODS:
        assert type(make_method(settings_of(method))) is methods.get(method)


def test_the_twin_of_the_loss_agrees_with_the_one_in_plain_numbers():
    rows = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    sets = [0, 0, 1, 2, 2]
    expected = twins.contrastive(rows.tolist(), sets, 0.4)
    assert math.isclose(float(twin_contrastive(list(rows), sets, 0.4)), expected, rel_tol=1e-12)
