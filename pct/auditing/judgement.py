"""The judgement of an audit.

A saliency beats a random order where its margin is at least `LEAST_MARGIN`, and the intervals of margin and win lie
above 0 and .5. The level of these intervals is corrected for the number of saliencies and removals (Bonferroni), since
all of them are judged at once. Fewer than `FEWEST_TEXTS` texts are not judged: the bootstrap over so few is too narrow.
Two saliencies are compared by the interval of the paired difference of their margins; where it lies above 0 but below
`LEAST_MARGIN`, the difference is too small to matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from pct.auditing.plan import CONTROL
from pct.metrics.bootstrap import FEWEST_TEXTS, LEVEL, Interval, interval_of, intervals_of
from pct.output.audit_table import in_words
from pct.output.numbers import number, percent, spell
from pct.text.plurals import plural
from pct.text.tokens import Doubles, Ints

# of confidence; a smaller margin does not count, even if it is significantly above 0. Of a number: of the standard
# deviation of the model's numbers over the texts
LEAST_MARGIN = 0.01
WINS, MARGIN, COMP = "win", "margin", "comp"

Cells = Mapping[tuple[str, str], Mapping[str, Doubles]]


@dataclass(frozen=True)
class Judgement:
    """The judgement of an audit.

    Attributes:
        best: the saliency to show; empty where none beats a random order.
        removal: the removal that decided.
        ties: the saliencies that are as good as the best: the difference of the margins is not significantly above 0,
            or significantly below `LEAST_MARGIN`.
        holds: the removals under which the best one beats a random order.
        beats: for each removal, the saliencies that beat a random order, the largest margin first.
        worse: the saliencies whose margin is significantly below 0.
        best_of_one_pass: the best saliency that needs at most one pass; empty where none of these beats a random order.
        learned: whether the model is significantly better than its most frequent class; None where the labels are
            unknown.
        verdict: the judgement in sentences.
        advice: what the owner of the model can do, in sentences.
    """

    best: str
    removal: str
    ties: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    beats: dict[str, list[str]] = field(default_factory=dict)
    worse: list[str] = field(default_factory=list)
    best_of_one_pass: str = ""
    learned: bool | None = None
    verdict: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)


class _Unit(NamedTuple):
    """What comp and the margin are measured in, and the least margin that counts."""

    name: str = "confidence"
    least: float = LEAST_MARGIN


def judge_audit(
    cells: Cells,
    passes: Mapping[str, float],
    accuracy: Interval | None,
    largest_share: float | None,
    shown: str = "",
    seeded: Sequence[str] = (),
    deviation: float | None = None,
    groups: Ints | None = None,
) -> Judgement:
    """The judgement of an audit.

    Args:
        cells: for each (saliency, removal), by metric, (texts,) numbers. The first removal under which a saliency beats
            a random order decides.
        passes: the passes per text of each saliency.
        accuracy: with its interval; None where the labels are unknown.
        largest_share: the share of the most frequent true class; None where the labels are unknown.
        shown: the saliency that explains the model at present.
        seeded: the saliencies that depend on a seed: of two that tie, one that does not is preferred.
        deviation: of a model that gives a number, the standard deviation of its numbers; None for classes.
        groups: (texts,) of several labels, the text of each explained pair: see `intervals_of`.
    """
    unit = _Unit() if deviation is None else _Unit("number", LEAST_MARGIN * deviation)
    removals = list(dict.fromkeys(removal for _, removal in cells))
    names = [name for name in dict.fromkeys(name for name, _ in cells) if name != CONTROL]
    strict = 1 - (1 - LEVEL) / max(len(names) * len(removals), 1)
    measured = np.isfinite(next(iter(cells.values()))[MARGIN])
    texts = int(measured.sum()) if groups is None else len(np.unique(groups[measured]))
    keys = [(name, removal) for removal in removals for name in names]
    margins, wins = (_intervals(cells, keys, metric, strict, groups) for metric in (MARGIN, WINS))
    beats: dict[str, list[str]] = {}
    for removal in removals:
        passed = [
            name for name in names
            if texts >= FEWEST_TEXTS and (margin := margins[name, removal]).value >= unit.least and margin.low > 0
            and wins[name, removal].low > 0.5
        ]  # fmt: skip
        beats[removal] = sorted(passed, key=lambda name: -margins[name, removal].value)
    deciding = next((removal for removal in removals if beats[removal]), removals[0])
    worse = [name for name in names if texts >= FEWEST_TEXTS and margins[name, deciding].high < 0]
    learned = None
    if accuracy is not None and largest_share is not None and largest_share < 1:  # more than one class
        learned = accuracy.low > largest_share
    chosen, ties = _choose(cells, beats[deciding], deciding, passes, seeded, unit, groups)
    cheap = [name for name in beats[deciding] if passes[name] <= 1]
    judgement = Judgement(
        best=chosen,
        removal=deciding,
        ties=ties,
        holds=[removal for removal in removals if chosen in beats[removal]],
        beats=beats,
        worse=worse,
        best_of_one_pass=cheap[0] if cheap else "",
        learned=learned,
    )
    comp = _intervals(cells, [(name, deciding) for name in names], COMP, LEVEL, groups)
    flat = bool(names) and max(x.high for x in comp.values()) < unit.least
    if texts < FEWEST_TEXTS:
        few = (
            f"{plural(texts, 'text')} of two words or more, fewer than {FEWEST_TEXTS}: too few to judge an explanation."
        )
        return replace(judgement, verdict=[few], advice=["Give more texts."])
    one_class = ["The texts have only one class, so the accuracy says nothing about the model."]
    sentences = _verdict(judgement, cells, removals, accuracy, largest_share, flat, passes, unit, groups)
    return replace(
        judgement,
        verdict=[*one_class, *sentences] if largest_share == 1 else sentences,
        advice=_advice(judgement, shown, flat, margins),
    )


def _intervals(
    cells: Cells, keys: Sequence[tuple[str, str]], metric: str, level: float, groups: Ints | None
) -> dict[tuple[str, str], Interval]:
    """The interval of a metric in some cells, by (saliency, removal)."""
    if not keys:
        return {}
    table = np.stack([cells[key][metric] for key in keys], 1).astype(np.float64)
    return dict(zip(keys, intervals_of(table, level, groups), strict=True))


def _choose(
    cells: Cells, beating: list[str], removal: str, passes: Mapping[str, float], seeded: Sequence[str], unit: _Unit,
    groups: Ints | None,
) -> tuple[str, list[str]]:  # fmt: skip
    """The saliency to show and those that are as good.

    Among those that are as good as the one with the largest margin, the one with the fewest passes is chosen; of these
    one without a seed is preferred.
    """
    if not beating:
        return "", []
    first = cells[beating[0], removal][MARGIN]
    rest = beating[1:]
    table = np.stack([first - cells[name, removal][MARGIN] for name in rest], 1) if rest else np.zeros((len(first), 0))
    equal = [
        name for name, x in zip(rest, intervals_of(table, groups=groups), strict=True)
        if x.low <= 0 or x.high < unit.least
    ] if rest else []  # fmt: skip
    group = [beating[0], *equal]
    chosen = min(group, key=lambda name: (passes[name], name in seeded, beating.index(name)))
    return chosen, [name for name in group if name != chosen]


def _verdict(
    judgement: Judgement, cells: Cells, removals: Sequence[str], accuracy: Interval | None, largest: float | None,
    flat: bool, passes: Mapping[str, float], unit: _Unit, groups: Ints | None,
) -> list[str]:  # fmt: skip
    sentences = []
    worse = [f"Worse than a random order: {_list(judgement.worse)}."] if judgement.worse else []
    if accuracy is None and unit.name == "confidence":
        sentences.append("The labels are unknown: the accuracy of the model was not measured.")
    if judgement.learned is False and accuracy is not None:
        sentences.append(
            f"The model is not significantly better than its most frequent class: accuracy {spell(accuracy)}, largest "
            f"class {largest:.3f}. An explanation is faithful to the model, not to the truth: do not use one to "
            "justify a decision of this model."
        )
    if not judgement.best:
        sentences.append(
            "No saliency beats a random order on these texts, of those that were measured: explanations of this model "
            "should not be shown."
        )
        if flat:
            sentences.append(
                f"The {unit.name} hardly depends on the words: for every saliency, removing the words that it ranks "
                f"highest lowers the {unit.name} by less than {unit.least:.2g}."
            )
        return [*sentences, *worse]
    cell = cells[judgement.best, judgement.removal]
    sentences.append(
        f"Show {judgement.best}. Removing the words that it ranks highest lowers the {unit.name} by "
        f"{spell(interval_of(cell[MARGIN], groups))} more than removing as many random words; it beats a random order "
        f"in {percent(interval_of(cell[WINS], groups))} of the comparisons."
    )
    missing = [removal for removal in removals if removal not in judgement.holds]
    if missing:
        sentences.append(f"This holds with {_ways(judgement.holds)}; it was not found with {_ways(missing)}.")
    elif len(removals) > 1:
        sentences.append(f"This holds with {_ways(removals)}.")
    if judgement.ties:
        sentences.append(
            f"As good on these texts (the margins do not significantly differ, or by less than {unit.least:.2g}): "
            f"{_list(judgement.ties)}."
        )
    one = judgement.best_of_one_pass
    if one and passes[judgement.best] > 1 and one != judgement.best:
        less = interval_of(cell[MARGIN] - cells[one, judgement.removal][MARGIN], groups)
        sentences.append(
            f"The best saliency that needs one pass is {one}: its margin is {spell(less)} smaller; {judgement.best} "
            f"needs {passes[judgement.best]:.0f} passes per text."
        )
    return [*sentences, *worse]


def _advice(
    judgement: Judgement, shown: str, flat: bool, margins: Mapping[tuple[str, str], Interval]
) -> list[str]:  # fmt: skip
    if judgement.learned is False:
        return [
            "Audit more texts; if the accuracy is then still not significantly above the share of the most frequent "
            "class, train the model further."
        ]
    if not judgement.best:
        if flat:
            return ["No saliency can help here, and further training changes what the model reads, not how it is read."]
        return [
            "Audit more texts, or by the budget all; `pct finetune` trains the model further (docs/results.md has its "
            "cost and gain by kind of model)."
        ]
    if shown and shown not in (judgement.best, *judgement.ties):
        own = margins.get((shown, judgement.removal))
        margin = "" if own is None else f", whose margin is {number(own.value)}"
        return [
            f"Today the model is explained by {shown}{margin}. {judgement.best} needs no training: "
            f"saliency={judgement.best!r} in Python, --saliency {judgement.best} on the command line."
        ]
    by = f"{shown}, " if shown else ""
    good = "the best saliency" if shown in ("", judgement.best) else "which is as good as the best"
    return [f"Nothing has to be changed: the model is explained by {by}{good}."]


def _ways(removals: Sequence[str]) -> str:
    return _list([in_words(removal) for removal in removals])


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
