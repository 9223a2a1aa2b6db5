"""A padding token that a user typed: what transformers skips there is explained as it is, or refused."""

import contextlib
import copy

import numpy as np
import pytest
import torch

import pct
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from tests.pct.exported import exported_pairs, pair_classifier, traced_once
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
    words = tokenizer(name)
    assert pct.wrap(classifier(name), words).skipped_padding() == [words.pad_token_id] * skips


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "MPNet"])
def test_the_padding_token_of_the_model_counts_where_the_tokenizer_has_another_one(name):
    words = copy.deepcopy(tokenizer(name))
    own, words.pad_token = words.pad_token, words.eos_token
    wrapped = pct.wrap(classifier(name), words)
    assert wrapped.skipped_padding() == [words.convert_tokens_to_ids(own)]  # an export writes this list
    with pytest.raises(ValueError, match="text 1 holds the padding token, which this model skips"):
        wrapped.predict(["a film", f"a good film {own}"])


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "GPT-2", "ModernBERT", "Llama"])
def test_a_typed_padding_token_in_a_text_of_several_windows_is_looked_for_window_by_window(name):
    model, words = classifier(name), tokenizer(name)
    wrapped = pct.wrap(model, words, windows="stride=16", max_length=32)
    start, end = wrapped.tokenizer.frame()
    inside = " ".join(["a film"] * 6 + [words.pad_token] + ["a film"] * 30)
    # RoBERTa counts positions past padding; Llama's first window ends with the token, which is not its last state
    if name in ("RoBERTa", "Llama"):
        with pytest.raises(ValueError, match="holds the padding token"):
            wrapped.predict([inside])
        return
    predicted = wrapped.predict([inside])
    # the slow twin: the windows of the ids, each read by transformers
    ids = words(inside)["input_ids"]
    inner, size = len(ids) - start - end, 32 - start - end
    logits, read = 0.0, 0
    for first in range(0, max(inner - size, 0) + 16, 16):
        last = min(first + size, inner)
        window = [*ids[:start], *ids[start + first : start + last], *ids[len(ids) - end :]]
        with torch.no_grad():
            logits = logits + model(torch.tensor([window])).logits * (last - max(read, first)) / inner
        read = last
    assert read == inner
    np.testing.assert_allclose(predicted, torch.as_tensor(logits).softmax(-1), atol=1e-5)


def test_an_exported_model_refuses_the_texts_that_the_model_refuses(tmp_path, monkeypatch):
    words = tokenizer("BERT")
    texts = ["the film is good", f"the {words.pad_token} film is good"]
    reads, wrapped = OnnxPredictor.load(exported_pairs(), threads=1), pair_classifier()
    np.testing.assert_allclose(reads.predict(texts), wrapped.predict(texts), atol=1e-4)
    # a model that skips padding has other positions, and the same list in its folder
    monkeypatch.setattr(wrapped, "skipped_padding", lambda: [words.pad_token_id])
    with traced_once():
        export(wrapped, tmp_path / "exported", modified=[])
    with pytest.raises(ValueError, match="text 1 holds the padding token, which this model skips"):
        OnnxPredictor.load(tmp_path / "exported", threads=1).predict(texts)
