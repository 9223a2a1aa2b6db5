"""Whether a text's saliency and confidence agree: healthy, pathological, or undecided, and why. numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

HEALTHY, UNDECIDED, PATHOLOGICAL = "healthy", "undecided", "pathological"
VERDICTS = (PATHOLOGICAL, UNDECIDED, HEALTHY)
TOLERANCE = 0.01  # of confidence: a smaller difference between comp and suff says nothing
FEWEST_WORDS = 3  # of one or two words no order can be judged


@dataclass(frozen=True)
class Verdict:
    """kind: one of VERDICTS. reasons: what the two curves show, a sentence each; never empty."""

    kind: str
    reasons: tuple[str, ...]


def verdict_scores(comp: Doubles, suff: Doubles, important: Ints, unimportant: Ints, counts: Ints) -> Ints:
    """The verdicts of many texts: 1 healthy, -1 pathological, 0 undecided.

    Healthy where comp > suff by more than `TOLERANCE` and fewer important than unimportant words flip the prediction;
    pathological where comp < suff by more than it, or fewer unimportant ones do. A side that never flips it counts
    N - 1, as ir and ur do, so that the fewer of two has always been seen.

    Args:
        comp: (texts,) comprehensiveness; NaN where a text has none.
        suff: (texts,) sufficiency.
        important: (texts,) important words removed when the prediction first changes, 0 where it never does.
        unimportant: (texts,) the same for unimportant words.
        counts: (texts,) N.

    Returns:
        (texts,) int.
    """
    gap = comp - suff
    ir, ur = (np.where(flips > 0, flips, counts - 1) for flips in (important, unimportant))
    judged = (counts >= FEWEST_WORDS) & np.isfinite(gap)
    sick = judged & ((gap < -TOLERANCE) | (ur < ir))
    sound = judged & (gap > TOLERANCE) & (ir < ur)
    return sound.astype(np.int64) - sick.astype(np.int64)


def judge(comp: float, suff: float, important: int | None, unimportant: int | None, words: int) -> Verdict:
    """The verdict on one text, in words. Arguments as in `verdict_scores`; None or 0 where nothing flips."""
    flips = [np.array([flip or 0]) for flip in (important, unimportant)]
    score = verdict_scores(np.array([comp]), np.array([suff]), flips[0], flips[1], np.array([words]))
    kind = VERDICTS[int(score[0]) + 1]
    if words < FEWEST_WORDS:
        return Verdict(kind, (f"of {'two words' if words == 2 else 'one word'} no order can be judged",))
    if np.isnan(comp) or np.isnan(suff):
        return Verdict(kind, ("no word was removed: no order can be judged",))
    by_confidence, by_flips = _confidence_said(comp, suff), _flips_said(important, unimportant, words)
    if kind != PATHOLOGICAL:
        return Verdict(kind, (by_confidence, by_flips))
    reasons = []
    if comp - suff < -TOLERANCE:
        reasons.append(by_confidence)
    if (unimportant or words - 1) < (important or words - 1):
        reasons.append(by_flips)
    return Verdict(kind, tuple(reasons))


def _confidence_said(comp: float, suff: float) -> str:
    near = "" if abs(comp - suff) > TOLERANCE else f": they differ by no more than {TOLERANCE}"
    return (
        f"removing the most salient words {_change(comp)}, removing the least salient {_change(suff, 'it')} "
        f"(comp {comp:.3f}, suff {suff:.3f}){near}"
    )


def _change(drop: float, what: str = "the confidence") -> str:
    if abs(drop) < 0.0005:
        return f"leaves {what} as it is"
    return f"{'lowers' if drop > 0 else 'raises'} {what} by {abs(drop):.3f}"


def _flips_said(important: int | None, unimportant: int | None, words: int) -> str:
    if not important and not unimportant:
        return "no removal, in either order, changes the prediction"
    first = f"changes the prediction after {important}" if important else "never changes the prediction"
    second = f"after {unimportant}" if unimportant else "never"
    does = f"does {second}" if not important else f"{second}{'' if unimportant else ' does'}"
    tie = ": neither comes first" if (important or words - 1) == (unimportant or words - 1) else ""
    return f"removing the most salient words {first}, removing the least salient {does}{tie}"
