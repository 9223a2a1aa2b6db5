"""A classifier whose model is in training mode predicts and explains without dropout, in any number of threads."""

import threading

import numpy as np
import pytest
import torch

import pct
from pct.models.base import without_dropout
from tests.pct.models.families import TEXTS, classifier, tokenizer

HALF = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}


@pytest.fixture
def made():
    return pct.wrap(classifier("BERT", **HALF), tokenizer("BERT"))


@pytest.mark.parametrize("what", ["forward", "forward_over", "represent", "saliency"])
def test_training_mode_changes_no_result_and_stays(made, what):
    tokens = made.tokens([text.split() for text in TEXTS])
    ids, words = tokens.rows(np.arange(len(TEXTS)))

    def result():
        if what == "forward_over":
            return made.forward_over(np.unique(ids))(ids, words > -2)
        if what == "represent":
            return made.represent(ids, words > -2)[1]
        return np.concatenate(made.saliency(TEXTS)) if what == "saliency" else made.forward(ids, words > -2)

    expected = result()
    made.model.train()
    np.testing.assert_allclose(result(), expected, atol=1e-6)
    assert all(module.training for module in made.model.modules())


def test_dropout_stays_off_until_the_last_thread_leaves(made):
    """Two threads overlap; the one that turned dropout off leaves first."""
    model, seen = made.model.train(), []
    inside, first_left = threading.Barrier(2, timeout=60), threading.Barrier(2, timeout=60)

    def second():
        with without_dropout(model):
            inside.wait()
            first_left.wait()
            seen.append(any(module.training for module in model.modules()))
            seen.append(made.predict(TEXTS))

    thread = threading.Thread(target=second)
    with without_dropout(model):
        thread.start()
        inside.wait()
    first_left.wait()
    thread.join()
    assert seen[0] is False
    np.testing.assert_allclose(seen[1], made.predict(TEXTS), atol=1e-6)
    assert all(module.training for module in model.modules())


def test_an_error_inside_restores_the_mode():
    model = torch.nn.Sequential(torch.nn.Dropout())
    with pytest.raises(RuntimeError), without_dropout(model):
        raise RuntimeError
    assert model.training
    assert model[0].training
