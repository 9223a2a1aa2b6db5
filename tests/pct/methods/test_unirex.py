"""UNIREX's losses against a twin that takes one text at a time and removes its words from a list."""

import pytest
import torch

from pct.methods import unirex
from pct.methods.base import make_method
from pct.settings import Settings
from tests.pct import twins
from tests.pct.methods.one_text import (
    MIXED,
    assert_same_gradients,
    batch_of,
    encoded,
    gradients,
    labels_of,
    order_of,
    twin_cross_entropy,
)
from tests.pct.small import FAMILIES, small_model

WEIGHTS = {"comp_weight": 0.7, "comp_bound": 0.8, "suff_weight": 0.4, "suff_bound": 0.2}


def cross_entropy(logits, label):
    return logits.exp().sum().log() - logits[label]


def twin_losses(model, family, texts, settings, share):
    """Comprehensiveness and sufficiency loss, as the paper writes them."""
    comp, suff = [], []
    for text, label in zip(texts, labels_of(texts).tolist(), strict=True):
        if len(text) == 1:
            continue
        top = order_of(model, family, text, label, settings, True)[: twins.how_many(len(text), share)]
        rest = [w for w in range(len(text)) if w not in top]
        whole, without, alone = (
            cross_entropy(
                (
                    encoded(model, family, text, gone)
                    if settings.train_removal == "mask"
                    else encoded(model, family, twins.without(text, gone))
                ).logits[0],
                label,
            )
            for gone in ([], top, rest)
        )
        m_c, m_s = (torch.tensor(x, dtype=whole.dtype) for x in (settings.comp_bound, settings.suff_bound))
        comp.append(torch.maximum(-m_c, whole - without) + m_c)
        suff.append(torch.maximum(-m_s, alone - whole) + m_s)
    return sum(comp) / len(comp), sum(suff) / len(suff)


@pytest.mark.parametrize("removal", ["delete", "mask"])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])  # smaller ones remove as many words of these texts
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_those_of_one_text_at_a_time(family, share, removal, monkeypatch):
    monkeypatch.setattr(unirex, "ERASER_SHARES", (share,))
    model = small_model(family, dropout=0.0).double().train()
    settings = Settings(method="unirex", train_removal=removal, **WEIGHTS)
    step = make_method(settings)(model, batch_of(family, MIXED))
    comp, suff = twin_losses(model, family, MIXED, settings, share)
    assert float(step.parts["comp_loss"]) == pytest.approx(float(comp.detach()), rel=1e-5)
    assert float(step.parts["suff_loss"]) == pytest.approx(float(suff.detach()), rel=1e-5)
    expected = twin_cross_entropy(model, family, MIXED) + 0.7 * comp + 0.4 * suff
    assert_same_gradients(model, step.loss, expected, 1e-4)


def test_every_share_of_the_paper_is_drawn():
    model, batch = small_model("textcnn", dropout=0.0).train(), batch_of("textcnn", [MIXED[-1]])
    method = make_method(Settings(method="unirex"))
    torch.manual_seed(0)
    losses = {round(float(method(model, batch).parts["comp_loss"]), 5) for _ in range(60)}
    assert unirex.ERASER_SHARES == (0.01, 0.05, 0.1, 0.2, 0.5)
    assert len(losses) == 4  # of 14 words 1, 1, 2, 3 and 7


@pytest.mark.parametrize("removal", ["delete", "mask", "either"])
def test_texts_of_one_word_leave_the_supervised_loss_alone(removal):
    model, batch = small_model("lstm", dropout=0.0).train(), batch_of("lstm", [["film"], ["joy"]])
    step = make_method(Settings(method="unirex", train_removal=removal))(model, batch)
    assert float(step.loss.detach()) == float(step.parts["cross_entropy"])
    assert all(torch.isfinite(g).all() for g in gradients(model, step.loss).values())
