"""The champion among the versions of a registered model: the rule, the alias in the registry, the reasons in words.

The rule or a user sets the alias.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from pct.layout import CHAMPION
from pipelines.connection import search_pages

MARGIN = 0.01
TIE = 1e-9  # accuracies that are exactly a margin apart count as within it, whatever the rounding
PROMOTED = "pct.promoted"  # "<version> of <the newest then>": the versions up to that one no longer compete
LAST = "pct.champion"  # the version that had the alias last: MLflow deletes the alias with the version


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


def update_champion(client: Any, name: str, margin: float = MARGIN) -> int | None:
    """Sets the alias by the rule. Returns the champion's version, None where there is none.

    A version whose numbers are not finite loses the alias, even one that was promoted by hand.
    """
    current = champion_of(client, name)
    # Two runs that end at once may read different states: after each change the registry is read again, until the
    # alias agrees with the rule.
    for _ in range(10):
        candidates = read_candidates(client, name)
        chosen = choose_champion(candidates, margin, current)
        if chosen is None:
            if any(c.version == current for c in candidates):
                client.delete_registered_model_alias(name, CHAMPION)
                current = None
            break
        if chosen.version == current:
            break
        client.set_registered_model_alias(name, CHAMPION, str(chosen.version))
        current = chosen.version
    _remember(client, name, current)
    return current


def promote(client: Any, name: str, version: int, below_floor: bool = False) -> None:
    """Makes a version the champion whatever the rule says; from then on only newer versions may replace it.

    below_floor: even one that is no better than the share of the largest class. Raises ValueError for a version that
    does not exist, lacks the tags that the rule needs, or is unfit.
    """
    versions = read_versions(client, name)
    candidates = {c.version: c for v in versions if (c := _candidate(v)) is not None}
    if version not in candidates:
        numbers = ", ".join(str(n) for n in sorted(candidates)) or "none"
        raise ValueError(
            f"{name} has no version {version} that this project registered with its accuracy on a validation split; "
            f"there are: {numbers}"
        )
    mine = candidates[version]
    if problem := (replace(mine, floor=-1.0) if below_floor else mine).unfit:
        hint = "" if replace(mine, floor=-1.0).unfit else "; --force makes it the champion in any case"
        raise ValueError(f"version {version} of {name} cannot be the champion: {problem}{hint}")
    newest = max(int(v.version) for v in versions)
    client.set_registered_model_tag(name, PROMOTED, f"{version} of {newest}")
    client.set_registered_model_alias(name, CHAMPION, str(version))
    _remember(client, name, version)


def choose_again(client: Any, name: str) -> int | None:
    """Undoes a promotion: the rule chooses among all versions. Returns the champion's version."""
    if _promotion(client, name):
        client.delete_registered_model_tag(name, PROMOTED)
    margin = margin_of(read_versions(client, name))
    if chosen := choose_champion(read_candidates(client, name), margin):
        client.set_registered_model_alias(name, CHAMPION, str(chosen.version))
    return update_champion(client, name, margin)


def delete_version(client: Any, name: str, version: int) -> None:
    """Deletes a version; where it was the champion, the rule chooses among the others. Raises ValueError."""
    versions = read_versions(client, name)
    if all(int(v.version) != version for v in versions):
        raise ValueError(f"{name} has no version {version}; pct models {name} lists what is there")
    client.delete_model_version(name, str(version))
    update_champion(client, name, margin_of(versions))


def margin_of(versions: list[Any]) -> float:
    """The margin with which the newest of the versions was registered."""
    return next((float(v.tags["champion_margin"]) for v in versions if "champion_margin" in v.tags), MARGIN)


def why(client: Any, name: str, version: int, margin: float = MARGIN) -> str:
    """Why a version is the champion, with its test accuracy; or why it is not, and how to make it the champion."""
    reason = _reason(client, name, version, margin)
    if version != champion_of(client, name):
        return reason
    tags: dict[str, str] = next((v.tags for v in read_versions(client, name) if int(v.version) == version), {})
    return "; ".join(filter(None, (reason, tags.get("test_says", ""))))


def _reason(client: Any, name: str, version: int, margin: float) -> str:
    candidates = {c.version: c for c in read_candidates(client, name)}
    champion = champion_of(client, name)
    promoted = _promotion(client, name)
    if promoted and promoted[0] == version == champion:
        return "it was promoted by hand"
    if version not in candidates:
        if promoted and version <= promoted[1]:
            return f"version {promoted[0]} was promoted by hand after this version was registered"
        return "it has no accuracy on a validation split, by which the rule chooses (a model of a number has none)"
    if champion is None and not candidates[version].unfit:
        return no_champion(client, name)
    mine, first = candidates[version], candidates.get(champion or -1)
    if version == champion:
        return why_champion(candidates.values(), mine, margin)
    reason = why_not_champion(candidates.values(), mine, first, margin)
    if first and not mine.unfit and not mine.alike(first) and mine.limited <= first.limited:
        reason += f"; to make it the champion: pct promote {name} {version}; to keep them apart: --name"
    return reason


def read_versions(client: Any, name: str) -> list[Any]:
    """All versions of a registered model, newest first."""
    versions = search_pages(client.search_model_versions, _name_is(name), max_results=200)
    return sorted((v for v in versions if v.name == name), key=lambda v: -int(v.version))


def _name_is(name: str) -> str:
    """MLflow's filter for a name. It has no escapes: a name with both kinds of quotes cannot be filtered."""
    quote = next((q for q in "'\"" if q not in name), "")
    return f"name = {quote}{name}{quote}" if quote else ""


def read_candidates(client: Any, name: str) -> list[Candidate]:
    """The versions among which the rule chooses, newest first, without those that a promotion excluded."""
    candidates = [c for v in read_versions(client, name) if (c := _candidate(v)) is not None]
    promoted = _promotion(client, name)
    if promoted is None or all(c.version != promoted[0] for c in candidates):
        return candidates
    # a user has decided that the promoted version is fit
    by_hand = [replace(c, floor=-1.0) for c in candidates if c.version == promoted[0]]
    return [c for c in candidates if c.version > promoted[1]] + by_hand


def champion_of(client: Any, name: str) -> int | None:
    """The version that has the alias."""
    version = client.get_registered_model(name).aliases.get(CHAMPION)
    return None if version is None else int(version)


def lost_champion(client: Any, name: str) -> str:
    """What happened to the champion where no version has the alias any more (MLflow's pages delete it); else empty."""
    last = client.get_registered_model(name).tags.get(LAST, "")
    if not last or champion_of(client, name) is not None:
        return ""
    exists = any(str(v.version) == last for v in read_versions(client, name))
    return f"version {last}, which was the champion, {'has lost the alias' if exists else 'was deleted'}"


def no_champion(client: Any, name: str) -> str:
    """Why a registered model has no champion, and the command that chooses one."""
    reason = lost_champion(client, name) or "no version is the champion"
    return f"{reason}: pct promote {name} lets the rule choose among the present versions"


def _remember(client: Any, name: str, champion: int | None) -> None:
    """Stores which version has the alias, so that its loss can be reported."""
    if client.get_registered_model(name).tags.get(LAST, "") != str(champion or ""):
        client.set_registered_model_tag(name, LAST, str(champion or ""))


def _promotion(client: Any, name: str) -> tuple[int, int] | None:
    """The version that was promoted by hand, and the newest one then."""
    promoted = re.fullmatch(r"(\d+) of (\d+)", client.get_registered_model(name).tags.get(PROMOTED, ""))
    return (int(promoted[1]), int(promoted[2])) if promoted else None


def _candidate(version: Any) -> Candidate | None:
    """None for a version that this project did not register."""
    tags = version.tags
    try:
        return Candidate(
            int(version.version),
            float(tags["validation_acc"]),
            float(tags["validation_comp_minus_suff"]),
            frozenset(tags[k] for k in ("measure", "measured_on") if k in tags),
            tags["limited"] == "true",
            float(tags.get("largest_class", -1)),
        )
    except (KeyError, ValueError):
        return None
