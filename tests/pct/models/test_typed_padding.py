"""A padding token that a user typed: what transformers skips there is explained as it is, or refused."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

import pct
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from tests.pct.models.families import FAMILIES, classifier, tokenizer


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "DistilBERT", "GPT-2", "Llama"])
def test_a_text_with_a_typed_padding_token_is_predicted_as_by_transformers_or_refused(name):
    model, words = classifier(name), tokenizer(name)
    padding = words.pad_token
    texts = [f"the film {padding} is good", f"the film is good {padding}"]
    wrapped = pct.wrap(model, words)
    for text in texts:
        inputs = words(text, return_tensors="pt")
        with torch.no_grad():
            expected = model(**inputs).logits.softmax(-1).numpy()
        with contextlib.suppress(ValueError):
            np.testing.assert_allclose(wrapped.predict([text]), expected, atol=1e-5)


def test_a_model_that_counts_positions_past_padding_refuses_the_text_and_names_it():
    wrapped = pct.wrap(classifier("RoBERTa"), tokenizer("RoBERTa"))
    padding = FAMILIES["RoBERTa"].specials["pad_token"]
    with pytest.raises(ValueError, match="text 1 holds the padding token, which this model skips"):
        wrapped.predict(["the film is good", f"the {padding} film is good"])


@pytest.mark.parametrize(("name", "skips"), [("BERT", False), ("RoBERTa", True), ("GPT-2", True)])
def test_a_model_says_whether_it_skips_typed_padding(name, skips):
    assert pct.wrap(classifier(name), tokenizer(name)).skips_padding() == skips


@pytest.mark.parametrize("name", ["BERT", "RoBERTa"])
def test_an_exported_model_refuses_the_texts_that_the_model_refuses(name, tmp_path):
    made = pct.wrap(classifier(name, num_hidden_layers=1), tokenizer(name), max_length=24)
    export(made, tmp_path / "exported", modified=[])
    exported = OnnxPredictor.load(tmp_path / "exported", threads=1)
    texts = ["the film is good", f"the {tokenizer(name).pad_token} film is good"]
    if name == "BERT":
        np.testing.assert_allclose(exported.predict(texts), made.predict(texts), atol=1e-4)
        return
    for predictor in (made, exported):
        with pytest.raises(ValueError, match="text 1 holds the padding token, which this model skips"):
            predictor.predict(texts)
