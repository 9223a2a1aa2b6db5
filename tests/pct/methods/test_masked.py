"""Masked training against a twin that takes one text at a time."""

import numpy as np
import pytest
import torch

from pct.methods.base import make_method
from pct.methods.masked import mask_words, random_words
from pct.settings import Settings
from pct.training.batches import with_masked_words
from tests.pct.methods.one_text import MIXED, assert_same_gradients, batch_of, twin_cross_entropy
from tests.pct.small import FAMILIES, LEXICON, small_model, small_words


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_texts_with_the_words_masked(family):
    model = small_model(family, dropout=0.0).double().train()
    batch = batch_of(family, MIXED)
    torch.manual_seed(5)
    step = make_method(Settings(method="masked"))(model, batch)
    torch.manual_seed(5)
    masked = [np.flatnonzero(row).tolist() for row in random_words(batch.counts, int(batch.counts.max()))]
    assert any(masked)
    expected = twin_cross_entropy(model, family, MIXED, masked)
    assert float(step.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    assert_same_gradients(model, step.loss, expected)


def test_half_of_the_texts_stay_whole_and_the_shares_of_the_others_are_spread_evenly():
    counts = torch.tensor([20, 7, 1, 40] * 100)
    torch.manual_seed(0)
    chosen = [random_words(counts, 40) for _ in range(20)]
    for rows in chosen:
        assert not (rows & (torch.arange(40) >= counts[:, None])).any()  # no word beyond a text's last
        assert (rows.sum(1) > 0).sum() <= 200
    shares = torch.cat([rows.sum(1)[counts == 40] / 40 for rows in chosen])
    assert 0.45 < float((shares == 0).float().mean()) < 0.55
    quarters = torch.histc(shares[shares > 0], 4, 0, 1) / (shares > 0).sum()
    assert ((quarters > 0.2) & (quarters < 0.3)).all()
    places = torch.stack([rows[counts == 40].float().mean(0) for rows in chosen]).mean(0)
    assert ((places > 0.2) & (places < 0.3)).all()  # every place alike


def test_validation_texts_are_masked_as_training_texts_are_and_alike_after_every_epoch():
    words = small_words("transformer")
    mask = words.tokenizer.mask_token_id
    tokens = words.encode([LEXICON[i : i + 10] for i in range(len(LEXICON) - 10)] * 20, 64)
    masked = with_masked_words(tokens, mask, 7)
    assert np.array_equal(masked.ids, with_masked_words(tokens, mask, 7).ids)
    shares = []
    for text in range(len(tokens)):
        ids, map_ = (x[0] for x in masked.rows(np.array([text])))
        gone = {word for word in set(map_.tolist()) if (ids[map_ == word] == mask).any()}
        assert all((ids[map_ == word] == mask).all() for word in gone)  # whole words
        assert -1 not in gone
        shares.append(len(gone) / 10)
    counts = np.histogram(shares, bins=[-0.05, 0.25, 0.45, 0.65, 0.85, 1.05])[0] / len(shares)
    assert counts == pytest.approx([0.25, 0.2, 0.2, 0.2, 0.15], abs=0.06)
    assert not np.array_equal(masked.ids, with_masked_words(tokens, mask, 8).ids)


def test_all_pieces_of_a_word_are_masked_and_special_tokens_are_not():
    batch = batch_of("transformer", [["unfathomable", "film"], ["film", "joy"]])
    ids = mask_words(batch, torch.tensor([[True, False], [False, False]]))
    mask = small_words("transformer").tokenizer.mask_token_id
    of_first = batch.word_ids[0] == 0
    assert of_first.sum() > 1
    assert (ids[0] == mask).tolist() == of_first.tolist()
    assert ids[1].tolist() == batch.ids[1].tolist()
