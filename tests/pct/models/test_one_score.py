"""Classifiers of one score: equal to transformers' own sigmoid, and named by their configuration."""

import numpy as np
import pytest
import torch

import pct
from pct.classifier import Classifier
from pct.models.outputs import kind_of_output
from pct.models.to_transformers import to_transformers
from tests.pct.models.families import TEXTS, of_one_output, tokenizer

IDENTITY = {"activation_fn": "torch.nn.modules.linear.Identity", "version": "5.1"}
SIGMOID = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "5.1"}


def own_sigmoids(model, family):
    """transformers' own probabilities, one text at a time."""
    encode = tokenizer(family)
    with torch.no_grad():
        rows = [model.eval()(**encode(text, return_tensors="pt")).logits.sigmoid()[0, 0] for text in TEXTS]
    return torch.stack(rows).numpy()


def test_a_score_has_the_sigmoid_of_transformers():
    model = of_one_output("BERT")
    wrapped = pct.wrap(model, tokenizer("BERT"), head="sigmoid")
    assert wrapped.classes == ["not positive", "positive"]
    own = own_sigmoids(model, "BERT")
    np.testing.assert_allclose(wrapped.predict(TEXTS), np.stack([1 - own, own], 1), atol=1e-5)


def test_the_score_is_named_by_id2label():
    model = of_one_output("BERT", id2label={0: "toxic"}, label2id={"toxic": 0})
    assert pct.wrap(model, tokenizer("BERT"), head="sigmoid").classes == ["not toxic", "toxic"]


@pytest.mark.parametrize(
    "changes", [{"problem_type": "multi_label_classification"}, {"sentence_transformers": SIGMOID}]
)
def test_the_configuration_states_a_sigmoid(changes):
    model = of_one_output("BERT", **changes)
    assert pct.wrap(model, tokenizer("BERT")).classes == ["not positive", "positive"]


def test_a_score_of_an_unknown_kind_is_asked_for():
    with pytest.raises(ValueError, match="does not say what it is: set head to sigmoid"):
        pct.wrap(of_one_output("BERT"), tokenizer("BERT"))
    with pytest.raises(ValueError, match="a softmax needs two or more"):
        pct.wrap(of_one_output("BERT"), tokenizer("BERT"), head="softmax")
    with pytest.raises(ValueError, match="head must be one of softmax, sigmoid, value, got 'logistic'"):
        pct.wrap(of_one_output("BERT"), tokenizer("BERT"), head="logistic")


def test_an_identity_activation_states_a_value():
    config = of_one_output("BERT", sentence_transformers=IDENTITY).config
    assert kind_of_output(config, "m") == "value"
    assert kind_of_output(config, "m", "sigmoid") == "sigmoid"  # what the user says comes first


def test_a_pipeline_with_a_sigmoid_states_it():
    from transformers import TextClassificationPipeline

    model = of_one_output("BERT")
    pipeline = TextClassificationPipeline(
        model=model, tokenizer=tokenizer("BERT"), task="text-classification", function_to_apply="sigmoid"
    )
    wrapped = pct.wrap(pipeline)
    scores = [answer["score"] for answer in pipeline(TEXTS)]
    np.testing.assert_allclose(wrapped.predict(TEXTS)[:, 1], scores, atol=1e-5)


def test_a_saved_score_keeps_its_head(tmp_path):
    wrapped = pct.wrap(of_one_output("BERT"), tokenizer("BERT"), head="sigmoid")
    again = pct.load(wrapped.save(tmp_path / "saved"))
    np.testing.assert_array_equal(again.predict(TEXTS), wrapped.predict(TEXTS))
    with pytest.raises(ValueError, match="is a saved classifier, which has its own head"):
        pct.load(tmp_path / "saved", head="sigmoid")


def test_transformers_reads_a_saved_score_as_a_sigmoid(tmp_path):
    wrapped = pct.wrap(of_one_output("BERT"), tokenizer("BERT"), head="sigmoid")
    to_transformers(wrapped.model, wrapped.classes).save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    again = pct.load(tmp_path)  # the problem type states the head
    assert isinstance(again, Classifier)
    assert again.classes == wrapped.classes
    np.testing.assert_allclose(again.predict(TEXTS), wrapped.predict(TEXTS), atol=1e-6)


def test_the_gradient_of_a_score_is_that_of_its_logit():
    """The log-odds of the two classes are z and -z, so the saliency of both is the norm of the gradient of z."""
    model = of_one_output("BERT")
    wrapped = pct.wrap(model, tokenizer("BERT"), head="sigmoid", saliency="l2", words="spaces")
    text = "good film"
    given = tokenizer("BERT")(text, return_tensors="pt")
    embeddings = model.eval().get_input_embeddings()(given["input_ids"]).detach().requires_grad_(True)
    z = model(inputs_embeds=embeddings, attention_mask=given["attention_mask"]).logits[0, 0]
    (gradient,) = torch.autograd.grad(z, embeddings)
    words = given.word_ids(0)
    norms = [
        float(sum(gradient[0, t].square().sum() for t, word in enumerate(words) if word == w) ** 0.5)
        for w in range(max(x for x in words if x is not None) + 1)
    ]
    for target in (0, 1):
        (ours,) = wrapped.saliency([text], [target])
        np.testing.assert_allclose(ours, norms, rtol=1e-4)


@pytest.mark.parametrize("order", [["not positive", "positive"], ["positive", "not positive"]])
def test_a_score_is_trained_further_with_the_corpus_order(order):
    from pct.models.pretrained import order_head, wrap_model

    model = of_one_output("BERT", id2label={0: "positive"}, label2id={"positive": 0})
    own = own_sigmoids(model, "BERT")
    wrapped = wrap_model(model, tokenizer("BERT"), "m", "sigmoid")
    order_head(wrapped, order)
    ids = tokenizer("BERT")(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        probabilities = wrapped.eval()(ids, torch.ones_like(ids, dtype=torch.bool)).logits.softmax(-1)
    assert float(probabilities[0, order.index("positive")]) == pytest.approx(float(own[0]), abs=1e-5)


def test_finetuning_a_score_trains_its_one_logit():
    wrapped = pct.wrap(of_one_output("BERT"), tokenizer("BERT"), head="sigmoid")
    texts = [f"{word} {i}" for i in range(20) for word in ("brilliant film", "tired cut")]
    labels = [name for _ in range(20) for name in ("positive", "not positive")]
    done = pct.finetune(
        wrapped, (texts, labels), progress=False, method="normal", epochs=12, restore_best=False, lr=3e-3, batch_size=8,
        evaluate_epochs=False,
    )  # fmt: skip
    assert done.classifier.model.dense.score.out_features == 1
    predicted = done.classifier.predict(["brilliant film 3", "tired cut 3"]).argmax(1)
    assert predicted.tolist() == [1, 0]
