"""The rule that chooses the champion among the versions of a registered model, and its reasons in words."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

MARGIN = 0.01
TIE = 1e-9  # accuracies that are exactly a margin apart count as within it, whatever the rounding


@dataclass(frozen=True)
class Candidate:
    """A version or a trial, by what the rule needs.

    Attributes:
        version: its number; a larger one is newer.
        accuracy: on the validation split: the test split evaluates the champion, so it must not choose it.
        gap: comp - suff, on the validation split too.
        measured_on: keys of the texts and of how they were measured; only versions that share one are compared.
        limited: trained or measured on a part of the corpus.
        floor: the share of the largest class, which a champion's accuracy must exceed; -1 where it is not known.
    """

    version: int
    accuracy: float
    gap: float
    measured_on: frozenset[str] = frozenset({""})
    limited: bool = False
    floor: float = -1.0

    @property
    def unfit(self) -> str:
        """Why it cannot be the champion; empty where it can."""
        if not (math.isfinite(self.accuracy) and math.isfinite(self.gap)):
            return "its accuracy or comp - suff on the validation split is not finite"
        if self.accuracy <= self.floor + TIE:
            return (
                f"its accuracy {self.accuracy:.4f} is not better than the share of the largest class, {self.floor:.4f}"
            )
        return ""

    def alike(self, other: Candidate) -> bool:
        """Whether both were measured on the same texts in the same way."""
        return not self.measured_on.isdisjoint(other.measured_on)


def check_margin(margin: float) -> None:
    """Raises ValueError for a margin outside [0, 1]."""
    if not 0 <= margin <= 1:
        raise ValueError(f"champion_margin must be in [0, 1] (0.01 is one point of accuracy), got {margin}")


def champion_rule(margin: float) -> str:
    """The rule in words, as each version has it as a tag."""
    return (
        f"largest comp - suff among the versions whose accuracy is within {margin:g} of the best, "
        "both on the validation split, and better than the share of the largest class"
    )


def choose_champion(
    candidates: Collection[Candidate], margin: float = MARGIN, champion: int | None = None
) -> Candidate | None:
    """The champion: the largest comp - suff among the versions whose accuracy is within `margin` of the best.

    Only versions that were measured alike are compared: alike with the present champion or, where there is none, with
    the newest version. Versions of a part of the corpus (`limited`) count only where there is no other. Of equal
    gaps the present champion's counts, then the older version's.

    Returns:
        None where no candidate is fit: its numbers are not finite, or no better than the share of the largest class.
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
        return "there was no version to compare it with"
    best = max(c.accuracy for c in (mine, *rivals))
    others = "the other version" if len(rivals) == 1 else f"{len(rivals)} others"
    return (
        f"among it and {others} measured alike, its comp - suff {mine.gap:.4f} is the largest within {margin:g} of the "
        f"best accuracy, {best:.4f}"
    )


def why_not_champion(candidates: Collection[Candidate], mine: Candidate, first: Candidate | None, margin: float) -> str:
    """Why a version is not the champion. first: the champion, None where there is none."""
    if mine.unfit:
        return mine.unfit
    if first is None:
        return "no champion is chosen"
    if mine.limited and not first.limited:
        return f"it had a part of the corpus (limit), version {first.version} the whole: they are not compared"
    if not mine.alike(first):
        return (
            f"it and version {first.version} were measured differently (validation texts, words, saliency or what is "
            "removed), so they are not compared"
        )
    best = max(c.accuracy for c in candidates if c.alike(mine) and c.limited == mine.limited and not c.unfit)
    if mine.accuracy < best - margin - TIE:
        return f"its accuracy {mine.accuracy:.4f} is more than {margin:g} below the best, {best:.4f}"
    return f"its comp - suff {mine.gap:.4f} is not larger than {first.gap:.4f} of version {first.version}"
