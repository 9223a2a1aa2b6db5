"""The word masks of VMASK: a step against a twin that takes one token at a time, and the model that is left."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from pct import finetune, wrap
from pct.classifier import Classifier
from pct.methods.base import make_method
from pct.methods.vmask import VMask, WordMasks, from_fair_coin, random_choice
from pct.models.base import Encoding
from pct.settings import Settings
from pct.training.model_card import save_transformers
from pct.training.own_loop import MethodLoss
from tests.pct.methods.one_text import MIXED, batch_of, gradients
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import FAMILIES, small_classifier, small_corpus, small_model, small_texts, small_words

BETA = 0.7


def prepared(family, **changes):
    """The method and a model with word masks that differ among words."""
    model = small_model(family, dropout=0.0).double()
    method = make_method(Settings(method="vmask", mask_weight=BETA, **changes))
    method.prepare(model, small_words(family))
    model.double().train()
    with torch.no_grad():
        model.word_masks.out.weight.mul_(20)
        model.word_masks.out.bias.fill_(0.3)
    return method, model


def probability(model, embedding):
    """q of one token, from its embedding."""
    masks = model.word_masks
    hidden = torch.tanh(masks.hidden.weight @ embedding + masks.hidden.bias)
    return 1 / (1 + torch.exp(-(masks.out.weight[0] @ hidden + masks.out.bias[0])))


def twin(model, batch, uniform):
    """The loss: each token in turn is read, or its embedding is zero. uniform: the random numbers, (batch, length)."""
    rows, divergences, width = [], [], model.word_table.embedding_dim
    for ids, words, random in zip(batch.ids, batch.word_ids, uniform, strict=True):
        row = []
        for embedding, word, u in zip(model.embed(ids), words.tolist(), random, strict=True):
            if word < 0:
                row.append(embedding)
                continue
            q = probability(model, embedding[:width])
            relaxed = 1 / (1 + torch.exp(-(torch.log(q / (1 - q)) + torch.log(u / (1 - u)))))
            read = float(relaxed > 0.5) + relaxed - relaxed.detach()
            row.append(torch.cat([embedding[:width] * read, embedding[width:]]))
            divergences.append(math.log(2) + q * torch.log(q) + (1 - q) * torch.log(1 - q))
        rows.append(torch.stack(row))
    encoding: Encoding = model.encode(torch.stack(rows), batch.word_ids > -2)
    losses = [torch.logsumexp(z, 0) - z[y] for z, y in zip(encoding.logits, batch.labels.tolist(), strict=True)]
    return sum(losses) / len(losses) + BETA * sum(divergences) / len(divergences)


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_those_of_one_token_at_a_time(family):
    method, model = prepared(family)
    batch = batch_of(family, MIXED)
    torch.manual_seed(3)
    step = method(model, batch)
    torch.manual_seed(3)
    expected = twin(model, batch, torch.rand(batch.ids.shape, dtype=torch.float64))
    assert float(step.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    parts = step.parts["cross_entropy"] + BETA * step.parts["divergence"]
    assert float(parts) == pytest.approx(float(step.loss.detach()))
    own, others = gradients(model, step.loss), gradients(model, expected)
    assert any(name.startswith("word_masks") for name in own)
    for name, gradient in others.items():
        np.testing.assert_allclose(own[name], gradient, rtol=1e-7, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_that_is_left_predicts_as_the_one_with_masks_in_evaluation(family):
    own = small_classifier(family)
    model, texts = own.model, small_texts(12)
    names, plain = set(model.state_dict()), own.predict(texts)
    method = make_method(Settings(method="vmask"))
    method.prepare(model, own.tokenizer)
    with torch.no_grad():
        model.word_masks.out.bias.fill_(-0.5)
    model.eval()
    masked = own.predict(texts)
    assert np.abs(masked - plain).max() > 1e-3
    method.finish(model)
    np.testing.assert_allclose(own.predict(texts), masked, rtol=1e-5, atol=1e-6)
    assert set(model.state_dict()) == names
    assert not hasattr(model, "word_masks")


def test_special_tokens_are_read_always():
    words = small_words("transformer")
    masks = WordMasks(8, words.special_ids())
    read = masks.expected(torch.arange(len(words)), torch.randn(len(words), 8)).tolist()
    own = words.tokenizer
    special = {own.cls_token_id, own.sep_token_id, own.pad_token_id, own.mask_token_id}
    assert {i for i, p in enumerate(read) if p == 1.0} == special
    assert own.unk_token_id not in special


def test_tokens_are_read_as_often_as_their_probability_says():
    torch.manual_seed(0)
    for q in (0.1, 0.5, 0.9):
        log_odds = torch.full((20_000,), math.log(q / (1 - q)), requires_grad=True)
        read = random_choice(log_odds)
        assert set(read.detach().tolist()) == {0.0, 1.0}
        assert float(read.detach().mean()) == pytest.approx(q, abs=0.01)
        (gradient,) = torch.autograd.grad(read.mean(), log_odds)
        assert float(gradient.sum()) > 0


def test_the_divergence_from_a_fair_coin():
    q = torch.tensor([0.5, 0.9, 0.01], dtype=torch.float64)
    expected = math.log(2) + q * q.log() + (1 - q) * (1 - q).log()
    torch.testing.assert_close(from_fair_coin((q / (1 - q)).log()), expected)
    assert float(from_fair_coin(torch.tensor(200.0))) == pytest.approx(math.log(2), abs=1e-5)


def test_a_classifier_of_transformers_is_trained_and_handed_back(tmp_path):
    before = wrap(classifier("BERT", 2), tokenizer("BERT"), "BERT")
    quick = {"epochs": 1, "batch_size": 16, "max_length": 24, "threads": 1, "evaluate_epochs": False, "device": "cpu"}
    done = finetune(before, small_corpus(48, 24), progress=False, method="vmask", lr=1e-3, **quick)
    save_transformers(done.classifier, tmp_path)
    again = wrap(AutoModelForSequenceClassification.from_pretrained(tmp_path), tokenizer("BERT"), max_length=24)
    texts = small_texts(8)
    np.testing.assert_allclose(again.predict(texts), done.classifier.predict(texts), rtol=1e-4, atol=1e-6)
    assert set(done.classifier.model.state_dict()) == set(before.model.state_dict())


def test_a_table_that_a_decoder_reads_too_is_refused():
    bart = wrap(classifier("BART", 2), tokenizer("BART"), "BART")
    with pytest.raises(ValueError, match=r"needs a model with a table of them that no decoder shares"):
        VMask(Settings(method="vmask")).prepare(bart.model, bart.tokenizer)


def test_in_a_loop_of_one_s_own_it_is_refused():
    with pytest.raises(ValueError, match=r"method vmask adds weights to the model, which only pct\.train removes"):
        MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method="vmask")


def test_without_its_masks_a_model_is_refused():
    with pytest.raises(ValueError, match="no word masks: call prepare"):
        VMask(Settings(method="vmask"))(small_model("textcnn"), batch_of("textcnn", MIXED))


def test_lora_is_refused():
    own: Classifier = small_classifier("transformer")
    with pytest.raises(ValueError, match=r"vmask changes the word embeddings.*no lora"):
        VMask(Settings(method="vmask", model="bert", lora="r=2")).prepare(own.model, own.tokenizer)
