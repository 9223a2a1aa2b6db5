"""Slow, obvious twins of the control metrics, of the orders by beam and of removal by a stand-in: see `twins`."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.pct.twins import Asked, how_many, removal_order, without

Replace = Callable[[str], list[str]]


class Text:
    """One text that loses words; what was asked once is not asked again."""

    def __init__(self, predictor: Any, words: Sequence[str], replace: Replace | None = None) -> None:
        self.asked, self.words, self.replace = Asked(predictor), list(words), replace
        self.seen: dict[frozenset[int], list[float]] = {}
        whole = self.probabilities(())
        self.label = whole.index(max(whole))
        self.saliency = self.asked.saliency(self.words, self.label)

    def without(self, removed: Sequence[int]) -> list[str]:
        if self.replace is None:
            return without(self.words, removed)
        parts = [self.replace(w) if i in set(removed) else [w] for i, w in enumerate(self.words)]
        return [word for part in parts for word in part]

    def probabilities(self, removed: Sequence[int]) -> list[float]:
        key = frozenset(removed)
        if key not in self.seen:
            self.seen[key] = self.asked.probabilities(self.without(removed))
        return self.seen[key]

    def confidence(self, removed: Sequence[int]) -> float:
        return self.probabilities(removed)[self.label]

    def drop(self, removed: Sequence[int]) -> float:
        return self.confidence(()) - self.confidence(removed)

    def left(self, removed: Sequence[int]) -> list[int]:
        return [i for i in range(len(self.words)) if i not in set(removed)]

    def saliency_of_left(self, removed: Sequence[int]) -> dict[int, float]:
        """By place in the whole text. Of texts whose words are one token each, where words are replaced."""
        scores = self.asked.saliency(self.without(removed), self.label)
        left = self.left(removed)
        return {i: scores[i] for i in left} if self.replace else dict(zip(left, scores, strict=True))

    def flips_at(self, order: Sequence[int]) -> int:
        for t in range(1, len(self.words)):
            actual = self.probabilities(order[:t])
            if actual.index(max(actual)) != self.label:
                return t
        return 0


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def mean_drop(text: Text, order: Sequence[int], steps: int) -> float:
    return mean([text.drop(order[:t]) for t in range(1, steps + 1)])


# --- chance ------------------------------------------------------------------------------------------------------


def splitmix(x: int) -> int:
    full = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & full
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & full
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & full
    return x ^ (x >> 31)


def random_order(n: int, seed: int, place: int, number: int) -> list[int]:
    def key(word: int) -> int:
        return splitmix(splitmix(splitmix(seed ^ place) ^ number) ^ word) >> 1

    return sorted(range(n), key=key)


def chance(text: Text, place: int, p_important: float, p_unimportant: float, seed: int = 0) -> dict[str, float]:
    n = len(text.words)
    m = how_many(n, p_important)
    each = [mean_drop(text, random_order(n, seed, place, r), m) for r in range(5)]
    random = mean(each)
    comp = mean_drop(text, removal_order(text.saliency, True), m)
    suff = mean_drop(text, removal_order(text.saliency, False), how_many(n, p_unimportant))
    win = mean([0.5 if abs(comp - one) <= 1e-6 else float(comp > one) for one in each])
    return {"comp_random": random, "margin": comp - random, "suff_margin": random - suff, "win": win}


# --- normalised AOPC ---------------------------------------------------------------------------------------------


def bounds_of_all_orders(text: Text) -> tuple[float, float]:
    n = len(text.words)
    sums = [mean_drop(text, order, n - 1) for order in itertools.permutations(range(n))]
    return min(sums), max(sums)


def bounds_by_beam(text: Text, width: int = 5) -> tuple[float, float]:
    actual = []
    n = len(text.words)
    for sign in (-1, 1):
        beam = [(0.0, frozenset[int]())]
        for _ in range(n - 1):
            best: dict[frozenset[int], float] = {}
            for total, removed in beam:
                for word in text.left(list(removed)):
                    child = removed | {word}
                    best[child] = max(best.get(child, -math.inf), total + sign * text.drop(list(child)))
            beam = sorted(((total, removed) for removed, total in best.items()), key=lambda x: -x[0])[:width]
        actual.append(sign * beam[0][0] / (n - 1))
    return actual[0], actual[1]


def naopc(text: Text, bounds: tuple[float, float]) -> dict[str, float]:
    low, high = bounds
    n, out = len(text.words), {}
    for name, important in (("naopc_comp", True), ("naopc_suff", False)):
        aopc = mean_drop(text, removal_order(text.saliency, important), n - 1)
        out[name] = (aopc - low) / (high - low) if high > low else 0.0
    return out


# --- the others --------------------------------------------------------------------------------------------------


def tau_b(first: Sequence[float], second: Sequence[float], tie: float = 1e-6) -> float:
    both = one = other = 0
    for i, j in itertools.combinations(range(len(first)), 2):
        a = (first[i] > first[j]) - (first[i] < first[j])
        b = 0 if abs(second[i] - second[j]) <= tie else (1 if second[i] > second[j] else -1)
        both, one, other = both + a * b, one + abs(a), other + abs(b)
    return both / math.sqrt(one * other) if one and other else math.nan


def tau_loo(text: Text) -> float:
    return tau_b(text.saliency, [text.drop([i]) for i in range(len(text.words))])


def cosines(text: Text, p_important: float, p_unimportant: float) -> dict[str, float]:
    predictor, out = text.asked.predictor, []

    def representation(words: Sequence[str]) -> Any:
        ids, owner = predictor.tokens([list(words)]).rows(np.array([0]))
        return predictor.represent(ids, owner > -2)[1][0].astype(float)

    whole = representation(text.words)
    for important, share in ((True, p_important), (False, p_unimportant)):
        order, near = removal_order(text.saliency, important), []
        for t in range(1, how_many(len(text.words), share) + 1):
            rest = representation(text.without(order[:t]))
            near.append(float(whole @ rest / math.sqrt((whole @ whole) * (rest @ rest))))
        out.append(mean(near))
    return {"cos_important": out[0], "cos_unimportant": out[1], "separation": out[1] - out[0]}


def beam_order(text: Text, important: bool, width: int = 5) -> list[int]:
    """Partial removals, each continued by its `width` most extreme words; the `width` best of all go on."""
    sign = -1.0 if important else 1.0
    first = dict(enumerate(text.saliency))
    orders: list[tuple[int, ...]] = [()]
    for _ in range(len(text.words) - 1):
        children: list[tuple[float, tuple[int, ...]]] = []
        for order in orders:
            scores = text.saliency_of_left(order) if order else first
            for word in sorted(scores, key=lambda w: (sign * scores[w], w))[:width]:
                child = (*order, word)
                children.append((sign * text.confidence(child), child))
        kept: list[tuple[int, ...]] = []
        for _, child in sorted(children, key=lambda x: -x[0]):
            if all(set(child) != set(other) for other in kept):
                kept.append(child)
        orders = kept[:width]
    return [*orders[0], *text.left(orders[0])]
