"""The model registry: one version for each run, with its tags."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pct.auditing.kept import REGISTERED, AuditSummary, find_version
from pct.layout import CHAMPION
from pct.metrics.learned import beside_largest_class, differ_by_more_than_chance, saved_label_counts
from pct.metrics.report import Report
from pct.settings import Settings
from pct.training.runs import Run, settings_hash
from pipelines.champion import MARGIN, champion_rule, lost_champion, read_versions, update_champion, why

AUDIT = "Audit of the explanations "  # how its line in a version's description begins
# Settings that say how explanations are measured, and their values before they were settings.
MEASURED_BY = {"words": "spaces", "removal": "delete", "windows": ""}


def model_name(settings: Settings) -> str:
    """pct-<corpus>-<model>, the registered model of a run.

    Folders and hub names with the same last part differ by six characters of a hash of the whole name.
    """
    short = settings.model_name
    if short != settings.model:
        whole = str(Path(settings.model).resolve()) if Path(settings.model).exists() else settings.model
        short = f"{short}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"pct-{settings.corpus}-{short}")


def check_name(name: str) -> None:
    """Raises ValueError for a name that MLflow refuses for a registered model; an empty one is no name."""
    if name and (not name.strip() or re.search(r"[/:]", name)):
        raise ValueError(f"name of the registered model must have no / or : and not be blank, got {name!r}")


def version_tags(run: Run, margin: float) -> dict[str, str]:
    """The tags of a run's version: what the rule needs, and what a reader wants to know first."""
    s, corpus = run.settings, run.about["corpus"]
    reports, described = {"validation": run.validation, "test": run.test}, corpus.get("splits", {})
    tags: dict[str, str] = {}
    for split, report in reports.items():
        tags |= measured_tags(s, run.about["weights"], split, report, described.get(split), margin)
    return tags | {"measure": _measure(s, corpus["fingerprint"]), "test_says": _test_says(run)}


def _test_says(run: Run) -> str:
    """The test accuracy of a version in words, or its error; validation chooses the champion."""
    corpus = run.about["corpus"]
    if run.settings.has_number:
        return f"on the test split its mean absolute error is {run.test.mae:.4g}"
    text = f"on the test split its accuracy is {run.test.acc:.4f}"
    if counts := saved_label_counts(corpus, "test"):
        text += f", {beside_largest_class(run.test.acc, counts)}"
    if splits_differ(run):
        text += f", and differs from validation ({run.validation.acc:.4f}) by more than chance"
    return text


def splits_differ(run: Run) -> bool:
    """Whether the accuracies on validation and test differ by more than chance."""
    sizes = run.about["corpus"]["sizes"]
    both = [(report.acc, sizes.get(name, 0)) for name, report in (("validation", run.validation), ("test", run.test))]
    return all(n for _, n in both) and differ_by_more_than_chance(*both)


def measured_tags(
    s: Settings, weights: str, split: str, report: Report, described: dict[str, Any] | None, margin: float,
    limit: int = 0,
) -> dict[str, str]:  # fmt: skip
    """The tags of a model that was measured on some texts; of the validation split, also those that the rule needs.

    split: the name of the texts' split. described: their fingerprint and label counts (`pct.corpora.fingerprints`);
    runs of version 0.1.0 have none. limit: of the measured texts; 0 for none. A model of a number has no accuracy, so
    that the rule does not choose it.
    """
    tags = {
        "method": s.method,
        "seed": str(s.seed),
        "settings_hash": settings_hash(s),
        "weights": weights,
        **_score(split, report),
        f"{split}_comp_minus_suff": f"{report.gaps['comp-suff']:.6f}",
    }
    if split != "validation":
        return tags
    tags |= {
        "limited": str(bool(s.limit or s.measure_limit or limit)).lower(),
        "validation_comp_minus_suff_se": f"{math.hypot(report.errors['comp'], report.errors['suff']):.6f}",
        "champion_rule": champion_rule(margin),
        "champion_margin": f"{margin:g}",
    }
    if described:
        tags["measured_on"] = _measure(s, described["fingerprint"])
        if counts := described["labels"].values():
            tags["largest_class"] = f"{max(counts) / sum(counts):.6f}"
    return tags


def _score(split: str, report: Report) -> dict[str, str]:
    """The accuracy, or of a number the error, as a tag."""
    name = next(name for name in ("acc", "mae") if name in report.metrics)
    return {f"{split}_{name}": f"{report.metrics[name]:.6f}"}


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


def tag_audit(client: Any, uri: str, audited: AuditSummary) -> str:
    """Adds the judgement of an audit to a version of a registered model: as tags, and as a line of its description.

    Args:
        client: MLflow's.
        uri: models:/<name>/<version> or models:/<name>@<alias>.
        audited: the judgement.

    Returns:
        models:/<name>/<version>; for a model that is not registered nothing is written, and it is empty.
    """
    match = REGISTERED.fullmatch(uri)
    if match is None:
        return ""
    version = find_version(client, match["name"], match["alias"], match["version"])
    name, number = match["name"], str(version.version)
    for key, value in audited.to_tags().items():
        client.set_model_version_tag(name, number, key, value)
    client.update_model_version(name, number, with_verdict(version.description or "", audited))
    return f"models:/{name}/{number}"


def with_verdict(description: str, audited: AuditSummary) -> str:
    """A version's description with the verdict of an audit as its last line, in place of an earlier one."""
    lines = [line for line in description.splitlines() if not line.startswith(AUDIT)]
    return "\n".join([*lines, f"{AUDIT}({audited.texts} texts): {audited.verdict}"])


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version. champion: whether it is the champion; reason: why, in words."""

    name: str
    version: int
    champion: bool
    reason: str

    @property
    def uri(self) -> str:
        """models:/<name>/<version>."""
        return f"models:/{self.name}/{self.version}"

    def __str__(self) -> str:
        """The URI, and whether and why it is the champion."""
        return f"{self.uri} {'is' if self.champion else 'is not'} @champion: {self.reason}"


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
    """Registers a version, makes the model if it is missing, and sets the champion by the rule.

    A version of the same weights and settings is found again.
    """
    _make_model(client, name, settings)
    same = ("weights", "settings_hash")
    registered = [int(v.version) for v in read_versions(client, name) if all(v.tags.get(k) == tags[k] for k in same)]
    if registered:
        version = min(registered)
        for key, value in tags.items():
            client.set_model_version_tag(name, str(version), key, value)
    else:
        new = client.create_model_version(name, source, run_id, tags=tags, model_id=model_id, await_creation_for=60)
        version = int(new.version)
        if model_id:
            # as MLflow's own registration does: the model's page names its version
            versions = json.dumps([{"name": name, "version": version}])
            client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
    lost = lost_champion(client, name)
    champion = update_champion(client, name, margin)
    reason = why(client, name, version, margin)
    if lost:
        reason += f". {lost}; {f'version {champion} is the champion now' if champion else 'no other version is fit'}"
    return RegisteredVersion(name, version, champion == version, reason)


def _make_model(client: Any, name: str, settings: Settings) -> None:
    from mlflow.exceptions import MlflowException

    what = f"{settings.model_name} on {settings.corpus}" if settings.corpus else settings.model_name
    text = f"Text classifiers ({what}). @{CHAMPION}: {champion_rule(MARGIN)}."
    try:
        client.create_registered_model(name, description=text)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
