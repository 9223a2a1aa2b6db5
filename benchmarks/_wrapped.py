"""Classifiers as a user has them: folders written by transformers, of a BERT-type encoder and of a small GPT-2."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

import pct
from benchmarks.common import THREADS, corpus, encoder_folder, settings_of
from pct.corpora.loading import load_splits
from pct.models.outputs import output_names
from pct.training.trainer import train

WRAPPED = ("bert", "gpt2")


@cache
def wrapped(kind: str) -> pct.Classifier:
    """`pct.load` of `folder(kind)`. Sets torch's threads to THREADS."""
    torch.set_num_threads(THREADS)
    return pct.load(folder(kind))


@cache
def folder(kind: str) -> str:
    """The folder of a classifier (one of WRAPPED) that `save_pretrained` wrote."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model, tokenizer = {"bert": _bert, "gpt2": _gpt2}[kind]()
    path = Path(_folders.name) / kind
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


_folders = tempfile.TemporaryDirectory(prefix="pct-bench-")


def transformers_model(kind: str) -> tuple[Any, Any]:
    """The same folder's model and tokenizer as transformers loads them, for other libraries."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path = folder(kind)
    model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(path)


def _bert() -> tuple[Any, Any]:
    """The small encoder with its own pooler and head, trained for a minute."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder_folder())
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder_folder(), dtype=torch.float32, **output_names(corpus().classes)
    )
    settings = settings_of("minilm", epochs=1, limit=1024, lr=1e-4, evaluate_epochs=False)
    start = pct.wrap(model, tokenizer, max_length=settings.max_length)
    trained: Any = train(settings, load_splits(settings), progress=False, start=start).model
    return trained.model, tokenizer


def _gpt2() -> tuple[Any, Any]:
    """4 layers, 256 wide, a byte-level tokenizer trained on the corpus, padding on the left.

    Its weights are random: a minute of training from scratch would not separate the classes, and the time is the same.
    """
    from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast

    end = "<|end|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(corpus().splits["train"].texts), padding_side="left", model_max_length=64,
        pad_token="<|pad|>", eos_token=end, bos_token=end, unk_token=end,
    )  # fmt: skip
    ids = {f"{k}_token_id": getattr(tokenizer, f"{k}_token_id") for k in ("pad", "eos", "bos")}
    config = GPT2Config(
        vocab_size=len(tokenizer), n_layer=4, n_embd=256, n_head=4, n_positions=64, initializer_range=0.1,
        use_cache=False, **ids, **output_names(corpus().classes),
    )  # fmt: skip
    return GPT2ForSequenceClassification(config), tokenizer


def _byte_level(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|pad|>", "<|end|>"],
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
