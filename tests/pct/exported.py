"""Small classifiers, exported once for all processes of the tests."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import pct
from pct.classifier import Classifier
from pct.models.encoder import Transformer
from pct.onnx.export import export
from pct.onnx.graphs import transformer
from pct.settings import Settings
from tests.pct.models import families
from tests.pct.small import small_classifier, small_words, tokenizer
from tests.shared import made_once

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
    """The folder of an exported `pair_classifier()`."""
    return made_once("exported-pairs", functools.partial(_export, pair_classifier(), ())) / "model"


def pair_classifier() -> Classifier:
    """A BERT of the transformers library that reads pairs of texts."""
    model = families.classifier("BERT", num_hidden_layers=1)
    return pct.wrap(model, families.tokenizer("BERT"), "BERT")


def _export(classifier: Classifier, modified: Sequence[str] | None, folder: Path) -> None:
    with traced_once():
        export(classifier, folder / "model", modified=modified)


@contextmanager
def traced_once() -> Iterator[None]:
    """A trace of an encoder takes seconds: models that are equal but for the table of their word embeddings, which is
    not in it, share one, also those of other processes."""
    trace = transformer._export

    def shared(model: Any, longest: int, mode: Any) -> onnx.ModelProto:
        config = model.config()
        own = config["model"] if "model" in config else config["encoder"]
        numbers = sorted((k, v) for k, v in own.items() if isinstance(v, int | float))
        read = [config.get(name) for name in ("reads_types", "unread", "pooling", "normalize")]
        kinds = [type(part) for part in model.modules() if not isinstance(part, torch.nn.Embedding)]
        about = hashlib.sha256(repr((kinds, model.dense, numbers, read, longest, mode.__name__)).encode())
        for name, weight in model.state_dict().items():
            if not name.endswith("word_embeddings.weight"):
                about.update(name.encode())
                about.update(weight.contiguous().numpy())
        name = f"trace-{about.hexdigest()}"
        return onnx.load(made_once(name, lambda folder: onnx.save(trace(model, longest, mode), folder / "t")) / "t")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "_export", shared)
        yield
