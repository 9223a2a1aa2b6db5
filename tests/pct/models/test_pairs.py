"""Classifiers of pairs of texts: transformers' logits in every family, the gradient at the second text's words."""

import copy

import numpy as np
import pytest
import torch

import pct
from pct.explaining.reduced_texts import ReducedTexts
from pct.models.encoder import Transformer
from pct.models.heads import SOFTMAX
from pct.saliency.base import SaliencyOptions
from pct.saliency.integrated_gradients import IntegratedGradients
from pct.text.tokens import TOKEN_TYPE
from pct.text.words import split_all
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer
from tests.pct.small import small_classifier
from tests.pct.small import tokenizer as minilm

PAIRS = [(TEXTS[0], "fine"), ("fine", TEXTS[2]), (TEXTS[1], TEXTS[3]), (" ".join(TEXTS), " ".join(TEXTS[2:]))]
TYPED = ["BERT", "ELECTRA", "ALBERT", "XLNet"]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


def wrapped(name, **settings):
    return pct.wrap(classifier(name), tokenizer(name), name, **settings)


def by_transformers(name, pairs, max_length=None, **changes):
    """Logits of each pair alone, as transformers gives them."""
    model, words, longest = classifier(name, **changes), tokenizer(name), max_length or FAMILIES[name].longest
    cut = {"truncation": True, "max_length": longest} if longest else {}
    with torch.no_grad():
        return np.concatenate([model(**words(*pair, return_tensors="pt", **cut)).logits.numpy() for pair in pairs])


def test_logits_of_pairs_are_transformers_own_alone_cut_and_in_a_batch_of_mixed_lengths(family):
    clf, wanted = wrapped(family), by_transformers(family, PAIRS)
    documents = split_all(PAIRS)
    for block in (documents, *([document] for document in documents)):
        tokens = clf.tokens(block)
        ids, words = (torch.from_numpy(x) for x in tokens.rows(np.arange(len(block))))
        with torch.no_grad():
            logits = clf.model(ids, words > -2).logits.numpy()
        start = 0 if len(block) > 1 else documents.index(block[0])
        expected = wanted[start : start + len(block)]
        np.testing.assert_allclose(logits, expected, atol=1e-5 * max(1, np.abs(wanted).max()))
    # through the forward pass of single tokens, which reduced texts share
    whole = ReducedTexts(clf, clf.tokens(documents)).whole()
    np.testing.assert_allclose(whole, torch.from_numpy(wanted).softmax(-1), atol=1e-5)


@pytest.mark.parametrize("name", TYPED)
def test_the_type_of_a_token_counts(name):
    """So that the tests of equality can fail: the same tokens, all of the first type, have other logits."""
    clf = wrapped(name)
    ids, words = (torch.from_numpy(x) for x in clf.tokens(split_all(PAIRS[:1])).rows(np.array([0])))
    with torch.no_grad():
        typed, untyped = (clf.model(x, words > -2).logits for x in (ids, ids % TOKEN_TYPE))
    assert float((typed - untyped).abs().max()) > 1e-2


def test_a_pair_classifier_is_the_same_after_it_was_saved(family, tmp_path):
    before = wrapped(family)
    after = pct.load(before.save(tmp_path / "model"), "cpu")
    np.testing.assert_array_equal(after.predict(PAIRS), before.predict(PAIRS))
    classifier(family).save_pretrained(tmp_path / "own")
    tokenizer(family).save_pretrained(tmp_path / "own")
    np.testing.assert_allclose(pct.load(tmp_path / "own", "cpu").predict(PAIRS), before.predict(PAIRS), atol=1e-6)


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "XLNet", "BART", "GPT-2"])
def test_saliency_of_the_second_text_is_the_gradient_at_its_words(name):
    """Against central differences in float64; the column of the types has no gradient."""
    clf = wrapped(name)
    model = copy.deepcopy(clf.model).double()
    tokens = clf.tokens(split_all(PAIRS[:3]))
    ids, words = (torch.from_numpy(x) for x in tokens.rows(np.arange(3)))
    target = torch.tensor([0, 1, 2])
    embeddings = model.embed(ids).detach()

    def score(at):
        return SOFTMAX.score(model.encode(at, words > -2).logits, target, "log_odds").sum()

    point = embeddings.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(point), point)
    if model.reads_types:
        assert (gradient[..., -1] == 0).all()
        assert set(embeddings[1, :, -1].tolist()) >= {0.0, 1.0}
    step, rng = 1e-4, torch.Generator().manual_seed(0)
    first = [len(document.parts[0]) for document in split_all(PAIRS[:3])]
    for row in range(3):
        of_second = (words[row] >= first[row]).nonzero().squeeze(1).tolist()
        assert of_second
        for token in (of_second[0], of_second[-1]):
            direction = torch.zeros_like(embeddings)
            direction[row, token] = torch.randn(embeddings.shape[-1], generator=rng, dtype=torch.float64)
            with torch.no_grad():
                slope = (score(embeddings + step * direction) - score(embeddings - step * direction)) / (2 * step)
            loose = 5e-3 * float(gradient.abs().max())
            assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-2, abs=loose)


def test_a_replaced_word_keeps_the_type_of_its_token():
    """Against the pair with [MASK] in the place of a word of the second text, as transformers tokenises it."""
    clf, (first, second) = wrapped("BERT"), PAIRS[1]
    documents = split_all([(first, second)])
    tokens = clf.tokens(documents)
    texts = ReducedTexts(clf, tokens, removal="mask")
    position = next(i for i, word in enumerate(documents[0]) if word == "it's")
    own = int((tokens.word_ids == position).sum())
    removed = np.zeros((1, tokens.counts[0]), bool)
    removed[0, position] = True
    masked = by_transformers("BERT", [(first, second.replace("it's", " ".join(["[MASK]"] * own)))])
    wanted = torch.from_numpy(masked).softmax(-1)
    np.testing.assert_allclose(texts.probabilities(np.array([0]), removed), wanted, atol=1e-5)


@pytest.mark.parametrize("name", TYPED)
def test_integrated_gradients_of_a_pair_are_complete_and_keep_the_types(name):
    """The attributions sum to the change of the output between the words and no words, the types being the same."""
    clf = wrapped(name)
    model = copy.deepcopy(clf.model).double()
    ids, words = (torch.from_numpy(x) for x in clf.tokens(split_all(PAIRS[:2])).rows(np.arange(2)))
    saliency, target = IntegratedGradients(SaliencyOptions(steps=128)), torch.tensor([0, 1])
    _, scores = saliency.attribute(model, ids, words, target)
    end = model.embed(ids).detach()
    start = end.clone()
    start[..., :-1][words >= 0] = 0
    with torch.no_grad():
        outputs = [SOFTMAX.score(model.encode(x, words > -2).logits, target, "log_odds") for x in (end, start)]
    change = outputs[0] - outputs[1]
    np.testing.assert_allclose(scores.sum(1), change, rtol=0.05, atol=5e-3)


def test_smooth_grad_adds_no_noise_to_the_types():
    clf = wrapped("BERT")
    seen = []

    class Recorded(type(clf.model)):
        def features(self, embeddings, mask):
            seen.append(embeddings.detach()[..., -1])
            return super().features(embeddings, mask)

    clf.model.__class__ = Recorded
    clf.saliency(PAIRS[:2], by="smooth_grad")
    assert len(seen) > 8
    assert all(torch.equal(one, one.round()) for one in seen)


def test_the_words_of_equal_texts_have_other_saliencies_on_each_side():
    clf = wrapped("BERT")
    (scores,) = clf.saliency([("fine film", "fine film")])
    assert len(scores) == 4
    assert not np.allclose(scores[:2], scores[2:], atol=1e-4)


def test_an_encoder_with_a_new_head_reads_the_types():
    clf = small_classifier("transformer")
    assert isinstance(clf.model, Transformer)
    documents = split_all([("the film", "goofy script"), ("joy", "tired moments of joy")])
    ids, words = (torch.from_numpy(x) for x in clf.tokens(documents).rows(np.arange(2)))
    given = [minilm()(*d.given, return_tensors="pt") for d in documents]
    assert given[0]["token_type_ids"].max() == 1
    with torch.no_grad():
        states = [clf.model.encoder(**x).last_hidden_state[:, 0] for x in given]
        wanted = clf.model.dense(torch.cat(states))
        np.testing.assert_allclose(clf.model(ids, words > -2).logits, wanted, atol=1e-5)


def test_a_model_that_transformers_cannot_give_a_pair_is_refused_for_pairs_alone():
    """A table of one type, and a tokenizer that gives two."""
    clf = pct.wrap(classifier("BERT", type_vocab_size=1), tokenizer("BERT"), "odd")
    assert clf.predict(["fine"]).shape == (1, 3)
    with pytest.raises(ValueError, match=r"odd cannot read pairs of texts \(.*\): give each text alone"):
        clf.predict([("fine", "film")])


def test_a_word_model_refuses_pairs():
    with pytest.raises(ValueError, match="textcnn and lstm read one text, not a pair of texts"):
        small_classifier("textcnn").predict([("a", "b")])
