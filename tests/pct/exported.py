"""Small classifiers, exported once for all processes of the tests."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from pct.classifier import Classifier
from pct.models.encoder import Transformer
from pct.onnx.export import export
from pct.settings import Settings
from tests.pct.small import small_classifier, small_words, tokenizer
from tests.shared import made_once

KINDS = ("l2", "l1", "grad_x_input")
MODIFIED = ("frozen_grad_x_input", "gim")
MODELS = ("textcnn", "lstm", "bert", "distilbert")
factory: list[pytest.TempPathFactory] = []  # of this process; conftest.py fills it


@functools.cache
def classifier(model: str) -> Classifier:
    """One of MODELS, or another kind of encoder: three classes, loud random weights, texts cut to 24 tokens."""
    if model in ("textcnn", "lstm", "bert"):
        return small_classifier("transformer" if model == "bert" else model, max_length=24)
    torch.manual_seed(0)
    chosen = Transformer(_encoder(model), 3)
    torch.nn.init.normal_(chosen.dense.weight, std=0.5)
    return Classifier(chosen, small_words("transformer"), ["a", "b", "c"], Settings(model=model, max_length=24))


def _encoder(model: str) -> Any:
    import transformers as t

    vocabulary = len(tokenizer())
    shape = {
        "vocab_size": vocabulary, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24, "initializer_range": 0.4,
    }  # fmt: skip
    if model == "distilbert":
        return t.DistilBertModel(
            t.DistilBertConfig(
                vocab_size=vocabulary, dim=16, n_layers=1, n_heads=2, hidden_dim=24, initializer_range=0.4
            )
        )
    if model == "roberta":
        return t.RobertaModel(t.RobertaConfig(**shape))
    if model == "electra":
        return t.ElectraModel(t.ElectraConfig(embedding_size=8, **shape))
    return t.AlbertModel(t.AlbertConfig(embedding_size=8, **shape))


@functools.cache
def exported(model: str) -> Path:
    """The folder of an exported `classifier(model)`. DistilBERT's has no modified gradients, BERT's all of them."""
    modified = {"bert": MODIFIED, "distilbert": ()}.get(model)
    shared = made_once(
        factory[0], f"exported-{model}", lambda folder: export(classifier(model), folder / "model", modified=modified)
    )
    return shared / "model"
