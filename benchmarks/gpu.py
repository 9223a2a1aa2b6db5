"""Training and evaluation on a GPU: encoders shaped like BERT-base and DistilBERT, with random weights, on MR and IMDB.

Without these corpora in the data folder, the embedded one is used. Speeds count real words and real tokens, not
padding. FLOPs are those that the method needs: for each token 6 per weight of the layers, and 2 more for the gradient
at the embeddings of the originals; attention itself is not counted. bf16 if the GPU supports it.
"""

import queue
import time
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.multiprocessing as mp

from benchmarks._ferret import Ferret
from benchmarks.common import Row, alternate, ratio, synchronize
from benchmarks.evaluation import AOPC, against_captum
from benchmarks.training import PreparedBatch, batches_of, run, step_times
from pct.classifier import Classifier, wrap
from pct.corpora.loading import load_splits
from pct.corpora.named import local_folder
from pct.corpora.splits import Corpus
from pct.metrics.evaluation import evaluate
from pct.models.encoder import Transformer
from pct.models.outputs import output_names
from pct.settings import Settings
from pct.text.subwords import SubWords
from pct.training.optimizers import in_bf16, make_optimizer

SHAPES: dict[str, dict[str, Any]] = {"bert": {}, "distilbert": {}}  # changes to the defaults of transformers
VOCABULARY = 30522
CORPORA = {"mr": 64, "imdb": 256}  # corpus -> the most tokens of a text
BATCHES, ROUNDS = 4, 5
EVALUATED = {"mr": 64, "imdb": 4}
TRIALS, TRIAL_STEPS = 4, 30
# dense bf16 FLOP/s by NVIDIA's data sheets
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "A10": 125e12}


class Setup(NamedTuple):
    """A shape (one of SHAPES), a corpus (one of CORPORA) and a device."""

    shape: str
    corpus: str
    device: str


def main() -> Row:
    """Steps against floors, evaluation against loops, four trials on one GPU. Raises RuntimeError without a GPU."""
    if not torch.cuda.is_available():
        raise RuntimeError("this benchmark needs a GPU, and torch sees none")
    return {"tables": tables("cuda")}


def tables(device: str) -> dict[str, list[Row]]:
    """All tables, title -> rows."""
    setups = [Setup(shape, name, device) for shape in SHAPES for name in CORPORA]
    return {
        "A PCT step, K = 64: times its floor, and the share of the chip's peak": [step(setup) for setup in setups],
        "Evaluation, and the same by a captum loop": [row for setup in setups for row in beside_captum(setup)],
        "The AOPC pair by ferret, and by pct.evaluate with its own steps": [beside_ferret(setup) for setup in setups],
        f"{TRIALS} trials on one device at once, beside one": [trials(Setup(shape, "mr", device)) for shape in SHAPES],
    }


def step(setup: Setup) -> Row:
    """A step of `pct` against its floor and a step of normal training."""
    classifier = encoder(setup)
    settings, model = classifier.settings, classifier.model
    prepared = batches_of(classifier, settings, texts_of(setup).splits["train"], BATCHES)
    times = step_times(classifier, prepared, settings, {}, ROUNDS)
    seconds, peak = times["pct"].median, peak_of(torch.device(setup.device))
    to_floor = ratio(times["pct"], times["plain floor"])
    return {
        "model": setup.shape, "corpus": setup.corpus, "bf16": in_bf16(settings, model.device),
        "ms a step": 1e3 * seconds / len(prepared), "/ floor": to_floor["median"], "low": to_floor["low"],
        "high": to_floor["high"], "/ normal step": ratio(times["pct"], times["normal"])["median"],
        "words/s": sum(p.words for p in prepared) / seconds,
        "share of peak": flops(model, prepared) / seconds / peak if peak else None,
    }  # fmt: skip


def flops(model: Transformer, prepared: list[PreparedBatch]) -> int:
    """The FLOPs of a PCT step on each batch, counted as the module describes."""
    embeddings = {id(w) for w in model.encoder.embeddings.parameters()}
    weights = sum(w.numel() for w in model.parameters() if id(w) not in embeddings)
    originals = sum(int((p.batch.word_ids > -2).sum()) for p in prepared)
    reduced = sum(int(p.mask.sum()) for p in prepared)
    return weights * (6 * (originals + reduced) + 2 * originals)


def peak_of(device: torch.device) -> float | None:
    """The peak FLOP/s of a GPU, or None if PEAKS lacks it."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for part, peak in PEAKS.items() if part in name.replace("-", " ").split()), None)


def beside_captum(setup: Setup) -> list[Row]:
    """`pct.evaluate` and a loop over single texts with captum."""
    rows = against_captum(setup.shape, wrapped_classifier(setup)[0], test_texts(setup))
    return [{"corpus": setup.corpus} | row for row in rows]


def beside_ferret(setup: Setup) -> Row:
    """`pct.evaluate` and ferret's explainer and evaluators, one text at a time."""
    classifier, model, tokenizer = wrapped_classifier(setup)
    texts, labels = test_texts(setup)
    row: Row = {"model": setup.shape, "corpus": setup.corpus, "texts": len(texts)}
    try:
        ferret = Ferret(model, tokenizer)
    except ImportError as problem:
        return row | {"ferret texts/s": None, "pct texts/s": None, "times faster": f"not measured: {problem}"}
    times = alternate(
        {
            "ferret": lambda: ferret.aopc(texts, labels),
            "pct": lambda: evaluate(classifier, (texts, labels), metrics=AOPC),
        },
        rounds=3,
    )
    speeds = {f"{name} texts/s": len(texts) / timing.median for name, timing in times.items()}
    return row | speeds | {"times faster": ratio(times["ferret"], times["pct"])["median"]}


def trials(setup: Setup) -> Row:
    """Trainings that share a device, one process each, as trials of a sweep with fractional GPUs do."""
    one, several = (steps_a_second(setup, processes) for processes in (1, TRIALS))
    return {"model": setup.shape, "steps/s, one": one, f"steps/s, {TRIALS}": several, "times as many": several / one}


def steps_a_second(setup: Setup, processes: int) -> float:
    """The steps per second of all processes together."""
    context = mp.get_context("spawn")
    barrier, seconds = context.Barrier(processes), context.Queue()
    mp.spawn(train_steps, (setup, barrier, seconds), nprocs=processes)
    return processes * TRIAL_STEPS / max(seconds.get() for _ in range(processes))


def train_steps(_rank: int, setup: Setup, barrier: Any, seconds: queue.Queue[float]) -> None:
    """Trains in one of the processes, and puts its seconds into the queue."""
    classifier = encoder(setup)
    batches = [p.batch for p in batches_of(classifier, classifier.settings, texts_of(setup).splits["train"], BATCHES)]
    optimizer = make_optimizer(classifier.model, classifier.settings)
    run(classifier.model, batches, optimizer, classifier.settings)  # warm-up
    barrier.wait()
    start_time = time.perf_counter()
    run(
        classifier.model,
        [batches[number % len(batches)] for number in range(TRIAL_STEPS)],
        optimizer,
        classifier.settings,
    )
    synchronize()
    seconds.put(time.perf_counter() - start_time)


@cache
def texts_of(setup: Setup) -> Corpus:
    """The corpus, or the embedded one if it is missing."""
    return load_splits(Settings(corpus=setup.corpus if local_folder(setup.corpus) else "planted", limit=2000))


def test_texts(setup: Setup) -> tuple[list[str], list[int]]:
    """The first test texts and their labels."""
    split, count = texts_of(setup).splits["test"], EVALUATED[setup.corpus]
    return list(split.texts[:count]), [int(label) for label in split.labels[:count]]


def encoder(setup: Setup) -> Classifier:
    """An encoder of the shape with this project's head."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(setup.shape, **SHAPES[setup.shape]))
    settings = Settings(
        corpus="planted", model=setup.shape, method="pct", max_length=CORPORA[setup.corpus], lr=1e-6,
        device=setup.device,
    )  # fmt: skip
    classes = texts_of(setup).classes
    return Classifier(
        Transformer(model, len(classes)).to(setup.device), SubWords(word_pieces(setup)), classes, settings
    )


def wrapped_classifier(setup: Setup) -> tuple[Classifier, Any, Any]:
    """A transformers classifier wrapped by `pct.wrap`, and its model and tokenizer."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    names = output_names(texts_of(setup).classes)
    config = AutoConfig.for_model(setup.shape, **SHAPES[setup.shape], **names)
    model = AutoModelForSequenceClassification.from_config(config).eval().to(setup.device)
    tokenizer = word_pieces(setup)
    return wrap(model, tokenizer, max_length=CORPORA[setup.corpus]), model, tokenizer


def word_pieces(setup: Setup) -> Any:
    """A BERT tokenizer trained on the training texts, so that nothing is downloaded."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    trained: Any = BertWordPieceTokenizer()
    trained.train_from_iterator(list(texts_of(setup).splits["train"].texts), VOCABULARY, show_progress=False)
    vocabulary = trained.get_vocab()
    vocabulary |= {f"[unused{i}]": i for i in range(len(vocabulary), VOCABULARY)}
    padded: Any = BertWordPieceTokenizer(vocab=vocabulary)
    return BertTokenizerFast(tokenizer_object=padded._tokenizer, model_max_length=CORPORA[setup.corpus])
