"""An exported model held against torch: the differences in numbers, and for int8 what the rounding costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pct.classifier import Classifier
from pct.corpora import Split
from pct.graphs import KINDS
from pct.models import TextModel
from pct.onnx_predictor import OnnxPredictor
from pct.predictor import batches, explain_tokens, predict_tokens
from pct.saliency import saliency
from pct.words import Ints, Tokens, Vocabulary, split_all

TEXTS = 256
TOLERANCE = 1e-4  # of the largest value of an output, where that is above 1
TOKENS_A_BATCH = 1024

Array = npt.NDArray[Any]


def differences(classifier: Classifier, predictor: OnnxPredictor, texts: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Every output of both graphs against torch in float32, on word lists of mixed length.

    Half the texts are explained for their predicted class, half for one drawn at random. Returns for each output its
    largest difference and its largest value. Raises ValueError where the tokens differ, or an output by more than
    TOLERANCE.
    """
    tokens = classifier.tokens(texts)
    _same_tokens(tokens, predictor.tokens(texts))
    model, settings = on_cpu(classifier.model), classifier.settings
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for index in batches(tokens.lengths, TOKENS_A_BATCH):
        ids, words = tokens.rows(index)
        classes = rng.integers(-1, len(classifier.classes), len(index))
        for name, ours, torchs in _both(model, predictor, ids, words, classes, settings.saliency_of):
            before = found.setdefault(name, [0.0, 0.0])
            # np.maximum, not max: a NaN stays one
            found[name] = np.maximum(before, [np.abs(ours - torchs).max(), np.abs(torchs).max()]).tolist()
    for name, (difference, largest) in found.items():
        allowed = TOLERANCE * max(1.0, largest)
        if not difference <= allowed:
            raise ValueError(
                f"the graph's {name} differs from torch's by {difference:.2g}, more than {allowed:.2g}: nothing was "
                "written; report the model's kind and the versions of torch, onnx and onnxruntime"
            )
    return {"texts": len(texts), **{k: {"difference": d, "largest": x} for k, (d, x) in found.items()}}


def cost_of_int8(exact: OnnxPredictor, rounded: OnnxPredictor, data: Split) -> dict[str, Any]:
    """Accuracy of both, the share of texts with the same class, and the rank agreement of each saliency.

    The saliency of both is that of the class that `exact` predicts. Agreement is Spearman's correlation, the mean over
    the texts that have a ranking (three words or more, not all of one saliency).
    """
    texts = split_all(data.texts)
    tokens = exact.tokens(texts)
    before, after = predict_tokens(exact, tokens), predict_tokens(rounded, tokens)
    classes = before.argmax(1).astype(np.int64)
    agreement = {}
    for kind in KINDS:
        ours, theirs = (explain_tokens(x.with_saliency(kind), tokens, classes)[1] for x in (rounded, exact))
        each = np.array([spearman(a[:n], b[:n]) for a, b, n in zip(ours, theirs, tokens.counts, strict=True)])
        agreement[kind] = float(np.nanmean(each)) if np.isfinite(each).any() else None
    return {
        "texts": len(texts),
        "accuracy_float32": float((classes == data.labels).mean()),
        "accuracy_int8": float((after.argmax(1) == data.labels).mean()),
        "same_class": float((after.argmax(1) == classes).mean()),
        "rank_agreement": agreement,
    }


def spearman(first: Array, second: Array) -> float:
    """Rank correlation, equal values sharing their mean rank; NaN where either has no ranking or under three values."""
    if len(first) < 3:
        return float("nan")
    ranks = [_mean_ranks(x) for x in (first, second)]
    a, b = (r - r.mean() for r in ranks)
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else float("nan")


def sample_texts(classifier: Classifier, count: int = TEXTS) -> list[list[str]]:
    """Word lists made of what the model knows, the same each time: of 1 word up to more than max_length."""
    rng = np.random.default_rng(0)
    words = classifier.words
    known = words.words if isinstance(words, Vocabulary) else _plain_pieces(words)
    pool = np.array([*known, "\ue000"])  # the last is nobody's word
    lengths = rng.integers(1, classifier.settings.max_length + 9, count)
    lengths[:8] = np.minimum(lengths[:8], [1, 1, 1, 2, 2, 3, 4, 5])[: len(lengths)]
    return [rng.choice(pool, n).tolist() for n in lengths]


def on_cpu(model: TextModel) -> TextModel:
    """The model itself where it is on the CPU in float32, else a copy that is."""
    first = next(model.parameters())
    if first.device.type == "cpu" and first.dtype == torch.float32:
        return model
    import copy

    return copy.deepcopy(model).to("cpu", torch.float32)


def _both(
    model: TextModel, predictor: OnnxPredictor, ids: Ints, words: Ints, classes: Ints, of: str
) -> Iterator[tuple[str, Array, Array]]:
    """Name, ONNX Runtime's and torch's value of every output of both graphs."""
    mask = words > -2
    tensors = [torch.from_numpy(x) for x in (ids, mask, words)]
    with torch.no_grad():
        logits, representation = (x.numpy() for x in model.eval()(*tensors[:2]))
    forward = predictor.run_forward(ids, mask)
    yield "forward_logits", forward["logits"], logits
    yield "forward_representation", forward["representation"], representation
    gradient = predictor.run_gradient(ids, words, classes)
    yield "logits", gradient["logits"], logits
    yield "representation", gradient["representation"], representation
    chosen = torch.from_numpy(np.where(classes < 0, logits.argmax(1), classes))
    for kind in KINDS:
        expected = saliency(model, tensors[0], tensors[2], chosen, kind, of)[1].numpy()
        ours = gradient[f"saliency_{kind}"]
        beyond = np.zeros((len(ids), ours.shape[1] - expected.shape[1]), np.float32)
        yield f"saliency_{kind}", ours, np.concatenate([expected, beyond], 1)


def _same_tokens(first: Tokens, second: Tokens) -> None:
    for name in ("ids", "words", "starts", "counts"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise ValueError(
                f"the saved tokenizer gives other {name} than the classifier's: nothing was written; report the "
                "tokenizer's kind and the versions of tokenizers and transformers"
            )


def _plain_pieces(words: Any) -> list[str]:
    # letters and digits only: what marks a piece's place in a word (##, Ġ, ▁) is left off
    pieces = {"".join(c for c in piece if c.isascii() and c.isalnum()) for piece in words.tokenizer.get_vocab()}
    return sorted(pieces - {""})


def _mean_ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - (counts - 1) / 2)[inverse]
    return ranks
