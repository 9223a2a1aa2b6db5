"""From a name or a saved configuration to a model and its words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pct.models.base import TextModel
from pct.models.lstm import LSTM
from pct.models.textcnn import TextCNN
from pct.settings import Settings
from pct.text.words import SubWords, Vocabulary, Words

ALIASES = {"bert": "bert-base-uncased", "distilbert": "distilbert-base-uncased"}
EMBEDDING_WIDTH = 300


def make_model(settings: Settings, texts: Sequence[Sequence[str]], classes: int) -> tuple[TextModel, Words]:
    """A fresh model and its words for a run; `texts` are the training texts as word lists.

    Raises OSError, with the remedy, when an encoder can be found neither on the disk nor on the hub.
    """
    vocabulary = make_vocabulary(settings, texts)
    if vocabulary is not None:
        return model_for(settings, vocabulary, classes), vocabulary
    return load_encoder(settings.model, classes)


def make_vocabulary(settings: Settings, texts: Sequence[Sequence[str]]) -> Vocabulary | None:
    """The vocabulary of the training texts; None for an encoder, which brings its own words."""
    if settings.model in ("textcnn", "lstm"):
        return Vocabulary.build(texts, settings.vocabulary_size)
    if settings.glove:
        raise ValueError(f"glove is for textcnn and lstm; {settings.model} brings its own embeddings: leave it empty")
    return None


def model_for(settings: Settings, words: Words, classes: int) -> TextModel:
    """A fresh model for words that were made before. Raises as `make_model`."""
    if not isinstance(words, Vocabulary):
        return load_body(settings.model, classes)
    family = TextCNN if settings.model == "textcnn" else LSTM
    model = family(len(words), classes, width=EMBEDDING_WIDTH, dropout=settings.dropout)
    if settings.glove:
        load_glove(Path(settings.glove), words, model.embedding.weight)
    return model


def load_encoder(name: str, classes: int) -> tuple[TextModel, Words]:
    """A pretrained encoder with a fresh dense layer, and its tokenizer, from a folder or the hub."""
    return load_body(name, classes), load_tokenizer(name)


def load_body(name: str, classes: int) -> TextModel:
    """The encoder of `load_encoder` alone."""
    encoder = _pretrained("AutoModel", name, use_safetensors=True, dtype=torch.float32)
    from pct.models.encoder import Transformer

    return Transformer(encoder, classes, name=ALIASES.get(name, name))


def load_tokenizer(name: str) -> SubWords:
    """The tokenizer of `load_encoder` alone."""
    return SubWords(_pretrained("AutoTokenizer", name, use_fast=True))


def _pretrained(kind: str, name: str, **options: Any) -> Any:
    try:
        import transformers
    except ImportError:
        raise ImportError(f"model {name!r} needs transformers: pip install 'pct-explain[transformers]'") from None
    try:
        return getattr(transformers, kind).from_pretrained(ALIASES.get(name, name), **options)
    except OSError as problem:
        raise OSError(
            f"model {name!r} is neither textcnn, lstm, a folder with config.json and model.safetensors, "
            f"nor an encoder that the Hugging Face hub gave: {str(problem).splitlines()[0]}"
        ) from problem


def build_model(config: dict[str, Any]) -> TextModel:
    """A model from what its `config()` gave, with weights yet to be loaded. Raises ValueError for an unknown family."""
    arguments = dict(config)
    family = arguments.pop("family", None)
    if family == "textcnn":
        return TextCNN(**arguments)
    if family == "lstm":
        return LSTM(**arguments)
    if family == "transformer":
        from transformers import AutoConfig, AutoModel

        from pct.models.encoder import Transformer

        encoder = dict(arguments["encoder"])
        made = AutoModel.from_config(AutoConfig.for_model(encoder.pop("model_type"), **encoder))
        return Transformer(made.float(), arguments["classes"], arguments["dropout"], arguments["name"])
    raise ValueError(f"model family must be textcnn, lstm or transformer, got {family!r}")


def load_glove(path: Path, vocabulary: Vocabulary, weight: torch.Tensor) -> int:
    """Fills rows of `weight` (vocabulary, width) from a GloVe text file; returns how many words it knew.

    Raises FileNotFoundError, and ValueError when a line has another width than the embeddings.
    """
    if not path.is_file():
        raise FileNotFoundError(f"glove file {path} does not exist; leave glove empty for random embeddings")
    width, found = weight.shape[1], 0
    with path.open(encoding="utf-8") as lines, torch.no_grad():
        for number, line in enumerate(lines, 1):
            parts = line.rstrip().split(" ")
            if len(parts) == 2 and number == 1:  # the header that word2vec's text format has
                continue
            # some GloVe words contain spaces: the numbers are counted from the end
            word, numbers = " ".join(parts[:-width]), parts[-width:]
            if not word or (len(parts) > width + 1 and _is_number(parts[-width - 1])):
                raise ValueError(
                    f"glove file {path}, line {number}: {len(parts) - 1} numbers a word, the model's embeddings have "
                    f"{width}; take the file with {width} dimensions"
                )
            row = vocabulary.index.get(word)
            if row is not None:
                weight[row] = torch.tensor([float(x) for x in numbers])
                found += 1
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
