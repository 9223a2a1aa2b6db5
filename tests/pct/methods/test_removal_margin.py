"""Removal margin against a twin that takes one text at a time and removes its words from a list."""

import numpy as np
import pytest
import torch

from pct.methods.base import RemovedWords, make_method, pass_originals, reduced_logits
from pct.methods.removal_margin import words_to_compare
from pct.settings import Settings
from tests.pct import twins
from tests.pct.methods.one_text import (
    MIXED,
    assert_same_gradients,
    batch_of,
    encoded,
    gradients,
    labels_of,
    saliency_of,
    twin_cross_entropy,
)
from tests.pct.small import FAMILIES, small_model

WEIGHTS = {"margin_weight": 0.7, "margin_bound": 1.5, "keep_weight": 0.4, "random_weight": 0.6}


def log_odds(logits, label):
    others = [logits[k].exp() for k in range(len(logits)) if k != label]
    return logits[label] - sum(others).log()


def divergence(first, second):
    """KL(softmax(first) || softmax(second)) of two texts' logits."""
    total = 0.0
    for a, b in zip(first.log_softmax(-1), second.log_softmax(-1), strict=True):
        total = total + a.exp() * (a - b)
    return total


def random_words_of(batch, settings):
    """The words that the method removes at random, by text, under the seed that is set now."""
    saliency = torch.zeros(len(batch.ids), int(batch.counts.max()))
    return [np.flatnonzero(row).tolist() for row in words_to_compare(saliency, batch, settings)[2].words]


def twin_loss(model, family, texts, settings, random):
    hinges, keeps, chances = [], [], []
    for place, (text, label) in enumerate(zip(texts, labels_of(texts).tolist(), strict=True)):
        if len(text) == 1:
            continue
        m_i, m_u = (twins.how_many(len(text), p) for p in (settings.p_important, settings.p_unimportant))
        saliency = saliency_of(model, family, text, label, settings)
        important = twins.removal_order(saliency, True)[:m_i]
        unimportant = twins.removal_order([abs(x) for x in saliency], False)[:m_u]
        assert len(random[place]) == m_i
        whole = encoded(model, family, text).logits[0]
        rest = [
            encoded(model, family, text, gone).logits[0]
            if settings.train_removal == "mask"
            else encoded(model, family, twins.without(text, gone)).logits[0]
            for gone in (important, unimportant, random[place])
        ]
        worth = log_odds(whole, label) - log_odds(rest[0], label)
        hinges.append(torch.relu(settings.margin_bound - worth))
        keeps.append(divergence(whole, rest[1]))
        chances.append(divergence(whole, rest[2]))
    weights = (settings.margin_weight, settings.keep_weight, settings.random_weight)
    loss = twin_cross_entropy(model, family, texts)
    for weight, values in zip(weights, (hinges, keeps, chances), strict=True):
        loss = loss + weight * sum(values) / len(values)
    return loss


def step_and_twin(family, **changes):
    """A model, its step on MIXED, and the loss of the twin with the same random words."""
    model = small_model(family, dropout=0.0).double().train()
    settings = Settings(method="removal_margin", **WEIGHTS, **changes)
    batch = batch_of(family, MIXED)
    state = torch.random.get_rng_state()
    step = make_method(settings)(model, batch)
    torch.random.set_rng_state(state)
    return model, step, twin_loss(model, family, MIXED, settings, random_words_of(batch, settings))


@pytest.mark.parametrize("removal", ["delete", "mask"])
@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.5, 0.3)])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_those_of_one_text_at_a_time(family, shares, removal):
    important, unimportant = shares
    model, step, expected = step_and_twin(
        family, p_important=important, p_unimportant=unimportant, train_removal=removal
    )
    assert float(step.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert_same_gradients(model, step.loss, expected, 1e-4)


@pytest.mark.parametrize(
    ("family", "saliency"), [("lstm", "grad_x_input"), ("lstm", "l1"), ("transformer", "frozen_grad_x_input")]
)
def test_words_are_ranked_under_the_saliency_of_the_settings_and_the_least_by_absolute_value(family, saliency):
    _, step, expected = step_and_twin(family, saliency=saliency, p_important=0.4, p_unimportant=0.4)
    assert float(step.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_a_word_against_the_class_is_not_unimportant():
    batch = batch_of("lstm", [["film", "joy", "goofy", "tired"]])
    settings = Settings(method="removal_margin", p_important=0.25, p_unimportant=0.25)
    important, unimportant, _ = words_to_compare(torch.tensor([[0.5, -3.0, 0.1, 2.0]]), batch, settings)
    assert important.words.tolist() == [[False, False, False, True]]
    assert unimportant.words.tolist() == [[False, False, True, False]]


def test_by_either_removal_each_text_is_masked_or_loses_its_words_and_alike_under_every_choice():
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", MIXED * 3)
    removed = torch.arange(int(batch.counts.max())) < (batch.counts[:, None] // 2)
    choice = RemovedWords(removed, np.flatnonzero(batch.host_counts > 1))
    settings = Settings(method="removal_margin", p_important=0.4)
    projected = pass_originals(model, batch, settings).projected
    torch.manual_seed(0)
    delete, mask, either, again = (
        found.logits
        for removal, choices in (("delete", [choice]), ("mask", [choice]), ("either", [choice, choice]))
        for found in reduced_logits(model, batch, projected, choices, settings.replace(train_removal=removal))
    )
    torch.testing.assert_close(either, again)
    is_masked, is_deleted = (torch.isclose(either, x, atol=1e-5).all(1) for x in (mask, delete))
    assert (is_masked ^ is_deleted).all()
    assert 0.2 < float(is_masked.float().mean()) < 0.8


def test_random_words_are_spread_over_a_text_and_are_as_many_as_the_important_ones():
    batch = batch_of("lstm", [MIXED[-1]] * 400)  # 14 words
    torch.manual_seed(0)
    settings = Settings(method="removal_margin", p_important=0.3)
    random = words_to_compare(torch.zeros(400, 14), batch, settings)[2].words
    assert set(random.sum(1).tolist()) == {5}
    share = random.float().mean(0)
    assert ((share > 0.25) & (share < 0.47)).all()


@pytest.mark.parametrize("removal", ["delete", "mask", "either"])
def test_texts_of_one_word_leave_the_supervised_loss_alone(removal):
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", [["film"], ["joy"]])
    step = make_method(Settings(method="removal_margin", train_removal=removal))(model, batch)
    assert float(step.loss.detach()) == float(step.parts["cross_entropy"])
    assert {float(step.parts[name]) for name in ("hinge", "keep", "random")} == {0.0}
    assert all(torch.isfinite(g).all() for g in gradients(model, step.loss).values())


def test_a_share_of_zero_trains_without_that_side():
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", MIXED)
    one_sided = {"p_important": ("hinge", "random"), "p_unimportant": ("keep",)}
    for share, names in one_sided.items():
        changes = {share: 0.0, share.replace("p_", "measure_"): 0.1}
        parts = make_method(Settings(method="removal_margin", **changes))(model, batch).parts
        assert {name for name, part in parts.items() if float(part) == 0.0} == set(names)


def test_important_words_that_are_worth_more_than_the_bound_are_not_pushed_further():
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", MIXED)
    settings = Settings(method="removal_margin", margin_bound=0.0, keep_weight=0.0, random_weight=0.0)
    with_hinge = make_method(settings)(model, batch)
    worth = []
    for text, label in zip(MIXED, labels_of(MIXED).tolist(), strict=True):
        if len(text) > 1:
            saliency = saliency_of(model, "lstm", text, label, settings)
            rest = twins.without(text, twins.removal_order(saliency, True)[: twins.how_many(len(text), 0.1)])
            worth.append(
                log_odds(encoded(model, "lstm", text).logits[0], label)
                - log_odds(encoded(model, "lstm", rest).logits[0], label)
            )
    assert any(w > 0 for w in worth)
    assert any(w < 0 for w in worth)
    expected = sum(max(-float(w.detach()), 0.0) for w in worth) / len(worth)
    assert float(with_hinge.parts["hinge"]) == pytest.approx(expected, rel=1e-5)
