"""The model registry: a version a run, and the rule by which one of them is the champion."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pct.training.runs import Run, settings_hash

CHAMPION = "champion"
MARGIN = 0.01


@dataclass(frozen=True)
class Candidate:
    """A version as the rule sees it. accuracy and gap (comp - suff) are of the validation split: the test split judges
    the champion, so it must not choose it. measure: what both were measured on and how; only equal ones are compared.
    limited: trained or measured on a part of the corpus."""

    version: int
    accuracy: float
    gap: float
    measure: str
    limited: bool = False


def choose_champion(
    candidates: list[Candidate], margin: float = MARGIN, champion: int | None = None
) -> Candidate | None:
    """The champion: the largest comp - suff among the versions whose accuracy is within `margin` of the best.

    Only versions that were measured alike are compared: alike with the present champion or, where there is none, with
    the newest version. Quick looks at a part of the corpus (`limited`) count only while there is nothing else. Equal
    gaps leave the present champion, then the older version. None where there is no candidate.
    """
    pool = [c for c in candidates if not c.limited] or list(candidates)
    if not pool:
        return None
    reference = next((c for c in pool if c.version == champion), max(pool, key=lambda c: c.version))
    alike = [c for c in pool if c.measure == reference.measure]
    best = max(c.accuracy for c in alike)
    # a margin of a point must hold for accuracies that are a point apart, whatever their last bit says
    close = [c for c in alike if c.accuracy >= best - margin - 1e-9]
    return max(close, key=lambda c: (c.gap, c.version == champion, -c.version))


def check_margin(margin: float) -> None:
    """Raises ValueError for a margin outside [0, 1]."""
    if not 0 <= margin <= 1:
        raise ValueError(f"champion_margin must be in [0, 1] (0.01 is one point of accuracy), got {margin}")


def champion_rule(margin: float) -> str:
    """The rule in words, as it stands on each version."""
    return (
        f"largest comp - suff among the versions whose accuracy is within {margin:g} of the best, "
        "both on the validation split"
    )


def model_name(run: Run) -> str:
    """pct-<corpus>-<model>, the registered model of a run."""
    return f"pct-{run.settings.corpus}-{run.settings.model_name}"


def version_tags(run: Run, margin: float) -> dict[str, str]:
    """What stands on a version: what the rule needs, and what a reader asks first."""
    s = run.settings
    return {
        "method": s.method,
        "seed": str(s.seed),
        "settings_hash": settings_hash(s),
        "weights": run.about["weights"],
        "limited": str(bool(s.limit)).lower(),
        "measure": measured_on(run),
        "validation_acc": f"{run.validation.acc:.6f}",
        "validation_comp_minus_suff": f"{run.validation.gaps['comp-suff']:.6f}",
        "test_acc": f"{run.test.acc:.6f}",
        "test_comp_minus_suff": f"{run.test.gaps['comp-suff']:.6f}",
        "champion_rule": champion_rule(margin),
        "champion_margin": f"{margin:g}",
    }


def measured_on(run: Run) -> str:
    """Eight characters that are equal where two runs' validation metrics may be compared."""
    s = run.settings
    how = [run.about["corpus"]["fingerprint"], s.saliency, s.saliency_of, s.order, *s.measured_shares]
    if s.saliency == "integrated_gradients":
        how.append(s.integrated_steps)
    return hashlib.sha256(json.dumps([*how, s.max_length]).encode()).hexdigest()[:8]


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
    client: Any, run: Run, source: str, model_id: str | None, run_id: str | None, margin: float = MARGIN
) -> RegisteredVersion:
    """The run's version of its registered model, made if there is none, and the champion by the rule.

    Called again for the same run it finds the version that is there.
    """
    name = model_name(run)
    _make_model(client, name, run)
    tags = version_tags(run, margin)
    same = ("weights", "settings_hash")
    found = [v for v in _versions(client, name) if all(v.tags.get(k) == tags[k] for k in same)]
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
    champion, reason = update_champion(client, name, version, margin)
    return RegisteredVersion(name, version, champion, reason)


def update_champion(client: Any, name: str, version: int, margin: float) -> tuple[bool, str]:
    """Puts the alias where the rule wants it. Returns whether `version` is the champion, and why."""
    before = _champion(client, name)
    current = before
    # Two runs that end together each see the registry at their own moment: after a move the registry is read again,
    # until what it says and where the alias is agree.
    for _ in range(10):
        candidates = _candidates(client, name)
        chosen = choose_champion(candidates, margin, current)
        if chosen is None or chosen.version == current:
            break
        client.set_registered_model_alias(name, CHAMPION, str(chosen.version))
        current = chosen.version
    return current == version, _reason(_candidates(client, name), version, before, current, margin)


def _reason(candidates: list[Candidate], version: int, before: int | None, now: int | None, margin: float) -> str:
    by_version = {c.version: c for c in candidates}
    mine, first = by_version.get(version), by_version.get(now or -1)
    if mine is None or first is None:
        return "the version has not the tags that the rule needs"
    if now == version:
        alone = [c for c in candidates if c.measure == mine.measure and c.version != version]
        if before == version:
            return "it was the champion and stays it"
        if not alone or before is None:
            return "there was none to compare it with"
        return (
            f"comp - suff {mine.gap:.4f} is the largest within {margin:g} of the best accuracy; it was version {before}"
        )
    if mine.limited and not first.limited:
        return f"a part of the corpus (limit) does not compete with version {now}, which had it whole"
    if mine.measure != first.measure:
        return f"it was measured otherwise than version {now} (corpus or saliency), so they are not compared"
    alike = [c.accuracy for c in candidates if c.measure == mine.measure and c.limited == mine.limited]
    if mine.accuracy < max(alike) - margin - 1e-9:
        return f"its accuracy {mine.accuracy:.4f} is more than {margin:g} below the best, {max(alike):.4f}"
    return f"its comp - suff {mine.gap:.4f} is not larger than {first.gap:.4f} of version {now}"


def _make_model(client: Any, name: str, run: Run) -> None:
    from mlflow.exceptions import MlflowException

    text = (
        f"Text classifiers on {run.settings.corpus} ({run.settings.model_name}). @{CHAMPION}: {champion_rule(MARGIN)}."
    )
    try:
        client.create_registered_model(name, description=text)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(client: Any, name: str) -> list[Any]:
    out: list[Any] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
        out += page
        token = page.token
        if not token:
            return out


def _candidates(client: Any, name: str) -> list[Candidate]:
    out = []
    for v in _versions(client, name):
        try:
            out.append(
                Candidate(
                    int(v.version),
                    float(v.tags["validation_acc"]),
                    float(v.tags["validation_comp_minus_suff"]),
                    v.tags["measure"],
                    v.tags["limited"] == "true",
                )
            )
        except (KeyError, ValueError):
            continue  # a version that other hands made
    return out


def _champion(client: Any, name: str) -> int | None:
    version = client.get_registered_model(name).aliases.get(CHAMPION)
    return None if version is None else int(version)
