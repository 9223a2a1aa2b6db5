"""Builds a model and its tokenizer from a name or a saved configuration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch

from pct.models.base import TextModel
from pct.models.glove import read_vectors
from pct.models.lstm import LSTM
from pct.models.outputs import check_new_head
from pct.models.textcnn import TextCNN
from pct.settings import WORD_MODELS, Settings
from pct.text.subwords import SubWords
from pct.text.tokens import Tokenizer
from pct.text.vocabulary import Vocabulary

logger = logging.getLogger("pct.models")
EMBEDDING_WIDTH = 300  # of random embeddings


def make_model(
    settings: Settings, texts: Sequence[Sequence[str]], classes: Sequence[str]
) -> tuple[TextModel, Tokenizer]:
    """A model to train and its tokenizer; `texts` are the training texts as documents.

    Raises as `pct.models.pretrained.load_untrained` for a model of the transformers library.
    """
    tokenizer = make_vocabulary(settings, texts) or load_tokenizer(settings.model)
    return model_for(settings, tokenizer, classes), tokenizer


def make_vocabulary(settings: Settings, texts: Sequence[Sequence[str]]) -> Vocabulary | None:
    """The vocabulary of the training texts; None for an encoder, which has its own tokenizer."""
    return Vocabulary.build(texts, settings.vocabulary_size) if needs_vocabulary(settings) else None


def needs_vocabulary(settings: Settings) -> bool:
    """Whether the model reads words by a vocabulary of the training texts. Raises ValueError for GloVe vectors of
    another model."""
    if settings.model in WORD_MODELS:
        return True
    if settings.glove:
        raise ValueError(f"glove is for textcnn and lstm; {settings.model} has its own embeddings: leave it empty")
    return False


def model_for(settings: Settings, tokenizer: Tokenizer, classes: Sequence[str]) -> TextModel:
    """A model to train, for a given tokenizer. Raises as `make_model`."""
    if not isinstance(tokenizer, Vocabulary):
        from pct.models.pretrained import load_untrained

        return load_untrained(settings, classes)
    check_new_head(settings)
    family = TextCNN if settings.model == "textcnn" else LSTM
    if not settings.glove:
        return family(len(tokenizer), len(classes), width=EMBEDDING_WIDTH, dropout=settings.dropout)
    vectors, has_vector = read_vectors(settings.glove, tokenizer)
    model = family(len(tokenizer), len(classes), width=vectors.shape[1], dropout=settings.dropout)
    with torch.no_grad():
        model.embedding.weight[torch.from_numpy(has_vector)] = torch.from_numpy(vectors[has_vector])
    model.vectors_found = int(has_vector.sum())
    count, words, width = model.vectors_found, len(has_vector) - 2, vectors.shape[1]
    logger.warning("%s has vectors of width %d for %d of %d words", settings.glove, width, count, words)
    return model


def load_tokenizer(name: str) -> SubWords:
    """See `pct.models.pretrained.load_tokenizer`."""
    from pct.models import pretrained

    return pretrained.load_tokenizer(name)


def build_model(config: dict[str, Any]) -> TextModel:
    """Builds a model by its `config()`, without its trained weights.

    The state of torch's random number generator does not change. Raises ValueError for an unknown family.
    """
    with torch.random.fork_rng(devices=[]):
        return _build(config)


def _build(config: dict[str, Any]) -> TextModel:
    arguments = dict(config)
    family = arguments.pop("family", None)
    if family == "textcnn":
        return TextCNN(**arguments)
    if family == "lstm":
        return LSTM(**arguments)
    if family == "transformer":
        from transformers import AutoConfig, AutoModel

        from pct.models.encoder import Transformer

        encoder_config = dict(arguments.pop("encoder"))
        encoder = AutoModel.from_config(AutoConfig.for_model(encoder_config.pop("model_type"), **encoder_config))
        return Transformer(encoder.float(), **arguments)
    if family == "wrapped":
        from transformers import AutoConfig, AutoModelForSequenceClassification

        from pct.models.wrapped import Wrapped

        config = dict(arguments.pop("model"))
        model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
        return Wrapped(model.float(), **arguments)
    raise ValueError(f"model family must be textcnn, lstm, transformer or wrapped, got {family!r}")
