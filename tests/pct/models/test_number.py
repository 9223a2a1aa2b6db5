"""Models that give a number: equal to transformers' own logit, and named by their configuration."""

import json

import numpy as np
import pytest
import torch

import pct
from pct.models.to_transformers import to_transformers
from tests.pct.models import families
from tests.pct.models.families import TEXTS, of_one_output, tokenizer
from tests.pct.models.test_one_score import IDENTITY

REGRESSION = {"problem_type": "regression"}


def own_numbers(model, family):
    encode = tokenizer(family)
    with torch.no_grad():
        return np.array([float(model.eval()(**encode(text, return_tensors="pt")).logits[0, 0]) for text in TEXTS])


def test_the_number_is_the_logit_of_transformers():
    model = of_one_output("BERT", **REGRESSION)
    wrapped = pct.wrap(model, tokenizer("BERT"))
    assert (wrapped.task.number, wrapped.classes, wrapped.settings.head) == (True, ["value"], "value")
    np.testing.assert_allclose(wrapped.predict(TEXTS)[:, 0], own_numbers(model, "BERT"), atol=1e-5)


@pytest.mark.parametrize("changes", [REGRESSION, {"sentence_transformers": IDENTITY}])
def test_the_configuration_or_the_caller_states_a_number(changes):
    assert pct.wrap(of_one_output("BERT", **changes), tokenizer("BERT")).task.number
    assert pct.wrap(of_one_output("BERT"), tokenizer("BERT"), head="value").task.number
    named = of_one_output("BERT", id2label={0: "reward"}, label2id={"reward": 0})
    assert pct.wrap(named, tokenizer("BERT"), head="value").classes == ["reward"]


def test_several_numbers_are_refused():
    with pytest.raises(ValueError, match="has 3 outputs: head value explains a model with one number"):
        pct.wrap(families.classifier("BERT", classes=3, **REGRESSION), tokenizer("BERT"))


def test_a_pipeline_without_a_function_gives_a_number():
    from transformers import TextClassificationPipeline

    pipeline = TextClassificationPipeline(
        model=of_one_output("BERT"), tokenizer=tokenizer("BERT"), task="text-classification", function_to_apply="none"
    )
    scores = [answer["score"] for answer in pipeline(TEXTS)]
    np.testing.assert_allclose(pct.wrap(pipeline).predict(TEXTS)[:, 0], scores, atol=1e-5)


def test_a_prediction_has_a_value_and_no_probabilities():
    wrapped = pct.wrap(of_one_output("BERT", **REGRESSION), tokenizer("BERT"))
    (one, *_) = predictions = pct.predict(wrapped, TEXTS)
    assert one.value == pytest.approx(float(wrapped.predict(TEXTS)[0, 0]))
    assert one.to_dict() == {"label": "value", "value": one.value, "truncated": 0}
    assert list(predictions.to_pandas()) == ["text", "label", "value"]
    assert np.isnan(one.confidence)


def test_a_saved_model_gives_the_same_numbers(tmp_path):
    wrapped = pct.wrap(of_one_output("BERT", **REGRESSION), tokenizer("BERT"))
    again = pct.load(wrapped.save(tmp_path / "saved"))
    assert again.task.number
    np.testing.assert_array_equal(again.predict(TEXTS), wrapped.predict(TEXTS))
    with pytest.raises(ValueError, match=r"threshold 0\.4: the model gives a number; leave it out"):
        pct.load(tmp_path / "saved", threshold=0.4)


def test_transformers_reads_a_number(tmp_path):
    wrapped = pct.wrap(of_one_output("BERT"), tokenizer("BERT"), head="value")
    to_transformers(wrapped.model, wrapped.classes).save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["problem_type"] == "regression"
    again = pct.load(tmp_path)
    assert (again.task.number, again.classes) == (True, wrapped.classes)
    np.testing.assert_allclose(again.predict(TEXTS), wrapped.predict(TEXTS), atol=1e-6)


def test_the_gradient_is_that_of_the_number():
    model = of_one_output("BERT", **REGRESSION)
    wrapped = pct.wrap(model, tokenizer("BERT"), saliency="grad_x_input", words="spaces")
    text = "good film"
    given = tokenizer("BERT")(text, return_tensors="pt")
    embeddings = model.eval().get_input_embeddings()(given["input_ids"]).detach().requires_grad_(True)
    number = model(inputs_embeds=embeddings, attention_mask=given["attention_mask"]).logits[0, 0]
    (gradient,) = torch.autograd.grad(number, embeddings)
    scores = (gradient * embeddings).sum(-1)[0].tolist()
    expected = [0.0, 0.0]
    for word, score in zip(given.word_ids(0), scores, strict=True):
        if word is not None:
            expected[word] += score
    (ours,) = wrapped.saliency([text])
    np.testing.assert_allclose(ours, expected, rtol=1e-4)
