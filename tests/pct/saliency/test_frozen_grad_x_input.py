"""The frozen gradient against finite differences of a model whose nonlinear parts are really held."""

import numpy as np
import pytest
import torch

from pct.saliency.gradients import saliency
from pct.saliency.modes import FrozenModel
from tests.pct import twins
from tests.pct.saliency import frozen_twin
from tests.pct.saliency.tiny_transformers import exact, one_text

ACTIVATIONS = {
    "bert": frozen_twin.gelu,
    "bert with gelu_new": frozen_twin.gelu_tanh,
    "bert with silu": frozen_twin.silu,
}


def held_logits(name, model, ids):
    """A function of embeddings (length, width) whose constants are those of a text, and its logits there."""
    held, point = frozen_twin.Held(), model.embed(ids).detach()[0]
    if name in ACTIVATIONS:

        def logits(x):
            return frozen_twin.bert_logits(model.model, x, held, ACTIVATIONS[name])
    else:
        with torch.no_grad():
            attentions = [a[0] for a in model.model.model(ids, output_attentions=True).attentions]

        def logits(x):
            return frozen_twin.llama_logits(model.model, x, held, attentions)

    with torch.no_grad():
        first = logits(point)

    def later(x):
        held.restart()
        with torch.no_grad():
            return logits(x)

    return later, first, point


@pytest.mark.parametrize("of", ["logit", "log_odds", "probability"])
@pytest.mark.parametrize("name", [*ACTIVATIONS, "llama"])
def test_it_is_the_finite_difference_of_a_model_whose_constants_are_held(name, of):
    changes = {"attn_implementation": "eager"} if name == "llama" else {}
    model, (ids, words) = exact(name, **changes), one_text()
    logits, at_text, point = held_logits(name, model, ids)
    with torch.no_grad():
        own = model.encode(model.embed(ids), words > -2).logits[0]
    np.testing.assert_allclose(at_text, own, rtol=1e-4, atol=1e-5)  # the twin is this model
    for label in (0, 2):
        gradient = twins.finite_differences(
            lambda stack, label=label: [twins.score(logits(x).tolist(), label, of) for x in stack], point, 1e-4
        )
        expected = twins.of_words(gradient.tolist(), point.tolist(), words[0].tolist(), "grad_x_input")
        _, found = saliency(model, ids, words, torch.tensor([label]), "frozen_grad_x_input", of)
        _, plain = saliency(model, ids, words, torch.tensor([label]), "grad_x_input", of)
        np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        assert np.abs(plain[0].numpy() - expected).max() > 0.05 * np.abs(expected).max()  # the twin is not the gradient


@pytest.mark.parametrize(("function", "gradient"), [
    (torch.relu, [0.0, 1.0]),
    (torch.tanh, [np.tanh(-1.5) / -1.5, np.tanh(2.0) / 2.0]),
    (torch.nn.functional.gelu, [frozen_twin.gelu(-1.5) / -1.5, frozen_twin.gelu(2.0) / 2.0]),
    (lambda x: 0 * x + x.softmax(-1), [0.0, 0.0]),
    (lambda x: 0 * x + torch.sigmoid(x), [0.0, 0.0]),
    (lambda x: x * torch.sigmoid(x), [frozen_twin.silu(-1.5) / -1.5, frozen_twin.silu(2.0) / 2.0]),
    (lambda x: torch.nn.functional.silu(x) * (3 * x), [3 * frozen_twin.silu(-1.5), 3 * frozen_twin.silu(2.0)]),
    (lambda x: x * torch.rsqrt(x.square().mean()), [1 / np.sqrt(3.125), 1 / np.sqrt(3.125)]),
])  # fmt: skip
def test_each_part_has_the_gradient_of_its_held_form(function, gradient):
    x = torch.tensor([-1.5, 2.0], dtype=torch.float64, requires_grad=True)
    with FrozenModel():
        value = function(x)
        (found,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(found, gradient, rtol=1e-9, atol=1e-12)
    assert torch.equal(value, function(x))


def test_an_activation_at_zero_has_the_ratio_that_it_has_nearby():
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    with FrozenModel():
        (found,) = torch.autograd.grad(torch.nn.functional.gelu(x).sum(), x)
    np.testing.assert_allclose(found, 0.5, atol=1e-5)


def test_the_mean_of_a_layer_norm_is_not_held():
    x = torch.tensor([[1.0, -2.0, 4.0]], dtype=torch.float64, requires_grad=True)
    with FrozenModel():
        (found,) = torch.autograd.grad(torch.nn.functional.layer_norm(x, (3,), eps=0.0)[0, 0], x)
    deviation = np.std([1.0, -2.0, 4.0])
    np.testing.assert_allclose(found[0], [(2 / 3) / deviation, (-1 / 3) / deviation, (-1 / 3) / deviation], rtol=1e-9)
