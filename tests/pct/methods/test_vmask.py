"""The word masks of VMASK: a step against a twin that takes one token at a time, and the model that is left."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from pct import finetune, wrap
from pct.explaining.predictor import removing
from pct.methods.base import make_method
from pct.methods.vmask import READ_AT_FIRST, VMask, WordMasks, from_fair_coin, random_choice
from pct.models.base import Encoding
from pct.settings import Settings
from pct.text.tokens import TOKEN_TYPE
from pct.text.words import split_all
from pct.training.batches import make_batch
from pct.training.model_card import save_transformers
from pct.training.own_loop import MethodLoss
from pct.training.trainer import train
from tests.pct.methods.one_text import MIXED, batch_of, gradients
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import (
    FAMILIES,
    small_classifier,
    small_corpus,
    small_model,
    small_settings,
    small_texts,
    small_words,
)

BETA = 0.7


def prepared(family):
    """The method and a model with word masks that differ among words."""
    model = small_model(family, dropout=0.0)
    method = make_method(Settings(method="vmask", mask_weight=BETA))
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
        for i, embedding, word, u in zip(ids.tolist(), model.embed(ids), words.tolist(), random, strict=True):
            if word == -2 or i % TOKEN_TYPE in model.word_masks.always_read.tolist():
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


def classifier_and_texts(family, remove):
    """A classifier of transformers, or a model of words, and texts or pairs that it reads."""
    if family in FAMILIES:
        return small_classifier(family), small_texts(6)
    texts = ["a fine film , and [MASK] funny !", "joy", "the dull , goofy film"]
    if remove:
        texts = [(text, "not a film of joy !") for text in texts]
    return wrap(classifier(family, 2), tokenizer(family), family, **({"remove": remove} if remove else {})), texts


@pytest.mark.parametrize(("family", "remove"), [
    ("textcnn", ""), ("transformer", ""), ("BERT", ""), ("BERT", "first"), ("BERT", "both"), ("RoBERTa", "second"),
    ("Llama", ""),  # its unknown token also ends a text
])  # fmt: skip
def test_the_same_tokens_are_masked_in_training_and_in_evaluation(family, remove):
    """With q near 0, every token that may be masked has the embedding 0 in both."""
    own, texts = classifier_and_texts(family, remove)
    model, method = own.model, make_method(Settings(method="vmask"))
    method.prepare(model, own.tokenizer)
    with torch.no_grad():
        model.word_masks.out.bias.fill_(-60.0)
    tokens = removing(own).tokens(split_all(texts, own.settings.words))
    batch = make_batch(tokens, np.zeros(len(texts), np.int64), np.arange(len(texts)), torch.device("cpu"), 1)
    model.eval()
    with torch.no_grad():
        wanted = model(batch.ids, batch.word_ids > -2).logits.log_softmax(-1)[:, 0].mean()
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    step = method(model, batch)
    assert float(step.parts["cross_entropy"]) == pytest.approx(-float(wanted), rel=1e-5)
    assert float(step.parts["divergence"]) == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_in_training_embeddings_are_those_of_the_table_and_words_are_mostly_read(family):
    own = small_classifier(family)
    method, ids = make_method(Settings(method="vmask")), torch.arange(5, 30)
    method.prepare(own.model, own.tokenizer)
    own.model.train()
    width = own.model.word_table.embedding_dim
    torch.testing.assert_close(own.model.embed(ids)[..., :width], own.model.word_table.weight[ids], rtol=0, atol=0)
    read = own.model.word_masks.expected(ids, own.model.word_table.weight[ids])
    assert 0.9 < float(read.mean().detach()) < 0.99


def test_the_masks_are_trained(monkeypatch):
    seen = []
    monkeypatch.setattr(VMask, "finish", lambda self, model: seen.append(model.word_masks.out.bias.detach().clone()))
    train(small_settings(method="vmask", epochs=1, lr=1e-2), small_corpus(48, 24), progress=False)
    assert abs(float(seen[0]) - READ_AT_FIRST) > 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_trained(dtype):
    own = small_classifier("textcnn", classes=2)
    own.model.to(dtype)
    trained = train(own.settings.replace(method="vmask", epochs=1), small_corpus(48, 24), progress=False, start=own)
    assert trained.model.embedding.weight.dtype == dtype
    assert not torch.equal(trained.model.embedding.weight, own.model.embedding.weight)


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
    with pytest.raises(ValueError, match=r"needs a model with a table .* that no decoder reads"):
        VMask(Settings(method="vmask")).prepare(bart.model, bart.tokenizer)


def test_in_a_loop_of_one_s_own_it_is_refused():
    with pytest.raises(ValueError, match=r"method vmask adds weights to the model, which only pct\.train removes"):
        MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method="vmask")


def test_without_its_masks_a_model_is_refused():
    with pytest.raises(ValueError, match="no word masks: call prepare"):
        VMask(Settings(method="vmask"))(small_model("textcnn"), batch_of("textcnn", MIXED))


def test_embeddings_that_are_not_trained_are_refused():
    own = small_classifier("transformer")
    own.model.word_table.weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"vmask changes the word embeddings.* that is trained"):
        VMask(Settings(method="vmask")).prepare(own.model, own.tokenizer)
    with pytest.raises(ValueError, match=r"vmask changes the word embeddings, which lora leaves"):
        Settings(method="vmask", model="bert", lora="r=2")
