"""Classifiers as a user brings them: folders that transformers wrote, of a BERT-type and of a small GPT-2."""

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
    """What `pct.load` makes of `folder(kind)`. Sets torch's threads to THREADS."""
    torch.set_num_threads(THREADS)
    return pct.load(folder(kind))


@cache
def folder(kind: str) -> str:
    """A classifier of one of WRAPPED as `save_pretrained` leaves it."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model, tokenizer = {"bert": _bert, "gpt2": _gpt2}[kind]()
    place = Path(_places.name) / kind
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return str(place)


_places = tempfile.TemporaryDirectory(prefix="pct-bench-")


def transformers_model(kind: str) -> tuple[Any, Any]:
    """The same folder's model and tokenizer as transformers loads them, for the peers."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    place = folder(kind)
    model = AutoModelForSequenceClassification.from_pretrained(place, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(place)


def _bert() -> tuple[Any, Any]:
    """The small encoder with a pooler and a head of its own, trained for a minute."""
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
    """4 layers, 256 wide, a byte-level tokenizer learnt from the corpus, padding on the left.

    Its weights are random: what is learnt from nothing in a minute tells no classes apart, and its time is the same.
    """
    from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast

    end = "<|end|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(corpus().splits["train"].texts), padding_side="left", model_max_length=64,
        pad_token="<|pad|>", eos_token=end, bos_token=end, unk_token=end,
    )  # fmt: skip
    ids = {f"{k}_token_id": getattr(tokenizer, f"{k}_token_id") for k in ("pad", "eos", "bos")}
    shape = GPT2Config(
        vocab_size=len(tokenizer), n_layer=4, n_embd=256, n_head=4, n_positions=64, initializer_range=0.1,
        use_cache=False, **ids, **output_names(corpus().classes),
    )  # fmt: skip
    return GPT2ForSequenceClassification(shape), tokenizer


def _byte_level(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|pad|>", "<|end|>"],
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator(texts, trainer)
    return made
