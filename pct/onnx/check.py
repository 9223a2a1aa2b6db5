"""An exported model held against torch: the differences in numbers, and for int8 what the rounding costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pct.classifier import Classifier
from pct.corpora.loading import Split
from pct.explaining.predictor import batches, explain_tokens, predict_tokens, split_texts
from pct.explaining.saliency import saliency
from pct.models import Encoding, Features, TextModel
from pct.models.checks import PROBES, TYPED_SPECIALS
from pct.onnx.graphs import KINDS
from pct.onnx.predictor import MODIFIED, OnnxPredictor
from pct.text.tokens import Ints, Tokens
from pct.text.vocabulary import Vocabulary
from pct.text.words import split_all

TEXTS = 256
USUAL_LENGTH, LONGEST = 64, 512  # words of most of the texts, and of the few long ones, at most
TOLERANCE = 1e-4  # of the largest value of an output, where that is above 1
TOKENS_A_BATCH = 1024
ROUNDING = 1e-6  # relative, a few units in the last place of float32
NUDGES, RARE = 16, 0.05  # how often a text is nudged; the share of texts that may need it

Array = npt.NDArray[Any]


def differences(classifier: Classifier, predictor: OnnxPredictor, texts: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Every output of model.onnx and forward.onnx against torch in float32, on word lists of mixed length.

    The class explained is the predicted one for some texts, for others one drawn at random.

    Returns:
        For each output its largest difference and its largest value; `texts`, their number; and `nudged`, the number of
        texts that agree only with what torch gives for embeddings moved by a rounding error: where two windows of a
        TextCNN are equal but for rounding, either may be the maximum.

    Raises:
        ValueError: the tokens differ, or an output by more than TOLERANCE.
    """
    of = classifier.settings.saliency_of
    nudged, figures = _compare(
        classifier, predictor, texts, _by_onnx, lambda model, rows: _by_torch(model, rows, of), "nothing was written"
    )
    return {"texts": len(texts), "nudged": nudged, **figures}


def modified_differences(
    classifier: Classifier, predictor: OnnxPredictor, texts: Sequence[Sequence[str]], name: str
) -> dict[str, Any]:
    """`differences` of the graph of a modified gradient, without the number of texts.

    Args:
        classifier: the model.
        predictor: the exported one.
        texts: word lists.
        name: the saliency.

    Raises:
        ValueError: an output differs by more than TOLERANCE.
    """
    of = classifier.settings.saliency_of

    def by_onnx(exported: OnnxPredictor, rows: _Rows) -> dict[str, Array]:
        outputs = exported.run_modified(name, rows.ids, rows.word_ids, rows.classes)
        return {f"saliency_{name}": outputs[f"saliency_{name}"], f"{name}_logits": outputs["logits"]}

    def by_torch(model: TextModel, rows: _Rows) -> dict[str, Array]:
        plain = _by_torch(model, rows, of, [name])
        return {f"saliency_{name}": plain[f"saliency_{name}"], f"{name}_logits": plain["logits"]}

    return _compare(classifier, predictor, texts, by_onnx, by_torch, f"{name} was not written")[1]


def _compare(
    classifier: Classifier,
    predictor: OnnxPredictor,
    texts: Sequence[Sequence[str]],
    by_onnx: Callable[[OnnxPredictor, _Rows], dict[str, Array]],
    by_torch: Callable[[TextModel, _Rows], dict[str, Array]],
    refusal: str,
) -> tuple[int, dict[str, dict[str, float]]]:
    """How many texts agree only when nudged, and for each output the largest difference and the largest value."""
    tokens = classifier.tokens(texts)
    _same_tokens(tokens, predictor.tokens(texts))
    typed = split_all([*PROBES, TYPED_SPECIALS, " ".join(PROBES * 40)], classifier.word_rule)
    # some models refuse a text with such tokens: what is compared here are the tokenizers
    _same_tokens(*(x.tokenizer.encode(typed, x.settings.max_length) for x in (classifier, predictor)))
    model = on_cpu(classifier.model).eval()
    rng = np.random.default_rng(0)
    batch = [_Rows(*tokens.rows(i), rng.integers(-1, len(classifier.classes), len(i)))
             for i in batches(tokens.lengths, TOKENS_A_BATCH)]  # fmt: skip
    ours = [by_onnx(predictor, rows) for rows in batch]
    torchs = [by_torch(model, rows) for rows in batch]
    largest = {name: max(float(np.abs(x[name]).max()) for x in torchs) for name in torchs[0]}
    allowed = {name: TOLERANCE * max(1.0, value) for name, value in largest.items()}
    apart = [_apart(mine, theirs) for mine, theirs in zip(ours, torchs, strict=True)]
    beyond = [np.flatnonzero(_beyond(off, allowed)).tolist() for off in apart]
    nudged = 0
    if sum(map(len, beyond)) <= RARE * len(texts):  # more are no accident: the graph is wrong
        for rows, mine, off, places in zip(batch, ours, apart, beyond, strict=True):
            for row in places:
                alone = {name: value[row : row + 1] for name, value in mine.items()}
                nudged += _agrees_nudged(
                    model, rows.take(row), alone, by_torch, allowed, {k: v[row:] for k, v in off.items()}
                )
    # np.max, not max: a NaN stays one
    found = {name: float(np.max([off[name].max() for off in apart])) for name in largest}
    for name, difference in found.items():
        if not difference <= allowed[name]:
            raise ValueError(
                f"the graph's {name} differs from torch's by {difference:.2g}, more than {allowed[name]:.2g}: "
                f"{refusal}; report the model's kind and the versions of torch, onnx and onnxruntime"
            )
    return nudged, {name: {"difference": found[name], "largest": largest[name]} for name in found}


def cost_of_int8(exact: OnnxPredictor, rounded: OnnxPredictor, data: Split) -> dict[str, Any]:
    """Accuracy of both, the share of texts with the same class, and the rank agreement of each saliency.

    The saliency of both is that of the class that `exact` predicts. Agreement is Spearman's correlation, the mean over
    the texts that have a ranking (three words or more, not all of one saliency).
    """
    texts = split_texts(exact, data.texts)
    tokens = exact.tokens(texts)
    before, after = predict_tokens(exact, tokens), predict_tokens(rounded, tokens)
    classes = before.argmax(1).astype(np.int64)
    agreement = {}
    for kind in (*KINDS, *(name for name in MODIFIED if name in exact.gradient_saliencies)):
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
    """Word lists made of what the model knows, the same each time: of 1 word up to more than max_length.

    Most are short: a model that takes texts of any length would be checked for hours.
    """
    rng = np.random.default_rng(0)
    tokenizer = classifier.tokenizer
    known = tokenizer.words if isinstance(tokenizer, Vocabulary) else _plain_pieces(tokenizer)
    pool = np.array([*known, "\ue000"])  # the last is nobody's word
    longest = classifier.settings.max_length
    lengths = rng.integers(1, min(longest, USUAL_LENGTH) + 9, count)
    lengths[-4:] = min(longest, LONGEST) + 8
    lengths[:8] = np.minimum(lengths[:8], [1, 1, 1, 2, 2, 3, 4, 5])[: len(lengths)]
    return [rng.choice(pool, n).tolist() for n in lengths]


def on_cpu(model: TextModel) -> TextModel:
    """The model itself where it is on the CPU in float32, else a copy that is."""
    first = next(model.parameters())
    if first.device.type == "cpu" and first.dtype == torch.float32:
        return model
    import copy

    return copy.deepcopy(model).to("cpu", torch.float32)


def _agrees_nudged(
    model: TextModel,
    row: _Rows,
    ours: dict[str, Array],
    by_torch: Callable[[TextModel, _Rows], dict[str, Array]],
    allowed: dict[str, float],
    off: dict[str, Array],
) -> bool:
    """Whether one text agrees with torch for embeddings moved by a rounding error; its place in `off` then says so."""
    for seed in range(NUDGES):
        again = _apart(ours, by_torch(_Nudged(model, seed), row))
        if not _beyond(again, allowed).any():
            for name, value in again.items():
                off[name][0] = value[0]
            return True
    return False


@dataclass(frozen=True)
class _Rows:
    """A padded batch, and the class explained in each row, -1 for the predicted one."""

    ids: Ints
    word_ids: Ints
    classes: Ints

    def take(self, row: int) -> _Rows:
        """One row, its padding left as it is."""
        return _Rows(self.ids[row : row + 1], self.word_ids[row : row + 1], self.classes[row : row + 1])


class _Nudged(TextModel):
    """A model whose embeddings are off by about a rounding error."""

    def __init__(self, model: TextModel, seed: int) -> None:
        super().__init__()
        self.model, self.seed = model, seed

    def embed(self, ids: Tensor) -> Tensor:
        exact = self.model.embed(ids)
        noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(self.seed))
        return exact * (1 + ROUNDING * noise)

    def features(self, embeddings: Tensor, mask: Tensor) -> Features:
        return self.model.features(embeddings, mask)

    def encode(self, embeddings: Tensor, mask: Tensor) -> Encoding:
        return self.model.encode(embeddings, mask)

    def config(self) -> dict[str, Any]:
        return self.model.config()


def _by_onnx(predictor: OnnxPredictor, rows: _Rows) -> dict[str, Array]:
    forward = predictor.run_forward(rows.ids, rows.word_ids > -2)
    return {
        **predictor.run_gradient(rows.ids, rows.word_ids, rows.classes),
        **{f"forward_{k}": v for k, v in forward.items()},
    }


def _by_torch(model: TextModel, rows: _Rows, of: str, kinds: Sequence[str] = KINDS) -> dict[str, Array]:
    """The same outputs, by name."""
    ids, words = torch.from_numpy(rows.ids), torch.from_numpy(rows.word_ids)
    with torch.no_grad():
        logits, representation = (x.numpy() for x in model.encode(model.embed(ids), words > -2))
    chosen = torch.from_numpy(np.where(rows.classes < 0, logits.argmax(1), rows.classes))
    out = {"logits": logits, "representation": representation}
    out |= {f"forward_{k}": v for k, v in out.items()}
    for kind in kinds:
        scores = saliency(model, ids, words, chosen, kind, of)[1].numpy()
        beyond = np.zeros((len(scores), rows.ids.shape[1] - scores.shape[1]), np.float32)
        out[f"saliency_{kind}"] = np.concatenate([scores, beyond], 1)
    return out


def _apart(first: dict[str, Array], second: dict[str, Array]) -> dict[str, Array]:
    """The largest difference of each row, (rows,) for each output."""
    return {name: np.abs(first[name] - value).max(1) for name, value in second.items()}


def _beyond(off: dict[str, Array], allowed: dict[str, float]) -> Array:
    """(rows,) whether any output differs by more than it may; a NaN does."""
    beyond: Array = np.any([~(value <= allowed[name]) for name, value in off.items()], axis=0)
    return beyond


def _same_tokens(first: Tokens, second: Tokens) -> None:
    for name in ("ids", "word_ids", "starts", "counts"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise ValueError(
                f"the saved tokenizer gives other {name} than the classifier's: nothing was written; report the "
                "tokenizer's kind and the versions of tokenizers and transformers"
            )


def _plain_pieces(tokenizer: Any) -> list[str]:
    # letters and digits only: what marks a piece's place in a word (##, Ġ, ▁) is left off
    pieces = {"".join(c for c in piece if c.isascii() and c.isalnum()) for piece in tokenizer.tokenizer.get_vocab()}
    return sorted(pieces - {""})


def _mean_ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - (counts - 1) / 2)[inverse]
    return ranks
