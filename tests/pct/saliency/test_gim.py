"""GIM against the authors' package, and the gradients of its parts against their definitions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pct.models.wrapped import Wrapped
from pct.saliency.gradients import saliency
from pct.saliency.modes import GimModel
from tests.pct.saliency.tiny_transformers import inner_model, one_text


def attention_in_parts(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """What `F.scaled_dot_product_attention` does, by `F.softmax`, which the package replaces."""
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    scores = query @ key.transpose(-1, -2) * (scale or 1 / math.sqrt(query.shape[-1]))
    if is_causal:
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), float("-inf"))
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, float("-inf")) if attn_mask.dtype == torch.bool else scores + attn_mask
    return F.softmax(scores, dim=-1) @ value


class RootMeanSquare(torch.nn.RMSNorm):
    """`LlamaRMSNorm` as a torch module: the package replaces torch's modules alone."""

    def __init__(self, norm):
        super().__init__(norm.weight.shape, norm.variance_epsilon)
        self.weight = norm.weight


def model_of(name):
    model = inner_model(name, attn_implementation="sdpa")
    for module in list(model.modules()):
        for part, child in list(module.named_children()):
            if type(child).__name__ == "LlamaRMSNorm":
                setattr(module, part, RootMeanSquare(child))
    return Wrapped(model.double(), name, padding="right")


def gradient_by_the_package(gim, model, ids, words, label, **options):
    with gim.GIM(model, **options):
        point = model.embed(ids).detach().requires_grad_(True)
        logits = model.encode(point, words > -2).logits
        (gradient,) = torch.autograd.grad(logits[0, label], point)
    return torch.stack([(gradient * point)[0, words[0] == w].sum() for w in range(int(words.max()) + 1)])


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_it_is_the_gradient_of_the_authors_package(name, monkeypatch):
    gim = pytest.importorskip("gim", reason="gim-explain is not installed")
    model, (ids, words) = model_of(name), one_text()
    # the package softens `F.softmax`; a fused attention kernel does not call it
    monkeypatch.setattr(F, "scaled_dot_product_attention", attention_in_parts)
    expected = [gradient_by_the_package(gim, model, ids, words, label) for label in range(3)]
    monkeypatch.undo()
    for label in range(3):
        _, found = saliency(model, ids, words, torch.tensor([label]), "gim", "logit")
        _, plain = saliency(model, ids, words, torch.tensor([label]), "grad_x_input", "logit")
        np.testing.assert_allclose(found[0], expected[label].detach(), rtol=1e-3, atol=1e-5)
        assert np.abs(found - plain).max() > 0.05 * np.abs(found).max()


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_without_the_temperature_it_is_the_package_s_gradient_of_fused_attention(name, monkeypatch):
    gim = pytest.importorskip("gim", reason="gim-explain is not installed")
    model, (ids, words) = model_of(name), one_text()
    expected = gradient_by_the_package(gim, model, ids, words, 1)
    monkeypatch.setattr(GimModel, "temperature", 1.0)
    _, found = saliency(model, ids, words, torch.tensor([1]), "gim", "logit")
    np.testing.assert_allclose(found[0], expected.detach(), rtol=1e-3, atol=1e-5)


def test_the_softmax_of_the_classes_keeps_its_own_gradient():
    """With two classes the gradient of the probability is that of the log-odds times f (1 - f)."""
    model, (ids, words) = Wrapped(inner_model("bert", classes=2).double(), "bert"), one_text()
    logits, of_odds = saliency(model, ids, words, torch.tensor([1]), "gim", "log_odds")
    _, of_probability = saliency(model, ids, words, torch.tensor([1]), "gim", "probability")
    f = float(logits.softmax(-1)[0, 1])
    np.testing.assert_allclose(of_probability, of_odds * f * (1 - f), rtol=1e-4, atol=1e-7)


def test_a_softmax_passes_back_the_gradient_of_temperature_two():
    scores = torch.tensor([1.0, -0.5, 3.0], dtype=torch.float64, requires_grad=True)
    arriving = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    with GimModel():
        (found,) = torch.autograd.grad(scores.softmax(-1), scores, arriving)
    p = [math.exp(x / 2) for x in scores.tolist()]
    p = [x / sum(p) for x in p]
    dot = sum(x * g for x, g in zip(p, arriving.tolist(), strict=True))
    np.testing.assert_allclose(found, [x * (g - dot) for x, g in zip(p, arriving.tolist(), strict=True)], rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": True}])
def test_queries_and_keys_take_a_quarter_and_values_a_half_of_their_gradient(options, monkeypatch):
    monkeypatch.setattr(GimModel, "temperature", 1.0)
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(1, 2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    if "attn_mask" in options:
        options = {"attn_mask": torch.tensor([True, True, False, True]).expand(1, 1, 4, 4)}
    out = F.scaled_dot_product_attention(*parts, **options)
    arriving = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    plain = torch.autograd.grad(out, parts, arriving)
    with GimModel():
        changed = F.scaled_dot_product_attention(*parts, **options)
        found = torch.autograd.grad(changed, parts, arriving)
    torch.testing.assert_close(changed, out)
    for one, other, factor in zip(found, plain, (0.25, 0.25, 0.5), strict=True):
        torch.testing.assert_close(one, factor * other)
