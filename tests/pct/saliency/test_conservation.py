"""Frozen gradients conserve the logit; the function modes change no forward value, no module and no other thread."""

import threading

import pytest
import torch
from torch import nn

from pct.models.base import without_dropout
from pct.models.wrapped import Wrapped
from pct.saliency.base import SaliencyOptions
from pct.saliency.conservation import conservation_gap
from pct.saliency.gradients import gradient_saliency, saliency
from pct.saliency.modes import FrozenModel, GimModel, RecordedAttention
from tests.pct.saliency.tiny_transformers import (
    CONFIGURATIONS,
    CONSERVED,
    REFUSED,
    exact,
    inner_model,
    one_text,
    tiny,
    two_texts,
)
from tests.pct.small import small_model

MODES = (FrozenModel, GimModel, RecordedAttention)
# the rest, gemma2 for one, compute norms in float32 whatever the weights' type
ROUNDED_NORMS = ("deberta", "llama", "qwen3", "gemma", "gemma2", "mistral")


def logits_of(model, ids, words):
    with torch.no_grad(), without_dropout(model):
        return model.encode(model.embed(ids), words > -2).logits


@pytest.mark.parametrize("name", CONSERVED)
def test_a_logit_is_the_sum_of_the_relevances_of_tokens_biases_positions_and_types(name):
    assert conservation_gap(tiny(name)) < 1e-5
    assert conservation_gap(exact(name)) < (1e-5 if name in ROUNDED_NORMS else 1e-12)


@pytest.mark.parametrize("name", ["bert", "bert with gelu_new", "distilbert", "albert", "gpt2", "llama", "gemma"])
def test_a_logit_is_the_sum_of_the_tokens_relevances_where_nothing_else_adds(name):
    """Biases, positions and types are zero: nothing but the tokens' embeddings enters the hidden states."""
    model = exact(name)
    with torch.no_grad():
        for module in model.modules():
            for part, weight in module.named_parameters(recurse=False):
                position = isinstance(module, nn.Embedding) and len(weight) != 40
                if part.endswith("bias") or position:
                    weight.zero_()
    ids, _ = one_text()
    every_token = torch.arange(ids.shape[1])[None]
    for label in range(3):
        logits, found = gradient_saliency("frozen_grad_x_input", SaliencyOptions("logit")).attribute(
            model, ids, every_token, torch.tensor([label])
        )
        assert abs(float(logits[0, label])) > 1e-2
        assert float(found.sum()) == pytest.approx(float(logits[0, label]), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_log_odds_of_two_classes_are_conserved_and_those_of_three_are_not(classes):
    model = exact("bert", classes=classes)
    with torch.no_grad():
        for module in model.modules():
            for part, weight in module.named_parameters(recurse=False):
                if part.endswith("bias") or (isinstance(module, nn.Embedding) and len(weight) != 40):
                    weight.zero_()
    ids, _ = one_text()
    logits, found = saliency(model, ids, torch.arange(7)[None], torch.tensor([1]), "frozen_grad_x_input")
    z = logits[0]
    rest = torch.stack([z[c] for c in range(classes) if c != 1])
    # the logit less the softmax-weighted mean of the others, which is the one other logit of two classes
    assert float(found.sum()) == pytest.approx(float(z[1] - (rest.softmax(0) * rest).sum()), rel=1e-4)
    odds = float(z[1] - rest.logsumexp(0))
    assert (abs(float(found.sum()) - odds) < 1e-4) == (classes == 2)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_does_not_conserve_is_refused_with_the_reason(name):
    with pytest.raises(ValueError, match=r"its logits are not the sum .* is missing\); use occlusion or l2"):
        gradient_saliency("frozen_grad_x_input").check_model(tiny(name))


def test_gim_is_refused_where_attention_is_computed_in_parts():
    gradient_saliency("gim").check_model(tiny("bert"))
    with pytest.raises(ValueError, match=r"DebertaV2For.*: its attention is not torch's scaled_dot_product_attention"):
        gradient_saliency("gim").check_model(tiny("deberta-v2"))


@pytest.mark.parametrize("kind", ["attention", "rollout"])
@pytest.mark.parametrize(("name", "reason"), [
    ("bart", "no attention from each token to each token"),
    ("funnel", "no attention from each token to each token"),
    ("xlnet", "padded on the left"),
])  # fmt: skip
def test_attention_is_refused_where_it_is_not_one_square_a_layer(kind, name, reason):
    with pytest.raises(ValueError, match=reason):
        gradient_saliency(kind).check_model(tiny(name))


@pytest.mark.parametrize("kind", ["frozen_grad_x_input", "gim", "attention", "rollout"])
@pytest.mark.parametrize("family", ["textcnn", "lstm"])
def test_a_model_that_is_no_transformer_is_refused(kind, family):
    with pytest.raises(ValueError, match=f"saliency {kind} needs an encoder or decoder .* use grad_x_input"):
        gradient_saliency(kind).check_model(small_model(family))


@pytest.mark.parametrize("kind", [FrozenModel, GimModel, RecordedAttention])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_mode_changes_a_forward_value(name, kind):
    model, (ids, words) = tiny(name), two_texts()
    plain = logits_of(model, ids, words)
    with kind():
        changed = logits_of(model, ids, words)
    if kind is FrozenModel:
        assert torch.equal(changed, plain)
    else:  # attention in parts rounds otherwise than the fused kernel does
        assert float((changed - plain).abs().max()) <= 1e-5 * max(1.0, float(plain.abs().max()))


@pytest.mark.parametrize("kind", [GimModel, RecordedAttention])
@pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2", "llama", "gemma", "mistral"])
def test_in_float64_no_mode_changes_a_forward_value(name, kind):
    model, (ids, words) = exact(name), two_texts()
    plain = logits_of(model, ids, words)
    with kind():
        torch.testing.assert_close(logits_of(model, ids, words), plain, rtol=0, atol=1e-6)


def gradient_of(model, ids, words):
    with without_dropout(model), torch.enable_grad():
        point = model.embed(ids).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(model.encode(point, words > -2).logits[:, 0].sum(), point)
    return gradient


@pytest.mark.parametrize("mode", MODES)
def test_another_thread_that_runs_the_model_meanwhile_gets_plain_gradients(mode):
    """Both threads are inside the model at once: this one in the mode, the other without it."""
    model, (ids, words) = tiny("bert"), one_text()
    plain = gradient_of(model, ids, words)
    entered, finished = threading.Barrier(2, timeout=60), threading.Barrier(2, timeout=60)
    others = []

    def run():
        entered.wait()
        others.append(gradient_of(model, ids, words))
        finished.wait()

    thread = threading.Thread(target=run)
    thread.start()
    with mode():
        entered.wait()
        own = gradient_of(model, ids, words)
        finished.wait()
    thread.join()
    assert torch.equal(others[0], plain)
    if mode is not RecordedAttention:
        assert not torch.allclose(own, plain, rtol=0.01)
    assert torch.equal(gradient_of(model, ids, words), plain)


@pytest.mark.parametrize("kind", ["frozen_grad_x_input", "gim", "attention", "integrated_gradients", "smooth_grad"])
def test_the_model_is_as_before(kind):
    """Weights, hooks, modules, their modes and the gradients of the weights."""
    model, (ids, words) = tiny("bert"), one_text()
    model.train()
    try:
        weights = {name: weight.clone() for name, weight in model.state_dict().items()}
        modules = [(name, type(module)) for name, module in model.named_modules()]
        hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
        chosen = gradient_saliency(kind)
        chosen.check_model(model)
        chosen.attribute(model, ids, words, None)
        assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())
        assert [(name, type(module)) for name, module in model.named_modules()] == modules
        assert all(module.training for module in model.modules())
        assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
        after = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
        assert after == hooks
    finally:
        model.eval()


@pytest.mark.parametrize("kind", ["frozen_grad_x_input", "gim", "attention"])
def test_a_model_of_few_tokens_is_probed_by_those_that_it_has(kind):
    model = Wrapped(inner_model("bert", vocab_size=6), "few")
    ids, words = torch.tensor([[2, 4, 5, 3]]), torch.tensor([[-1, 0, 1, -1]])
    gradient_saliency(kind).check_model(model)
    _, found = saliency(model, ids, words, torch.tensor([1]), kind)
    assert found.shape == (1, 2)
    assert torch.isfinite(found).all()


def test_a_probe_runs_once_a_model(monkeypatch):
    from pct.saliency import conservation

    calls = []
    monkeypatch.setattr(conservation, "conservation_gap", lambda model: calls.append(model) or 0.0)
    model = exact("bert")
    for _ in range(3):
        gradient_saliency("frozen_grad_x_input").check_model(model)
    assert len(calls) == 1


@pytest.mark.parametrize("kind", ["frozen_grad_x_input", "gim", "l2", "grad_x_input", "smooth_grad"])
@pytest.mark.parametrize("name", ["bert", "distilbert", "modernbert", "gpt2", "llama", "qwen3", "gemma", "opt", "bart"])
def test_padding_and_neighbours_change_no_saliency(name, kind):
    model, (ids, words) = tiny(name), two_texts()
    labels = torch.tensor([1, 2])
    _, together = saliency(model, ids, words, labels, kind)
    for row in range(2):
        real = words[row] > -2
        _, alone = saliency(model, ids[row : row + 1, real], words[row : row + 1, real], labels[row : row + 1], kind)
        count = int(words[row].max()) + 1
        assert alone.shape == (1, count)
        # a norm right behind the embeddings makes their gradient times them 0 but for rounding
        least = max(1e-4 * float(alone.abs().max()), 1e-6)
        torch.testing.assert_close(together[row, :count], alone[0], rtol=1e-3, atol=least)
        assert (together[row, count:] == 0).all()


def test_eager_attention_has_the_frozen_gradient_of_fused_attention():
    ids, words = one_text()
    fused, eager = (
        saliency(_wrapped("bert", attn), ids, words, torch.tensor([1]), "frozen_grad_x_input")[1]
        for attn in ("sdpa", "eager")
    )
    torch.testing.assert_close(fused, eager, rtol=1e-4, atol=1e-5)


def _wrapped(name, attention):
    return Wrapped(inner_model(name, attn_implementation=attention), name)
