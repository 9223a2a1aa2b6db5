"""Memory and time of a training step, with all reduced texts at once and in parts (`step_tokens`).

Each row is measured in its own process: the peak includes weights, optimizer, texts and libraries.
"""

import json
import sys
import time

import numpy as np
import torch

from benchmarks.common import THREADS, Row, encoder_folder, in_own_process
from pct.classifier import Classifier
from pct.corpora.loading import load_splits
from pct.methods.base import make_method
from pct.models import TextModel
from pct.models.build import load_tokenizer, make_model
from pct.models.encoder import Transformer
from pct.settings import Settings
from pct.text.words import split_all
from pct.training.batches import batch_indices, make_batch
from pct.training.memory import peak_mb, reset_peak
from pct.training.optimizers import make_optimizer, train_step
from pct.training.step_memory import bytes_per_token, fitting_tokens

# model, corpus, method, step_tokens (-1: no bound, 0: set by the machine's memory), steps
RUNS = (
    ("textcnn", "mr", "normal", -1, 20), ("textcnn", "mr", "pct", -1, 20), ("textcnn", "mr", "pct", 4096, 20),
    ("lstm", "mr", "normal", -1, 10), ("lstm", "mr", "pct", -1, 10), ("lstm", "mr", "pct", 4096, 10),
    ("minilm", "mr", "normal", -1, 3), ("minilm", "mr", "pct", -1, 3), ("minilm", "mr", "pct", 0, 3),
    ("minilm", "mr", "pct", 4096, 3), ("minilm", "mr", "pct", 2048, 3),
    ("bert", "imdb", "normal", -1, 2), ("bert", "imdb", "pct", 2048, 10),
)  # fmt: skip


def main() -> Row:
    """A table with a row per run."""
    rows = [in_own_process("benchmarks.training_memory", *run) for run in RUNS]
    return {"tables": {"A training step, K = 64: time, and the peak memory (RSS) of its process": rows}}


def measure(model: str, corpus: str, method: str, step_tokens: int, steps: int) -> Row:
    """Runs steps of training; with several, the first is not timed.

    bert: BERT-base's shape with random weights, and the vocabulary of the small encoder's tokenizer, which is BERT's.
    """
    torch.set_num_threads(THREADS)
    name = encoder_folder() if model in ("minilm", "bert") else model
    settings = Settings(corpus=corpus, model=name, method=method, threads=THREADS, step_tokens=max(step_tokens, 0))
    split = load_splits(settings).splits["train"]
    subset = split.take(np.random.default_rng(0).permutation(len(split))[: 64 * 32])
    texts = split_all(subset.texts, settings.words)
    if model == "bert":
        text_model: TextModel = bert_base()
        tokenizer = load_tokenizer(name)
    else:
        text_model, tokenizer = make_model(settings, texts, ["negative", "positive"])
    tokens = Classifier(text_model, tokenizer, ["negative", "positive"], settings).tokens(texts)
    bound = fitting_tokens(text_model, tokens) if step_tokens == 0 else max(step_tokens, 0)
    token_bytes = bytes_per_token(text_model, tokens)
    step, optimizer = make_method(settings.replace(step_tokens=bound)), make_optimizer(text_model, settings)
    index = batch_indices(tokens.lengths, settings.batch_size, 0, 1)
    longest = sorted(index, key=lambda rows: -int(tokens.lengths[rows].sum()))  # the longest texts set the peak
    text_model.train()
    reset_peak()
    times = []
    for number in range(steps):
        batch = make_batch(tokens, subset.labels, longest[number % len(longest)], text_model.device)
        start = time.perf_counter()
        train_step(text_model, step, optimizer, batch, settings)
        times.append(time.perf_counter() - start)
        print(f"step {number + 1} of {steps}: {times[-1]:.1f} s, peak {peak_mb():.0f} MB", file=sys.stderr, flush=True)
    return {
        "model": model, "corpus": corpus, "method": method, "step_tokens": bound or None, "steps": steps,
        "s a step": float(np.median(times[1:] or times)), "peak MB": peak_mb(), "kB a token": token_bytes / 1000,
    }  # fmt: skip


def bert_base() -> TextModel:
    """An encoder of BERT-base's shape."""
    from transformers import BertConfig, BertModel

    return Transformer(BertModel(BertConfig()), 2)


if __name__ == "__main__":
    first, second, third, *numbers = sys.argv[1:]
    print(json.dumps(measure(first, second, third, *map(int, numbers))))
