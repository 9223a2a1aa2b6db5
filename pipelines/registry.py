"""The model registry: a version a run, what stands on it, and the alias of the champion."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pct.metrics.report import Report
from pct.settings import Settings
from pct.training.runs import Run, settings_hash
from pipelines.champion import (
    MARGIN,
    Candidate,
    champion_rule,
    choose_champion,
    why_champion,
    why_not_champion,
)

CHAMPION = "champion"
PROMOTED = "pct.promoted"  # "<version> of <the newest then>": what was there already is passed over from then on
# Settings that say how explanations are measured, and their values before they were settings.
MEASURED_BY = {"words": "spaces", "removal": "delete"}


def model_name(settings: Settings) -> str:
    """pct-<corpus>-<model>, the registered model of a run.

    Folders and hub names that end alike are told apart by six characters of the whole name: `.../model` is no name.
    """
    short = settings.model_name
    if short != settings.model:
        whole = str(Path(settings.model).resolve()) if Path(settings.model).exists() else settings.model
        short = f"{short}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"pct-{settings.corpus}-{short}")


def check_name(name: str) -> None:
    """Raises ValueError for a name that MLflow takes for no registered model; empty is not given."""
    if name and (not name.strip() or re.search(r"[/:]", name)):
        raise ValueError(f"name of the registered model must have no / or : and not be blank, got {name!r}")


def version_tags(run: Run, margin: float) -> dict[str, str]:
    """What stands on a run's version: what the rule needs, and what a reader asks first."""
    s, corpus = run.settings, run.about["corpus"]
    tags = measured_tags(s, run.about["weights"], run.validation, corpus.get("splits", {}).get("validation"), margin)
    return tags | {
        "limited": str(bool(s.limit)).lower(),
        "measure": _measure(s, corpus["fingerprint"]),
        "test_acc": f"{run.test.acc:.6f}",
        "test_comp_minus_suff": f"{run.test.gaps['comp-suff']:.6f}",
    }


def measured_tags(
    s: Settings, weights: str, report: Report, split: dict[str, Any] | None, margin: float
) -> dict[str, str]:
    """What the rule needs of a model that was measured on some texts.

    split: their fingerprint and label counts (`pct.corpora.fingerprints`); runs of version 0.1.0 have none.
    """
    tags = {
        "method": s.method,
        "seed": str(s.seed),
        "settings_hash": settings_hash(s),
        "weights": weights,
        "limited": "false",
        "validation_acc": f"{report.acc:.6f}",
        "validation_comp_minus_suff": f"{report.gaps['comp-suff']:.6f}",
        "validation_comp_minus_suff_se": f"{math.hypot(report.errors['comp'], report.errors['suff']):.6f}",
        "champion_rule": champion_rule(margin),
        "champion_margin": f"{margin:g}",
    }
    if split:
        tags["measured_on"] = _measure(s, split["fingerprint"])
        tags["largest_class"] = f"{max(split['labels'].values()) / sum(split['labels'].values()):.6f}"
    return tags


def _measure(s: Settings, fingerprint: str) -> str:
    """Eight characters that are equal where two runs' validation metrics may be compared."""
    how = [
        fingerprint,
        s.saliency,
        s.saliency_of,
        s.order,
        *s.measured_shares,
        *([] if s.removal == "delete" else [s.removal]),
    ]
    if s.saliency == "integrated_gradients":
        how.append(s.integrated_steps)
    later = {k: v for k, before in MEASURED_BY.items() if (v := getattr(s, k, before)) != before}
    return hashlib.sha256(json.dumps([*how, s.max_length, *later.items()]).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version. champion: whether it is; reason: why it is or is not, in words."""

    name: str
    version: int
    champion: bool
    reason: str

    @property
    def uri(self) -> str:
        """models:/<name>/<version>."""
        return f"models:/{self.name}/{self.version}"


def register(
    client: Any, run: Run, source: str, model_id: str | None, run_id: str | None, margin: float = MARGIN, name: str = ""
) -> RegisteredVersion:
    """The run's version of its registered model, see `register_version`. name: `model_name` where empty."""
    name = name or model_name(run.settings)
    return register_version(client, name, run.settings, version_tags(run, margin), source, model_id, run_id, margin)


def register_version(
    client: Any, name: str, settings: Settings, tags: dict[str, str], source: str, model_id: str | None,
    run_id: str | None, margin: float = MARGIN,
) -> RegisteredVersion:  # fmt: skip
    """A version of a registered model, both made if they are missing, and the champion by the rule.

    Called again for the same weights and settings it finds the version that is there.
    """
    _make_model(client, name, settings)
    same = ("weights", "settings_hash")
    found = [v for v in read_versions(client, name) if all(v.tags.get(k) == tags[k] for k in same)]
    if found:
        version = min(int(v.version) for v in found)
        for key, value in tags.items():
            client.set_model_version_tag(name, str(version), key, value)
    else:
        made = client.create_model_version(name, source, run_id, tags=tags, model_id=model_id, await_creation_for=60)
        version = int(made.version)
        if model_id:
            # as MLflow's own registration does it: the model's page names its version
            there = json.dumps([{"name": name, "version": version}])
            client.set_logged_model_tags(model_id, {"mlflow.modelVersions": there})
    champion = update_champion(client, name, margin)
    return RegisteredVersion(name, version, champion == version, why(client, name, version, margin))


def update_champion(client: Any, name: str, margin: float = MARGIN) -> int | None:
    """Puts the alias where the rule wants it. Returns the champion's version, None where there is none.

    A version whose numbers are not finite does not keep the alias, whoever gave it.
    """
    current = champion_of(client, name)
    # Two runs that end together each see the registry at their own moment: after a move the registry is read again,
    # until what it says and where the alias is agree.
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
    return current


def promote(client: Any, name: str, version: int, below_floor: bool = False) -> None:
    """Makes a version the champion whatever the rule says; from then on only newer versions may unseat it.

    below_floor: also where it is no better than always the largest class. Raises ValueError for a version that does
    not exist, has not the tags that the rule needs, or is unfit.
    """
    versions = read_versions(client, name)
    known = {c.version: c for v in versions if (c := _candidate(v)) is not None}
    if version not in known:
        there = ", ".join(str(n) for n in sorted(known)) or "none"
        raise ValueError(f"{name} has no version {version} that this project registered; there are: {there}")
    mine = known[version]
    if problem := (replace(mine, floor=-1.0) if below_floor else mine).unfit:
        hint = "" if replace(mine, floor=-1.0).unfit else "; --anyway makes it the champion all the same"
        raise ValueError(f"version {version} of {name} cannot be the champion: {problem}{hint}")
    newest = max(int(v.version) for v in versions)
    client.set_registered_model_tag(name, PROMOTED, f"{version} of {newest}")
    client.set_registered_model_alias(name, CHAMPION, str(version))


def choose_again(client: Any, name: str) -> int | None:
    """Takes a promotion back: the rule chooses among all versions. Returns the champion's version."""
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
    """The margin that the newest of the versions was registered with."""
    return next((float(v.tags["champion_margin"]) for v in versions if "champion_margin" in v.tags), MARGIN)


def why(client: Any, name: str, version: int, margin: float = MARGIN) -> str:
    """Why a version is the champion, or why not and what would make it one."""
    candidates = {c.version: c for c in read_candidates(client, name)}
    champion = champion_of(client, name)
    promoted = _promotion(client, name)
    if promoted and promoted[0] == version == champion:
        return "it was promoted by hand"
    if version not in candidates:
        if promoted and version <= promoted[1]:
            return f"version {promoted[0]} was promoted by hand when it was there already"
        return "the version has not the tags that the rule needs"
    mine, first = candidates[version], candidates.get(champion or -1)
    if version == champion:
        return why_champion(candidates.values(), mine, margin)
    reason = why_not_champion(candidates.values(), mine, first, margin)
    if first and not mine.unfit and not mine.alike(first) and mine.limited <= first.limited:
        reason += f"; to make it the champion: pct promote {name} {version}; to keep them apart: --name"
    return reason


def read_versions(client: Any, name: str) -> list[Any]:
    """All versions of a registered model, newest first."""
    out: list[Any] = []
    token = None
    query = _name_is(name)
    while True:
        page = client.search_model_versions(query, max_results=200, page_token=token)
        out += [v for v in page if v.name == name]
        token = page.token
        if not token:
            return sorted(out, key=lambda v: -int(v.version))


def is_registered(client: Any, name: str) -> bool:
    """Whether there is a registered model of that name."""
    return any(m.name == name for m in client.search_registered_models(_name_is(name), max_results=1000))


def _name_is(name: str) -> str:
    """MLflow's filter for a name. It knows no escapes: a name that has both kinds of quotes cannot be asked for."""
    quote = next((q for q in "'\"" if q not in name), "")
    return f"name = {quote}{name}{quote}" if quote else ""


def read_candidates(client: Any, name: str) -> list[Candidate]:
    """The versions among which the rule chooses, newest first: not those that a promotion passed over."""
    found = [c for v in read_versions(client, name) if (c := _candidate(v)) is not None]
    promoted = _promotion(client, name)
    if promoted is None or all(c.version != promoted[0] for c in found):
        return found
    # what was promoted is fit by its user's word
    by_hand = [replace(c, floor=-1.0) for c in found if c.version == promoted[0]]
    return [c for c in found if c.version > promoted[1]] + by_hand


def champion_of(client: Any, name: str) -> int | None:
    """The version that has the alias."""
    version = client.get_registered_model(name).aliases.get(CHAMPION)
    return None if version is None else int(version)


def _promotion(client: Any, name: str) -> tuple[int, int] | None:
    """The version that was promoted by hand, and the newest one then."""
    found = re.fullmatch(r"(\d+) of (\d+)", client.get_registered_model(name).tags.get(PROMOTED, ""))
    return (int(found[1]), int(found[2])) if found else None


def _candidate(version: Any) -> Candidate | None:
    """None for a version that other hands made."""
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


def _make_model(client: Any, name: str, settings: Settings) -> None:
    from mlflow.exceptions import MlflowException

    what = f"{settings.model_name} on {settings.corpus}" if settings.corpus else settings.model_name
    text = f"Text classifiers ({what}). @{CHAMPION}: {champion_rule(MARGIN)}."
    try:
        client.create_registered_model(name, description=text)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
