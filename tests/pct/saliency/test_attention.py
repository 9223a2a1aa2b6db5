"""Attention and rollout against the weights that transformers itself gives."""

import numpy as np
import pytest
import torch

from pct.models.encoder import Transformer
from pct.models.token_types import inputs_of
from pct.models.wrapped import Wrapped
from pct.saliency.gradients import gradient_saliency
from tests.pct.saliency.tiny_transformers import inner_model, one_text, two_texts


def model_of(name):
    """Fused attention; the head reads the first token, or the last one of a decoder."""
    if name == "our head":
        return Transformer(inner_model("bert").bert, 3).eval()
    return Wrapped(inner_model(name), name)


def layers_of(name, ids):
    """The weights of each layer for one text, the mean over heads, by transformers' eager attention, float64."""
    inner = inner_model("bert" if name == "our head" else name, attn_implementation="eager")
    with torch.no_grad():
        attentions = inner.base_model(ids, output_attentions=True).attentions
    return [a[0].double().mean(0).numpy() for a in attentions]


def by_hand(kind, layers, place, words):
    """One number a word, of one text."""
    length = len(layers[0])
    if kind == "attention":
        tokens = layers[-1][place]
    else:
        product = np.eye(length)
        for layer in layers:
            product = (0.5 * layer + 0.5 * np.eye(length)) @ product
        tokens = product[place]
    return [sum(tokens[t] for t in range(length) if words[t] == w) for w in range(max(words) + 1)]


@pytest.mark.parametrize("kind", ["attention", "rollout"])
@pytest.mark.parametrize("name", ["our head", "bert", "distilbert", "roberta", "gpt2", "llama"])
def test_it_is_what_transformers_gives_at_the_place_that_the_head_reads(name, kind):
    model, (ids, words) = model_of(name), two_texts()
    saliency = gradient_saliency(kind)
    saliency.check_model(model)
    _, found = saliency.attribute(model, ids, words, None)
    for row in range(2):
        real = words[row] > -2
        place = int(real.sum()) - 1 if name in ("gpt2", "llama") else 0
        expected = by_hand(kind, layers_of(name, ids[row : row + 1, real]), place, words[row, real].tolist())
        np.testing.assert_allclose(found[row, : len(expected)], expected, rtol=1e-3, atol=1e-6)
        assert (found[row, len(expected) :] == 0).all()


@pytest.mark.parametrize("kind", ["attention", "rollout"])
def test_the_tokens_of_a_text_share_one(kind):
    model, (ids, _) = model_of("bert"), one_text()
    _, found = gradient_saliency(kind).attribute(model, ids, torch.arange(ids.shape[1])[None], None)
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-5)
    assert (found >= 0).all()


@pytest.mark.parametrize("kind", ["attention", "rollout"])
def test_the_class_that_is_explained_changes_nothing(kind):
    model, (ids, words) = model_of("distilbert"), one_text()
    found = [gradient_saliency(kind).attribute(model, ids, words, torch.tensor([c]))[1] for c in range(3)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_a_head_that_reads_the_mean_takes_the_mean_over_the_tokens():
    class MeanHead(Transformer):
        def features(self, embeddings, mask):
            from pct.models.base import Features

            inputs = inputs_of(embeddings, self.reads_types)
            states = self.encoder(**inputs, attention_mask=mask.long()).last_hidden_state
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            return Features(mean, mean)

    model, (ids, words) = MeanHead(inner_model("bert").bert, 3).eval(), one_text()
    _, found = gradient_saliency("attention").attribute(model, ids, words, None)
    tokens = layers_of("bert", ids)[-1].mean(0)
    expected = [sum(tokens[t] for t in range(7) if words[0, t] == w) for w in range(int(words.max()) + 1)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-3)
