"""Masked and saliency-guided training, and rationales, against twins that take one text at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pct.methods.base import make_method
from pct.methods.masked import mask_words, random_words
from pct.methods.rationale import squared_gradient
from pct.settings import Settings
from tests.pct import twins
from tests.pct.methods.one_text import MIXED, batch_of, encoded, gradients, labels_of, order_of, twin_cross_entropy
from tests.pct.small import FAMILIES, LEXICON, small_model, small_words

SMOOTH = ("lstm", "transformer")  # a maximum over words has kinks: no difference tells its slope there


def assert_same_gradients(model, found, expected, rtol=1e-5):
    found, expected = gradients(model, found), gradients(model, expected)
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-3
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=rtol, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_texts_with_the_words_masked(family):
    model = small_model(family, dropout=0.0).double().train()
    batch = batch_of(family, MIXED)
    torch.manual_seed(5)
    step = make_method(Settings(method="masked"))(model, batch)
    torch.manual_seed(5)
    masked = [np.flatnonzero(row).tolist() for row in random_words(batch.counts)]
    assert any(masked)
    expected = twin_cross_entropy(model, family, MIXED, masked)
    assert float(step.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    assert_same_gradients(model, step.loss, expected)


def test_half_of_the_texts_stay_whole_and_the_shares_of_the_others_are_spread_evenly():
    counts = torch.tensor([20, 7, 1, 40] * 100)
    torch.manual_seed(0)
    chosen = [random_words(counts) for _ in range(20)]
    for rows in chosen:
        assert not (rows & (torch.arange(40) >= counts[:, None])).any()  # no word beyond a text's last
        assert (rows.sum(1) > 0).sum() <= 200
    shares = torch.cat([rows.sum(1)[counts == 40] / 40 for rows in chosen])
    assert 0.45 < float((shares == 0).float().mean()) < 0.55
    quarters = torch.histc(shares[shares > 0], 4, 0, 1) / (shares > 0).sum()
    assert ((quarters > 0.2) & (quarters < 0.3)).all()
    places = torch.stack([rows[counts == 40].float().mean(0) for rows in chosen]).mean(0)
    assert ((places > 0.2) & (places < 0.3)).all()  # every place alike


def test_all_pieces_of_a_word_are_masked_and_special_tokens_are_not():
    batch = batch_of("transformer", [["unfathomable", "film"], ["film", "joy"]])
    ids = mask_words(batch, torch.tensor([[True, False], [False, False]]))
    mask = small_words("transformer").tokenizer.mask_token_id
    of_first = batch.words[0] == 0
    assert of_first.sum() > 1
    assert (ids[0] == mask).tolist() == of_first.tolist()
    assert ids[1].tolist() == batch.ids[1].tolist()


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


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_divergence_is_that_from_the_text_without_its_least_salient_words(family, share):
    model = small_model(family, dropout=0.0).double().train()
    settings = Settings(method="saliency_guided", p_unimportant=share, guided_weight=0.7)
    step = make_method(settings)(model, batch_of(family, MIXED))
    expected = twin_divergence(model, family, MIXED, settings)
    assert float(step.parts["divergence"]) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert_same_gradients(model, step.loss, twin_cross_entropy(model, family, MIXED) + 0.7 * expected, 1e-4)


def test_texts_of_one_word_have_no_divergence():
    model = small_model("lstm", dropout=0.0).train()
    step = make_method(Settings(method="saliency_guided"))(model, batch_of("lstm", [["film"], ["joy"]]))
    assert float(step.parts["divergence"]) == 0.0
    assert all(torch.isfinite(g).all() for g in gradients(model, step.loss).values())


def twin_outside_rationale(model, family, texts):
    """The mean over texts of the squared gradient of sum_k log f_k at the tokens outside the rationale."""
    total = 0.0
    for row, text in enumerate(texts):
        batch = batch_of(family, texts)
        words = batch.words[row][batch.words[row] > -2]
        point = model.embed(batch.ids[row : row + 1, : len(words)]).detach().requires_grad_(True)
        logits = model.encode(point, torch.ones(1, len(words), dtype=torch.bool)).logits[0]
        (gradient,) = torch.autograd.grad(sum(logits.log_softmax(-1)), point)
        for place, word in enumerate(words.tolist()):
            inside = word >= 0 and word % 3 == 0
            total += 0.0 if inside else float((gradient[0, place] ** 2).sum())
        assert len(text)
    return total / len(texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_squared_gradient_outside_the_rationale_is_the_loop_s(family):
    model = small_model(family, dropout=0.0).double().train()
    step = make_method(Settings(method="rationale"))(model, batch_of(family, MIXED))
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
    inside = batch.rationale.gather(1, batch.words.clamp(min=0)) & (batch.words >= 0)
    mask = batch.words > -2
    found = gradients(model, squared_gradient(model, batch.ids, mask, mask & ~inside))["dense.weight"]
    assert float(expected.abs().max()) > 1e-3
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * float(expected.abs().max()))


def test_the_penalty_moves_the_embeddings_too():
    model = small_model("lstm", dropout=0.0).train()
    batch = batch_of("lstm", [LEXICON[:6]])
    mask = batch.words > -2
    moved = gradients(model, squared_gradient(model, batch.ids, mask, mask))["embedding.weight"]
    assert float(moved.abs().max()) > 1e-4


def test_a_corpus_without_rationales_is_refused():
    batch = batch_of("lstm", MIXED)._replace(rationale=None)
    with pytest.raises(ValueError, match="needs a corpus that knows which words decide, as planted does"):
        make_method(Settings(method="rationale"))(small_model("lstm"), batch)
