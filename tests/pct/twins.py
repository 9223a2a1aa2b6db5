"""Slow, obvious twins of the library's formulas: loops over texts and words, float64, texts as lists of strings.

Nothing here takes a shortcut, and nothing here uses the code that it is held against; where a model is asked, it is
asked about one text at a time.
"""

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


def without(words: Sequence[str], removed: Sequence[int]) -> list[str]:
    """The words but those."""
    return [word for place, word in enumerate(words) if place not in set(removed)]


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
    actual = {"n": n, "label": gold, "predicted": label, "acc": float(label == gold), "f_x": whole[label]}
    rest = (
        "comp", "suff", "ir", "ur", "i_var", "u_var", "i_var_aligned", "u_var_aligned", "comp_aopc", "suff_aopc",
        "ir_rate", "ur_rate",
    )  # fmt: skip
    if n == 1:
        return actual | dict.fromkeys(rest, math.nan)
    saliency = asked.saliency(words, label)
    for important, share, drop, flip, var in (
        (True, p_important, "comp", "ir", "i_var"),
        (False, p_unimportant, "suff", "ur", "u_var"),
    ):
        order = recomputed_order(asked, words, label, important) if recomputed else removal_order(saliency, important)

        def drop_after(t: int, order: list[int] = order) -> float:
            return whole[label] - asked.probabilities(without(words, order[:t]))[label]

        drops = [drop_after(t) for t in range(1, how_many(n, share) + 1)]
        actual[drop] = sum(drops) / len(drops)
        actual[f"{drop}_aopc"] = sum(drop_after(how_many(n, s)) for s in AOPC) / len(AOPC)
        flips = [t for t in range(1, n) if asked.predicted(without(words, order[:t])) != label]
        actual[flip], actual[f"{flip}_rate"] = flips[0] if flips else n - 1, float(bool(flips))
        actual[var], actual[f"{var}_aligned"] = rank_variance(asked, words, saliency, order[0], label)
    return actual


def rank_variance(
    asked: Asked, words: Sequence[str], saliency: Sequence[float], removed: int, label: int
) -> tuple[float, float]:
    """The mean of (d - d')^2 over the words left, with d as in the whole text, and with d among the words left."""
    left = [w for w in range(len(words)) if w != removed]
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


def rationale(saliency: Sequence[float], marks: Sequence[int], share: float) -> dict[str, float]:
    """Average precision, token F1 and IOU F1; NaN without a marked word."""
    if not any(marks):
        return dict.fromkeys(("rationale_auprc", "rationale_f1", "rationale_iou_f1"), math.nan)
    area, recall = 0.0, 0.0
    for threshold in sorted(set(saliency), reverse=True):
        taken = [mark for value, mark in zip(saliency, marks, strict=True) if value >= threshold]
        area += (sum(taken) / sum(marks) - recall) * sum(taken) / len(taken)
        recall = sum(taken) / sum(marks)
    top = top_words(saliency, share)
    hits = sum(marks[word] for word in top)
    f1 = 0.0 if not hits else 2 / (len(top) / hits + sum(marks) / hits)
    return {"rationale_auprc": area, "rationale_f1": f1, "rationale_iou_f1": iou_f1(top, marks)}


def top_words(saliency: Sequence[float], share: float) -> list[int]:
    """The predicted rationale: the share of the words, rounded up, at least one."""
    return removal_order(saliency, True)[: max(math.ceil(share * len(saliency) - 1e-9), 1)]


def iou_f1(top: Sequence[int], marks: Sequence[int]) -> float:
    """Spans as sets of words, each pair compared."""
    predicted = spans({word for word in range(len(marks)) if word in top})
    marked = spans({word for word, mark in enumerate(marks) if mark})
    precise = sum(any(len(p & m) / len(p | m) >= 0.5 for m in marked) for p in predicted)
    recalled = sum(any(len(p & m) / len(p | m) >= 0.5 for p in predicted) for m in marked)
    precision, recall = precise / len(predicted), recalled / len(marked)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def spans(words: set[int]) -> list[set[int]]:
    """The maximal runs of words."""
    out: list[set[int]] = []
    for word in sorted(words):
        if word - 1 in words:
            out[-1].add(word)
        else:
            out.append({word})
    return out


def average_precision_by_chance(n: int, k: int) -> float:
    """The expected average precision of k marked words of n in a random order."""
    harmonic = sum(1 / t for t in range(1, n + 1))
    return 1.0 if n == 1 else ((k - 1) + (n - k) * harmonic / n) / (n - 1)
