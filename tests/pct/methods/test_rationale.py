"""Right for the right reasons, against loops and finite differences."""

import numpy as np
import pytest
import torch

from pct.methods.base import make_method
from pct.methods.rationale import squared_gradient
from pct.settings import Settings
from tests.pct import twins
from tests.pct.methods.one_text import MIXED, batch_of, gradients, twin_cross_entropy
from tests.pct.small import FAMILIES, LEXICON, small_model

SMOOTH = ("lstm", "transformer")  # a maximum over words has kinks: no difference tells its slope there


def twin_outside_rationale(model, family, texts):
    """The mean over texts of (gradient . embedding)^2 of sum_k log f_k, summed over tokens outside the rationale."""
    total, batch = 0.0, batch_of(family, texts)
    for row, text in enumerate(texts):
        words = batch.word_ids[row][batch.word_ids[row] > -2]
        point = model.embed(batch.ids[row : row + 1, : len(words)]).detach().requires_grad_(True)
        logits = model.encode(point, torch.ones(1, len(words), dtype=torch.bool)).logits[0]
        (gradient,) = torch.autograd.grad(sum(logits.log_softmax(-1)), point)
        for place, word in enumerate(words.tolist()):
            inside = word >= 0 and word % 3 == 0
            total += 0.0 if inside else float(gradient[0, place] @ point[0, place].detach()) ** 2
        assert len(text)
    return total / len(texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_squared_gradient_outside_the_rationale_is_the_loop_s(family):
    model = small_model(family, dropout=0.0).double().train()
    step = make_method(Settings(method="rationale", rationale_weight=1.0))(model, batch_of(family, MIXED))
    expected = twin_outside_rationale(model, family, MIXED)
    assert float(step.parts["outside_rationale"]) == pytest.approx(expected, rel=1e-6)
    assert float(step.loss.detach()) == pytest.approx(
        float(twin_cross_entropy(model, family, MIXED).detach()) + expected, rel=1e-6
    )


@pytest.mark.parametrize("family", SMOOTH)
def test_its_gradient_at_the_weights_is_that_of_finite_differences(family):
    texts = MIXED[:3]
    model = small_model(family, dropout=0.0).double().eval()
    weight = model.dense.weight

    def at(stack):
        found = []
        before = weight.detach().clone()
        for point in stack:
            with torch.no_grad():
                weight.copy_(point)
            found.append(twin_outside_rationale(model, family, texts))
        with torch.no_grad():
            weight.copy_(before)
        return found

    expected = twins.finite_differences(at, weight.detach().clone(), 1e-4)
    batch = batch_of(family, texts)
    inside = batch.rationale.gather(1, batch.word_ids.clamp(min=0)) & (batch.word_ids >= 0)
    mask = batch.word_ids > -2
    found = gradients(model, squared_gradient(model, batch.ids, mask, mask & ~inside))["dense.weight"]
    assert float(expected.abs().max()) > 1e-4
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * float(expected.abs().max()))


def test_the_penalty_moves_the_embeddings_too():
    model = small_model("lstm", dropout=0.0).train()
    batch = batch_of("lstm", [LEXICON[:6]])
    mask = batch.word_ids > -2
    moved = gradients(model, squared_gradient(model, batch.ids, mask, mask))["embedding.weight"]
    assert float(moved.abs().max()) > 1e-4


def test_a_corpus_without_rationales_is_refused():
    batch = batch_of("lstm", MIXED)._replace(rationale=None)
    with pytest.raises(ValueError, match="needs a corpus that knows which words decide, such as planted"):
        make_method(Settings(method="rationale"))(small_model("lstm"), batch)
