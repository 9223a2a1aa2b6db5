"""Saliency-guided training against a twin that takes one text at a time."""

import pytest
import torch

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


def twin_divergence(model, family, texts, settings):
    found = []
    for text, label in zip(texts, labels_of(texts).tolist(), strict=True):
        if len(text) == 1:
            continue
        least = order_of(model, family, text, label, settings, False)
        masked = least[: twins.how_many(len(text), settings.p_unimportant)]
        first, second = (encoded(model, family, text, words).logits[0].log_softmax(-1) for words in ((), masked))
        found.append((first.exp() * (first - second)).sum())
    return sum(found) / len(found)


@pytest.mark.parametrize("changes", [
    {"p_unimportant": 0.1}, {"p_unimportant": 0.5}, {"p_unimportant": 0.3, "saliency": "grad_x_input"}
], ids=str)  # fmt: skip
@pytest.mark.parametrize("family", FAMILIES)
def test_the_divergence_is_that_from_the_text_without_its_least_salient_words(family, changes):
    model = small_model(family, dropout=0.0).double().train()
    settings = Settings(method="saliency_guided", guided_weight=0.7, **changes)
    step = make_method(settings)(model, batch_of(family, MIXED))
    expected = twin_divergence(model, family, MIXED, settings)
    assert float(step.parts["divergence"]) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert_same_gradients(model, step.loss, twin_cross_entropy(model, family, MIXED) + 0.7 * expected, 1e-4)


def test_texts_of_one_word_have_no_divergence():
    model = small_model("lstm", dropout=0.0).train()
    step = make_method(Settings(method="saliency_guided"))(model, batch_of("lstm", [["film"], ["joy"]]))
    assert float(step.parts["divergence"]) == 0.0
    assert all(torch.isfinite(g).all() for g in gradients(model, step.loss).values())
