"""Small classifiers, exported once for all processes of the tests."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import pct
from pct.classifier import Classifier
from pct.models.encoder import Transformer
from pct.onnx.export import export
from pct.settings import Settings
from tests.pct.models import families
from tests.pct.small import small_classifier, small_words, tokenizer
from tests.shared import made_once

KINDS = ("l2", "l1", "grad_x_input")
MODIFIED = ("frozen_grad_x_input", "gim")
MODELS = ("textcnn", "lstm", "bert")


@functools.cache
def classifier(model: str) -> Classifier:
    """One of MODELS, or another kind of encoder: three classes, loud random weights, texts cut to 24 tokens."""
    if model in ("textcnn", "lstm", "bert"):
        # of one layer: the time of an export grows with them
        return small_classifier("transformer" if model == "bert" else model, layers=1, max_length=24)
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
    """The folder of an exported `classifier(model)`. BERT's has all modified gradients."""
    modified = MODIFIED if model == "bert" else None
    make = functools.partial(_export, classifier(model), modified)
    return made_once(f"exported-{model}", make) / "model"


@functools.cache
def exported_pairs() -> Path:
    """The folder of an exported BERT of the transformers library that reads pairs of texts.

    Each process has its own: tokenizers learn another vocabulary in each.
    """
    wrapped = pct.wrap(families.classifier("BERT"), families.tokenizer("BERT"), "BERT", max_length=48)
    return made_once(f"exported-pairs-{os.getpid()}", functools.partial(_export, wrapped, ())) / "model"


def _export(classifier: Classifier, modified: Sequence[str] | None, folder: Path) -> None:
    export(classifier, folder / "model", modified=modified)
