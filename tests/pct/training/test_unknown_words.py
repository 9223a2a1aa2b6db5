"""The entry for unknown words is trained: words that were seen once stand for it, half of the time."""

import torch

import pct
from pct.text.vocabulary import UNKNOWN, Vocabulary
from pct.training.batches import HIDDEN_SHARE, with_unknown
from tests.pct.small import small_corpus, small_settings


def test_words_that_were_seen_once_are_hidden_half_of_the_time_and_no_others():
    vocabulary = Vocabulary(["often", "once", "also"], rare=2)
    torch.manual_seed(0)
    ids = torch.tensor([[0, 1, 2, 3, 4]]).expand(4000, 5)
    actual = with_unknown(ids, vocabulary)
    assert torch.equal(actual[:, :3], ids[:, :3])
    hidden = actual[:, 3:] == UNKNOWN
    assert torch.equal(actual[:, 3:][~hidden], ids[:, 3:][~hidden])
    assert abs(hidden.float().mean() - HIDDEN_SHARE) < 0.02


def test_the_unknown_entry_is_trained_and_padding_is_not():
    settings = small_settings(method="normal", epochs=1)
    torch.manual_seed(settings.seed)
    trained = pct.train(settings, small_corpus(), progress=False)
    once = trained.tokenizer.first_rare < len(trained.tokenizer)
    weight = trained.model.embedding.weight
    assert once
    assert weight[UNKNOWN].abs().max() > 0
    fresh = pct.train(settings.replace(lr=1e-12), small_corpus(), progress=False).model.embedding.weight
    assert not torch.allclose(weight[UNKNOWN], fresh[UNKNOWN], atol=1e-5)
    assert (weight[0] == 0).all()
