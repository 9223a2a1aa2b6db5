"""The rule by which one version of a registered model is the champion, and its reasons in words."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

MARGIN = 0.01
TIE = 1e-9  # a margin of a point must hold for accuracies that are a point apart, whatever their last bit says


@dataclass(frozen=True)
class Candidate:
    """A version, or a trial, as the rule sees it.

    Attributes:
        version: its number; a larger one is newer.
        accuracy: on the validation split: the test split judges the champion, so it must not choose it.
        gap: comp - suff, on the validation split too.
        measured_on: keys of what both were measured on and how; only versions that share one are compared.
        limited: trained or measured on a part of the corpus.
        floor: the accuracy of always the largest class, which a champion must exceed; -1 where it is not known.
    """

    version: int
    accuracy: float
    gap: float
    measured_on: frozenset[str] = frozenset({""})
    limited: bool = False
    floor: float = -1.0

    @property
    def unfit(self) -> str:
        """Why it can never be the champion; empty where it can."""
        if not (math.isfinite(self.accuracy) and math.isfinite(self.gap)):
            return "its accuracy or comp - suff on the validation split is not finite"
        if self.accuracy <= self.floor + TIE:
            return f"its accuracy {self.accuracy:.4f} is not better than always the largest class, {self.floor:.4f}"
        return ""

    def alike(self, other: Candidate) -> bool:
        """Whether both were measured on the same texts in the same way."""
        return not self.measured_on.isdisjoint(other.measured_on)


def check_margin(margin: float) -> None:
    """Raises ValueError for a margin outside [0, 1]."""
    if not 0 <= margin <= 1:
        raise ValueError(f"champion_margin must be in [0, 1] (0.01 is one point of accuracy), got {margin}")


def champion_rule(margin: float) -> str:
    """The rule in words, as it stands on each version."""
    return (
        f"largest comp - suff among the versions whose accuracy is within {margin:g} of the best, "
        "both on the validation split, and better than always the largest class"
    )


def choose_champion(
    candidates: Collection[Candidate], margin: float = MARGIN, champion: int | None = None
) -> Candidate | None:
    """The champion: the largest comp - suff among the versions whose accuracy is within `margin` of the best.

    Only versions that were measured alike are compared: alike with the present champion or, where there is none, with
    the newest version. Quick looks at a part of the corpus (`limited`) count only while there is nothing else. Equal
    gaps leave the present champion, then the older version.

    Returns:
        None where no candidate is fit: numbers that are not finite, or no better than always the largest class.
    """
    fit = [c for c in candidates if not c.unfit]
    pool = [c for c in fit if not c.limited] or fit
    if not pool:
        return None
    reference = next((c for c in pool if c.version == champion), max(pool, key=lambda c: c.version))
    alike = [c for c in pool if c.alike(reference)]
    best = max(c.accuracy for c in alike)
    close = [c for c in alike if c.accuracy >= best - margin - TIE]
    return max(close, key=lambda c: (c.gap, c.version == champion, -c.version))


def why_champion(candidates: Collection[Candidate], mine: Candidate, margin: float) -> str:
    """Why a version is the champion."""
    rivals = [c for c in candidates if c.alike(mine) and c.version != mine.version and not c.unfit]
    if not rivals:
        return "there was none to compare it with"
    best = max(c.accuracy for c in (mine, *rivals))
    others = "the other version" if len(rivals) == 1 else f"{len(rivals)} others"
    return (
        f"of it and {others} measured alike, its comp - suff {mine.gap:.4f} is the largest within {margin:g} of the "
        f"best accuracy, {best:.4f}"
    )


def why_not_champion(candidates: Collection[Candidate], mine: Candidate, first: Candidate | None, margin: float) -> str:
    """Why a version is not the champion, which is `first`; None where there is none."""
    if mine.unfit:
        return mine.unfit
    if first is None:
        return "no champion is chosen"
    if mine.limited and not first.limited:
        return f"a part of the corpus (limit) does not compete with version {first.version}, which had it whole"
    if not mine.alike(first):
        return (
            f"it was measured otherwise than version {first.version} (validation texts, words, saliency or what is "
            "removed), so they are not compared"
        )
    best = max(c.accuracy for c in candidates if c.alike(mine) and c.limited == mine.limited and not c.unfit)
    if mine.accuracy < best - margin - TIE:
        return f"its accuracy {mine.accuracy:.4f} is more than {margin:g} below the best, {best:.4f}"
    return f"its comp - suff {mine.gap:.4f} is not larger than {first.gap:.4f} of version {first.version}"
