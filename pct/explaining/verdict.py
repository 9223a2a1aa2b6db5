"""Whether a text's saliency and confidence agree: healthy, pathological, or undecided, and why. numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pct.text.tokens import Doubles, Ints

HEALTHY, UNDECIDED, PATHOLOGICAL = "healthy", "undecided", "pathological"
VERDICTS = (PATHOLOGICAL, UNDECIDED, HEALTHY)
TOLERANCE = 0.01  # of confidence: a smaller difference of comp and suff says nothing about a confident text
DECIDED = 0.5  # of the way from chance to certainty: below it the tolerance is larger
LEAST_DECIDED = 0.05  # below it the prediction is a draw: neither its flips nor its confidence says anything
FEWEST_WORDS = 3  # no order of one or two words can be judged


@dataclass(frozen=True)
class Verdict:
    """kind: one of VERDICTS. reasons: what the two curves show, one sentence each; never empty."""

    kind: str
    reasons: tuple[str, ...]


def tolerances(confidence: Doubles, classes: int) -> Doubles:
    """The least difference of comp and suff that says something, for each text.

    With e = (f - 1/C) / (1 - 1/C), the part of the way from chance to certainty that the prediction f among C classes
    has covered, it is `TOLERANCE` for e >= 1/2, TOLERANCE / (2 e) below, and infinite for e < 1/20.

    The closer a prediction is to a draw, the more the removal of any word changes it, salient or not: the difference
    of comp in two random orders has a standard deviation of .16 for a TextCNN on movie reviews where f < .65, .12 for
    f in .75 to .95, and .02 for f > .99; with 77 classes, .010 where f is .035 to .05. The tolerance grows with that
    spread, depends on the confidence alone, and needs no pass of the model.

    Args:
        confidence: (texts,) in the class that is predicted; NaN where a number is explained: it has no scale by which a
            difference could be judged, so there is no verdict.
        classes: C.

    Returns:
        (texts,) float; NaN for NaN.
    """
    decided = (np.asarray(confidence, np.float64) - 1 / classes) / (1 - 1 / classes)
    scaled = TOLERANCE * np.maximum(1.0, DECIDED / np.maximum(decided, LEAST_DECIDED))
    return np.where(decided < LEAST_DECIDED, np.inf, scaled)


def verdict_scores(
    comp: Doubles,
    suff: Doubles,
    important: Ints,
    unimportant: Ints,
    counts: Ints,
    tolerance: Doubles | float = TOLERANCE,
) -> Ints:
    """The verdicts of many texts: 1 healthy, -1 pathological, 0 undecided.

    Healthy where comp > suff by more than the tolerance and fewer important than unimportant words flip the prediction;
    pathological where comp < suff by more than it, or fewer unimportant ones do. A side that never flips the prediction
    counts N - 1, as in ir and ur, so that the smaller of two counts is always an observed flip.

    Args:
        comp: (texts,) comprehensiveness; NaN where a text has none.
        suff: (texts,) sufficiency.
        important: (texts,) important words removed when the prediction first changes, 0 where it never does.
        unimportant: (texts,) the same for unimportant words.
        counts: (texts,) N.
        tolerance: (texts,) see `tolerances`; a text without a finite one is undecided.

    Returns:
        (texts,) int.
    """
    gap = comp - suff
    ir, ur = (np.where(flips > 0, flips, counts - 1) for flips in (important, unimportant))
    judged = (counts >= FEWEST_WORDS) & np.isfinite(gap) & np.isfinite(tolerance)
    sick = judged & ((gap < -tolerance) | (ur < ir))
    sound = judged & (gap > tolerance) & (ir < ur)
    return sound.astype(np.int64) - sick.astype(np.int64)


def judge(
    comp: float,
    suff: float,
    important: int | None,
    unimportant: int | None,
    words: int,
    tolerance: float = TOLERANCE,
    new_classes: tuple[str | None, str | None] = (None, None),
) -> Verdict:
    """The verdict on one text, with its reasons.

    Args:
        comp: see `verdict_scores`, also for the next four; None or 0 where nothing flips.
        suff: sufficiency.
        important: important words removed when the prediction changes.
        unimportant: the same for unimportant words.
        words: N.
        tolerance: that of the text; see `tolerances`. NaN where a number is explained.
        new_classes: the class to which the prediction changes on either side, where it changes.
    """
    flips = [np.array([flip or 0]) for flip in (important, unimportant)]
    score = verdict_scores(np.array([comp]), np.array([suff]), flips[0], flips[1], np.array([words]), tolerance)
    kind = VERDICTS[int(score[0]) + 1]
    if words < FEWEST_WORDS:
        return Verdict(kind, (f"no order of {'two words' if words == 2 else 'one word'} can be judged",))
    if np.isnan(comp) or np.isnan(suff):
        return Verdict(kind, ("no word was removed: no order can be judged",))
    if np.isnan(tolerance):
        drops = _confidence_reason(comp, suff, tolerance, "the number")
        return Verdict(kind, (drops, "a number has no scale by which this difference could be judged"))
    by_confidence = _confidence_reason(comp, suff, tolerance, "the confidence")
    by_flips = _flips_reason(important, unimportant, words, new_classes)
    if not np.isfinite(tolerance):
        draw = "the prediction is close to a draw between the classes: the effect of any removal on it is chance"
        return Verdict(kind, (draw, by_confidence, by_flips))
    if kind != PATHOLOGICAL:
        return Verdict(kind, (by_confidence, by_flips))
    reasons = []
    if comp - suff < -tolerance:
        reasons.append(by_confidence)
    if (unimportant or words - 1) < (important or words - 1):
        reasons.append(by_flips)
    return Verdict(kind, tuple(reasons))


def _confidence_reason(comp: float, suff: float, tolerance: float, what: str) -> str:
    within_tolerance = ""
    if abs(comp - suff) <= tolerance < np.inf:
        unsure = "" if tolerance == TOLERANCE else ", the tolerance for a prediction as unsure as this"
        within_tolerance = f": they differ by no more than {tolerance:.2g}{unsure}"
    return (
        f"removing the most salient words {_change(comp, what)}, removing the least salient {_change(suff, 'it')} "
        f"(comp {comp:z.3f}, suff {suff:z.3f}){within_tolerance}"
    )


def _change(drop: float, what: str) -> str:
    if abs(drop) < 0.0005:
        return f"leaves {what} as it is"
    return f"{'lowers' if drop > 0 else 'raises'} {what} by {abs(drop):.3f}"


def _flips_reason(
    important: int | None, unimportant: int | None, words: int, new_classes: tuple[str | None, str | None]
) -> str:
    if not important and not unimportant:
        return "no removal, in either order, changes the prediction"
    to_first, to_second = (f" (to {name})" if name else "" for name in new_classes)
    first = f"changes the prediction after {important}{to_first}" if important else "never changes the prediction"
    second = f"after {unimportant}{to_second}" if unimportant else "never"
    does = f"does {second}" if not important else f"{second}{'' if unimportant else ' does'}"
    tie = ""
    if (important or words - 1) == (unimportant or words - 1):
        both = important and unimportant
        tie = ": neither comes first" if both else ", with one word left, which does not count as a difference"
    return f"removing the most salient words {first}, removing the least salient {does}{tie}"
