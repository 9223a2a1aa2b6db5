"""A model asked about one text at a time, in the graph: what the twins of the methods are made of."""

import numpy as np
import torch

from pct.saliency.gradients import saliency
from pct.text.replacement_token import mask_token_id
from pct.training.batches import make_batch
from tests.pct import twins
from tests.pct.small import LEXICON, small_texts, small_words

MIXED = [t.split() for t in small_texts(7, seed=3)] + [["film"], LEXICON[:14]]


def labels_of(texts):
    return np.arange(len(texts), dtype=np.int64) % 3


def batch_of(family, texts):
    """The texts with every third word as their rationale."""
    words = small_words(family)
    tokens = words.encode(texts, 64)
    batch = make_batch(tokens, labels_of(texts), np.arange(len(texts)), torch.device("cpu"), mask_token_id(words))
    return batch._replace(rationale=torch.arange(int(batch.counts.max())).expand(len(texts), -1) % 3 == 0)


def rows_of(family, text):
    """The ids of a text and the word of each, (1, length) both."""
    tokens = small_words(family).encode([text], 64)
    return torch.from_numpy(tokens.ids[None]), torch.from_numpy(tokens.word_ids[None])


def encoded(model, family, text, masked=()):
    """Logits and representation of a text, some of its words masked."""
    ids, words = rows_of(family, text)
    for place, word in enumerate(words[0].tolist()):
        if word in masked:
            ids[0, place] = mask_token_id(small_words(family))
    return model(ids, torch.ones_like(ids, dtype=torch.bool))


def saliency_of(model, family, text, label, settings):
    """A number for each word of a text."""
    ids, words = rows_of(family, text)
    _, scores = saliency(
        model, ids, words, torch.tensor([label]), settings.saliency, settings.saliency_of, settings.integrated_steps
    )
    return scores[0].tolist()


def order_of(model, family, text, label, settings, important):
    """Words against the class are not unimportant to a training loss."""
    saliency = saliency_of(model, family, text, label, settings)
    return twins.removal_order(saliency if important else [abs(x) for x in saliency], important)


def twin_cross_entropy(model, family, texts, masked=None):
    """masked: the words of each text that are."""
    losses = []
    for place, (text, label) in enumerate(zip(texts, labels_of(texts).tolist(), strict=True)):
        logits = encoded(model, family, text, masked[place] if masked else ()).logits[0]
        losses.append(logits.exp().sum().log() - logits[label])
    return sum(losses) / len(losses)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same_gradients(model, found, expected, rtol=1e-5):
    found, expected = gradients(model, found), gradients(model, expected)
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-3
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=rtol, atol=1e-7, err_msg=name)
