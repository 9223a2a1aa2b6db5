"""Compares an exported model with torch, and an int8 model with its float32 model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pct.classifier import Classifier
from pct.corpora.splits import Split
from pct.explaining.predictor import batches, explain_tokens, predict_tokens, split_texts
from pct.models import TextModel
from pct.models.checks import PROBES, TYPED_SPECIALS
from pct.onnx.predictor import MODIFIED, PLAIN, OnnxPredictor
from pct.saliency.gradients import saliency
from pct.tasks import Task, label_sets
from pct.text.tokens import Ints, Tokens
from pct.text.vocabulary import Vocabulary
from pct.text.words import Document, split_all

SAMPLE_TEXTS = 256
MOST_LENGTHS, MAX_LENGTH = 64, 512  # the largest number of words: of most texts, and of the few long ones
TOLERANCE = 1e-4  # relative to the largest value of an output if that is above 1
TOKENS_PER_BATCH = 1024
ROUNDING = 1e-6  # relative, a few units in the last place of float32
PERTURBATIONS, MAX_PERTURBED_SHARE = 16, 0.05  # per text; and the share of texts that may need them

Array = npt.NDArray[Any]


def differences(
    classifier: Classifier, predictor: OnnxPredictor, texts: Sequence[Sequence[str]], modified: str = ""
) -> tuple[int, dict[str, dict[str, float]]]:
    """Compares every output of model.onnx and forward.onnx with torch in float32, on word lists of mixed length.

    The explained class is the predicted one for some texts, and a random one for others.

    Args:
        classifier: the model.
        predictor: the exported model.
        texts: word lists.
        modified: a saliency with a modified gradient, whose graph is compared instead.

    Returns:
        The number of texts that agree with torch only if the embeddings are perturbed by a rounding error (if two
        windows of a TextCNN are equal up to rounding, either may be the maximum); and for each output its largest
        difference and its largest value.

    Raises:
        ValueError: the tokens differ, or an output differs by more than TOLERANCE.
    """
    tokens = classifier.tokens(texts)
    _same_tokens(tokens, predictor.tokens(texts))
    typed = split_all([*PROBES, TYPED_SPECIALS, " ".join(PROBES * 40)], classifier.word_rule)
    # only the tokenizers are compared: some models reject a text with such tokens
    _same_tokens(*(x.tokenizer.encode(typed, x.settings.max_length) for x in (classifier, predictor)))
    model = on_cpu(classifier.model).eval()
    rng = np.random.default_rng(0)
    batch = [_Rows(*tokens.rows(i), rng.integers(-1, len(classifier.classes), len(i)))
             for i in batches(tokens.lengths, TOKENS_PER_BATCH)]  # fmt: skip
    by_torch = partial(_by_torch, output=classifier.settings.saliency_of, modified=modified)
    ours = [_by_onnx(predictor, rows, modified) for rows in batch]
    torchs = [by_torch(model, rows) for rows in batch]
    largest = {name: max(float(np.abs(x[name]).max()) for x in torchs) for name in torchs[0]}
    allowed = {name: TOLERANCE * max(1.0, value) for name, value in largest.items()}
    differing = [_row_differences(mine, theirs) for mine, theirs in zip(ours, torchs, strict=True)]
    exceeding = [np.flatnonzero(_exceeds(diff, allowed)).tolist() for diff in differing]
    nudged = 0
    if sum(map(len, exceeding)) <= MAX_PERTURBED_SHARE * len(texts):  # if there are more, the graph is wrong
        for rows, mine, diff, indices in zip(batch, ours, differing, exceeding, strict=True):
            for row in indices:
                alone = {name: value[row : row + 1] for name, value in mine.items()}
                one = _Rows(*(x[row : row + 1] for x in rows))
                for seed in range(PERTURBATIONS):
                    again = _row_differences(alone, by_torch(_perturbed(model, seed), one))
                    if not _exceeds(again, allowed).any():
                        nudged += 1
                        for name, value in again.items():
                            diff[name][row] = value[0]
                        break
    # np.max, unlike max, propagates NaN
    largest_difference = {name: float(np.max([diff[name].max() for diff in differing])) for name in largest}
    for name, difference in largest_difference.items():
        if not difference <= allowed[name]:
            raise ValueError(
                f"the graph's {name} differs from torch's by {difference:.2g}, more than {allowed[name]:.2g}: "
                f"{f'{modified} was not' if modified else 'nothing was'} written; report the model's kind and the "
                "versions of torch, onnx and onnxruntime"
            )
    return nudged, {name: {"difference": largest_difference[name], "largest": largest[name]} for name in largest}


def cost_of_int8(exact: OnnxPredictor, rounded: OnnxPredictor, data: Split) -> dict[str, Any]:
    """The accuracy of both models, the share of texts with the same class, and the rank agreement of each saliency.

    Of several labels, the share of texts with all labels right, and with equal labels. Of a number, the mean absolute
    error of both, and their mean absolute difference. Both explain the class that `exact` finds most probable. The
    agreement is the mean of Spearman's correlation over the texts that have a ranking: at least three words, not all of
    equal saliency.
    """
    texts = split_texts(exact, data.texts)
    tokens = exact.tokens(texts)
    before, after = predict_tokens(exact, tokens), predict_tokens(rounded, tokens)
    classes = before.argmax(1).astype(np.int64)
    agreement = {}
    for kind in (*PLAIN, *(name for name in MODIFIED if name in exact.gradient_saliencies)):
        ours, theirs = (explain_tokens(x.with_saliency(kind), tokens, classes)[1] for x in (rounded, exact))
        each = np.array([spearman(a[:n], b[:n]) for a, b, n in zip(ours, theirs, tokens.counts, strict=True)])
        agreement[kind] = float(np.nanmean(each)) if np.isfinite(each).any() else None
    return {"texts": len(texts), **_cost(exact.task, data, before, after), "rank_agreement": agreement}


def _cost(task: Task, data: Split, before: Array, after: Array) -> dict[str, float]:
    if task.number:
        errors = {"mae_float32": before[:, 0] - data.labels, "mae_int8": after[:, 0] - data.labels}
        return {name: float(np.abs(x).mean()) for name, x in {**errors, "mean_difference": before - after}.items()}
    assigned, gold = [task.assigned(x) for x in (before, after)], label_sets(data.labels, before.shape[1])
    return {
        "accuracy_float32": float((assigned[0] == gold).all(1).mean()),
        "accuracy_int8": float((assigned[1] == gold).all(1).mean()),
        "same_class": float((assigned[0] == assigned[1]).all(1).mean()),
    }


def spearman(first: Array, second: Array) -> float:
    """Spearman's correlation. Equal values have their mean rank. NaN for constant or fewer than three values."""
    if len(first) < 3:
        return float("nan")
    ranks = [_mean_ranks(x) for x in (first, second)]
    a, b = (r - r.mean() for r in ranks)
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else float("nan")


def sample_texts(classifier: Classifier) -> list[Document]:
    """Random texts of the model's vocabulary, from 1 word to more than max_length; the same at each call.

    Most are short, so that the check of a model without a length limit does not take hours. Of a model that reads pairs
    of texts, a third are pairs.
    """
    rng = np.random.default_rng(0)
    tokenizer = classifier.tokenizer
    vocabulary = tokenizer.words if isinstance(tokenizer, Vocabulary) else _plain_pieces(tokenizer)
    pool = np.array([*vocabulary, "\ue000"])  # the last is an unknown word
    longest = classifier.settings.max_length
    lengths = rng.integers(1, min(longest, MOST_LENGTHS) + 9, SAMPLE_TEXTS)
    lengths[-4:] = min(longest, MAX_LENGTH) + 8
    lengths[:8] = np.minimum(lengths[:8], [1, 1, 1, 2, 2, 3, 4, 5])
    texts = [Document.of_words(rng.choice(pool, n).tolist()) for n in lengths]
    if classifier.reads_pairs():
        texts[::3] = [Document(x.text, x.spans, y) for x, y in zip(texts[::3], reversed(texts[::3]), strict=True)]
    return texts


def on_cpu(model: TextModel) -> TextModel:
    """The model itself if it is on the CPU in float32, else a copy that is."""
    first = next(model.parameters())
    if first.device.type == "cpu" and first.dtype == torch.float32:
        return model
    return copy.deepcopy(model).to("cpu", torch.float32)


class _Rows(NamedTuple):
    """A padded batch, and the explained class of each row, -1 for the predicted one."""

    ids: Ints
    word_ids: Ints
    classes: Ints


def _perturbed(model: TextModel, seed: int) -> TextModel:
    """The model with embeddings that are perturbed by about a rounding error."""

    def embed(ids: Tensor) -> Tensor:
        exact = model.embed(ids)
        noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(seed))
        return exact * (1 + ROUNDING * noise)

    perturbed = copy.copy(model)
    perturbed.embed = embed  # type: ignore[method-assign]
    return perturbed


def _by_onnx(predictor: OnnxPredictor, rows: _Rows, modified: str) -> dict[str, Array]:
    if modified:
        outputs = predictor.run_modified(modified, *rows)
        return {f"{modified}_logits": outputs.pop("logits"), **outputs}
    forward = predictor.run_forward(rows.ids, rows.word_ids > -2)
    return {**predictor.run_gradient(*rows), **{f"forward_{k}": v for k, v in forward.items()}}


def _by_torch(model: TextModel, rows: _Rows, output: str, modified: str) -> dict[str, Array]:
    """The outputs of `_by_onnx`, by name."""
    ids, words = torch.from_numpy(rows.ids), torch.from_numpy(rows.word_ids)
    with torch.no_grad():
        logits, representation = (x.numpy() for x in model.encode(model.embed(ids), words > -2))
    chosen = torch.from_numpy(np.where(rows.classes < 0, logits.argmax(1), rows.classes))
    out = {"logits": logits, "representation": representation}
    out = {} if modified else out | {f"forward_{k}": v for k, v in out.items()}
    for kind in [modified] if modified else PLAIN:
        scores = saliency(model, ids, words, chosen, kind, output)[1].numpy()
        beyond = np.zeros((len(scores), rows.ids.shape[1] - scores.shape[1]), np.float32)
        out[f"saliency_{kind}"] = np.concatenate([scores, beyond], 1)
    return out | ({f"{modified}_logits": logits} if modified else {})


def _row_differences(first: dict[str, Array], second: dict[str, Array]) -> dict[str, Array]:
    """The largest difference of each row, (rows,) for each output."""
    return {name: np.abs(first[name] - value).max(1) for name, value in second.items()}


def _exceeds(diff: dict[str, Array], allowed: dict[str, float]) -> Array:
    """(rows,) whether any output differs by more than allowed, or is NaN."""
    exceeds: Array = np.any([~(value <= allowed[name]) for name, value in diff.items()], axis=0)
    return exceeds


def _same_tokens(first: Tokens, second: Tokens) -> None:
    for name in ("ids", "word_ids", "starts", "counts"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise ValueError(
                f"the saved tokenizer gives other {name} than the classifier's: nothing was written; report the "
                "tokenizer's kind and the versions of tokenizers and transformers"
            )


def _plain_pieces(tokenizer: Any) -> list[str]:
    # letters and digits only: position marks (##, Ġ, ▁) are removed
    pieces = {"".join(c for c in piece if c.isascii() and c.isalnum()) for piece in tokenizer.tokenizer.get_vocab()}
    return sorted(pieces - {""})


def _mean_ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - (counts - 1) / 2)[inverse]
    return ranks
