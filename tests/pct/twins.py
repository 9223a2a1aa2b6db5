"""Slow, obvious twins of the library's formulas: loops over texts and words, float64, texts as lists of strings.

Nothing here takes a shortcut, and nothing here uses the code that it is held against; where a model is asked, it is
asked about one text at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

AOPC = ("0.01", "0.05", "0.1", "0.2", "0.5")


# --- reduction ---------------------------------------------------------------------------------------------------


def how_many(n: int, share: float | str) -> int:
    """m = ceil(share N), at least 1, at most N - 1. The share is the decimal number as it is written."""
    return min(max(math.ceil(Fraction(str(share)) * n), 1), n - 1)


def removal_order(saliency: Sequence[float], important: bool) -> list[int]:
    """Word indices in the order in which they go; ties by position."""
    return sorted(range(len(saliency)), key=lambda w: (-saliency[w] if important else saliency[w], w))


def without(words: Sequence[str], gone: Sequence[int]) -> list[str]:
    """The words but those."""
    return [word for place, word in enumerate(words) if place not in set(gone)]


def reduced(words: Sequence[str], order: Sequence[int], steps: int) -> list[list[str]]:
    """The texts after 1, 2, .. steps removals."""
    return [without(words, order[:t]) for t in range(1, steps + 1)]


def rank(saliency: Sequence[float], word: int) -> int:
    """1 for the most salient word."""
    return removal_order(saliency, True).index(word) + 1


# --- metrics -----------------------------------------------------------------------------------------------------


class Asked:
    """One text at a time of a predictor, as a string."""

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor

    def probabilities(self, words: Sequence[str]) -> list[float]:
        return [float(x) for x in self.predictor.predict([" ".join(words)])[0]]

    def predicted(self, words: Sequence[str]) -> int:
        scores = self.probabilities(words)
        return scores.index(max(scores))

    def saliency(self, words: Sequence[str], label: int) -> list[float]:
        return [float(x) for x in self.predictor.saliency([" ".join(words)], [label])[0]]


def recomputed_order(asked: Asked, words: Sequence[str], label: int, important: bool) -> list[int]:
    """Input reduction: one word goes, the rest is ranked again."""
    left, order = list(range(len(words))), []
    while len(left) > 1:
        saliency = asked.saliency([words[w] for w in left], label)
        order.append(left.pop(removal_order(saliency, important)[0]))
    return order + left


def metrics(
    predictor: Any, words: Sequence[str], gold: int, p_important: float, p_unimportant: float, recomputed: bool
) -> dict[str, float]:
    """Every metric of one text, by the definitions; NaN where a text of one word has none."""
    asked, n = Asked(predictor), len(words)
    whole = asked.probabilities(words)
    label = whole.index(max(whole))
    found = {"n": n, "label": gold, "predicted": label, "acc": float(label == gold), "f_x": whole[label]}
    rest = (
        "comp", "suff", "ir", "ur", "i_var", "u_var", "i_var_aligned", "u_var_aligned", "comp_aopc", "suff_aopc",
        "ir_rate", "ur_rate",
    )  # fmt: skip
    if n == 1:
        return found | dict.fromkeys(rest, math.nan)
    saliency = asked.saliency(words, label)
    for important, share, drop, flip, var in (
        (True, p_important, "comp", "ir", "i_var"),
        (False, p_unimportant, "suff", "ur", "u_var"),
    ):
        order = recomputed_order(asked, words, label, important) if recomputed else removal_order(saliency, important)

        def drop_after(t: int, order: list[int] = order) -> float:
            return whole[label] - asked.probabilities(without(words, order[:t]))[label]

        drops = [drop_after(t) for t in range(1, how_many(n, share) + 1)]
        found[drop] = sum(drops) / len(drops)
        found[f"{drop}_aopc"] = sum(drop_after(how_many(n, s)) for s in AOPC) / len(AOPC)
        flips = [t for t in range(1, n) if asked.predicted(without(words, order[:t])) != label]
        found[flip], found[f"{flip}_rate"] = flips[0] if flips else n - 1, float(bool(flips))
        found[var], found[f"{var}_aligned"] = rank_variance(asked, words, saliency, order[0], label)
    return found


def rank_variance(
    asked: Asked, words: Sequence[str], saliency: Sequence[float], gone: int, label: int
) -> tuple[float, float]:
    """The mean of (d - d')^2 over the words left, with d as in the whole text, and with d among the words left."""
    left = [w for w in range(len(words)) if w != gone]
    after = asked.saliency([words[w] for w in left], label)
    literal = [(rank(saliency, w) - rank(after, place)) ** 2 for place, w in enumerate(left)]
    close = [saliency[w] for w in left]
    aligned = [(rank(close, place) - rank(after, place)) ** 2 for place in range(len(left))]
    return sum(literal) / len(left), sum(aligned) / len(left)


# --- losses ------------------------------------------------------------------------------------------------------


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / (math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b)))


def contrastive(rows: Sequence[Sequence[float]], sets: Sequence[int], temperature: float) -> float:
    """Eq. 6, the mean over the rows that have a partner in their set and somebody outside it."""
    losses = []
    for p, mine in enumerate(sets):
        near = [j for j, s in enumerate(sets) if s == mine and j != p]
        far = [j for j, s in enumerate(sets) if s != mine]
        if near and far:
            numerator = sum(math.exp(cosine(rows[p], rows[j]) / temperature) for j in near)
            denominator = sum(math.exp(cosine(rows[p], rows[j]) / temperature) for j in far)
            losses.append(-math.log(numerator / denominator))
    return sum(losses) / len(losses) if losses else 0.0


def softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    exps = [math.exp(z - top) for z in logits]
    return [x / sum(exps) for x in exps]


def entropy(logits: Sequence[Sequence[float]]) -> float:
    """The mean of -sum p log p over rows, in nats."""
    return sum(-sum(p * math.log(p) for p in softmax(row) if p > 0) for row in logits) / len(logits)


def cross_entropy(logits: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    return sum(-math.log(softmax(row)[c]) for row, c in zip(logits, labels, strict=True)) / len(labels)


# --- saliency ----------------------------------------------------------------------------------------------------


def score(logits: Sequence[float], label: int, of: str) -> float:
    """What saliency differentiates."""
    if of == "logit":
        return logits[label]
    if of == "probability":
        return softmax(logits)[label]
    return logits[label] - math.log(sum(math.exp(z) for c, z in enumerate(logits) if c != label))


def finite_differences(function: Callable[[Any], list[float]], point: Any, step: float = 1e-5) -> Any:
    """The gradient at a float64 tensor `point` of any shape; `function` takes a stack of points, (n, *shape)."""
    import torch

    flat = torch.eye(point.numel(), dtype=point.dtype).reshape(-1, *point.shape) * step
    up, down = function(point + flat), function(point - flat)
    slopes = [(u - d) / (2 * step) for u, d in zip(up, down, strict=True)]
    return torch.tensor(slopes, dtype=point.dtype).reshape(point.shape)


def of_words(
    gradient: Sequence[Sequence[float]], embeddings: Sequence[Sequence[float]], words: Sequence[int], kind: str
) -> list[float]:
    """Gradients at tokens -> one number a word."""
    out = []
    for word in range(max(words) + 1):
        mine = [t for t, w in enumerate(words) if w == word]
        if kind == "l2":
            out.append(math.sqrt(sum(g * g for t in mine for g in gradient[t])))
        elif kind == "l1":
            out.append(sum(abs(g) for t in mine for g in gradient[t]))
        else:
            out.append(sum(g * e for t in mine for g, e in zip(gradient[t], embeddings[t], strict=True)))
    return out


# --- rationales --------------------------------------------------------------------------------------------------


def rationale(saliency: Sequence[float], marks: Sequence[int]) -> tuple[float, float]:
    """Precision among the k most salient words and average precision; NaN without a marked word."""
    order, k = removal_order(saliency, True), sum(marks)
    if not k:
        return math.nan, math.nan
    precision = sum(marks[w] for w in order[:k]) / k
    hits = [sum(marks[w] for w in order[: t + 1]) / (t + 1) for t, w in enumerate(order) if marks[w]]
    return precision, sum(hits) / k
