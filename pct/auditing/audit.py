"""`pct.audit`: compares the saliencies of a model on the same texts and removals, and judges which one to show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pct.auditing.judgement import judge_audit
from pct.auditing.kept import model_digest
from pct.auditing.measure import Measured, job_digest, measure
from pct.auditing.plan import CONTROL, AuditPlan, make_plan
from pct.auditing.result import Audit, AuditRow
from pct.corpora.fingerprints import marks_fingerprint, split_fingerprint
from pct.corpora.rows import ReadOptions
from pct.corpora.splits import Split
from pct.explaining.explain import explain
from pct.explaining.predictor import Predictor, reading_of, removing, split_texts
from pct.explaining.reduced_texts import ReducedTexts
from pct.metrics.base import Column, share_of
from pct.metrics.bootstrap import Interval, interval_of, intervals_of
from pct.metrics.evaluation import read_measured
from pct.metrics.number_errors import number_errors
from pct.metrics.rationale import metrics_of_marks
from pct.opening import open_model
from pct.output.progress import progress_of
from pct.saliency.defaults import default_saliency
from pct.tasks import named_labels, task_of

EXAMPLES = 5  # texts that are shown
PROBED_TEXTS = 64  # texts whose predictions identify a function


def audit(
    predictor: Predictor | str | Path,
    data: Any,
    saliencies: Sequence[str] = (),
    budget: str = "usual",
    removals: Sequence[str] = (),
    limit: int = 0,
    seed: int = 0,
    progress: bool = False,
    parts: str | Path | None = None,
    text_column: str = "text",
    label_column: str = "label",
    labels: str = "names",
    on_bad_row: str = "error",
    name: str = "",
    label_separator: str = "",
    text_pair_column: str = "",
    remove: str | None = None,
    encoding: str = "",
) -> Audit:
    """Measures every saliency of a model on the same texts and judges which one to show, or that none should be.

    Args:
        predictor: the model, or its name: a folder, a name on the hub, runs:/<id>/model or models:/<name>@<alias>.
        data: texts and labels: a `datasets.Dataset`, a DataFrame, columns, a pair (texts, labels), a list of rows, a
            file's path, or a `Split`. Texts without labels (a list of strings or a table without the label column) are
            accepted; the accuracy is then unknown. A rationale column is used where there is one.
        saliencies: by name; where empty, those of the budget that the model allows. `random` is always measured.
        budget: cheap, usual or all: see `pct.auditing.plan.make_plan`.
        removals: delete, mask or unknown; the first under which a saliency beats a random order decides. Where empty:
            delete, and mask where the model supports it.
        limit: the most texts, drawn under the seed; 0 takes all.
        seed: of the texts that the limit draws, the random orders, and the random saliencies.
        progress: whether to show a progress bar, or lines where standard error is not a terminal.
        parts: a folder for finished blocks: an audit that was stopped continues from them.
        text_column: of the data.
        label_column: of the data.
        labels: `names`, or `indices` where labels are indices into the list of classes.
        on_bad_row: `error`, or `skip`.
        name: the name of the model in the result.
        label_separator: see `pct.evaluate`.
        text_pair_column: of the data: the second texts of pairs; where empty, text_pair where there is one.
        remove: of pairs: whose words are ranked and removed, first, second or both; None takes that of the model's
            settings, by default both, ranked together.
        encoding: of a text file; where empty, the one of its byte order mark, else UTF-8.

    Returns:
        The audit: `best`, `verdict`, `table`, `to_html()`, `save("audit.html")`.

    Raises:
        ValueError: an empty dataset, a label outside the classes, an unknown saliency, budget or removal, or a named
            saliency that cannot be computed for the model.
        FloatingPointError: a saliency that is not finite.
    """
    if isinstance(predictor, str | Path):
        name = name or str(predictor)
        predictor = open_model(str(predictor))
    predictor, task = removing(predictor, remove), task_of(predictor)
    options = ReadOptions(
        text_column, label_column, on_bad_row=on_bad_row, labels=labels, encoding=encoding, multi_label=task.several,
        label_separator=label_separator, numbers=task.number, text_pair=text_pair_column,
    )  # fmt: skip
    split, notes = read_measured(predictor, data, options, limit, seed)
    plan = make_plan(predictor, saliencies, budget, removals, metrics_of_marks(split), seed)
    measured_options = next(iter(plan.metrics.values())).options
    about = {
        "model": name or type(predictor).__name__, "budget": budget, "seed": seed, "limit": limit,
        "saliencies": list(plan.saliencies), "metrics": {k: list(v.names) for k, v in plan.metrics.items()},
        "shares": [measured_options.p_important, measured_options.p_unimportant], "data": notes,
    }  # fmt: skip
    if remove:
        about["remove"] = remove
    if getattr(predictor, "settings", None) is not None:
        about["model_digest"] = model_digest(predictor)
    job = about if parts is None else about | _job(predictor, split)
    about["job"] = job_digest(job)
    folder = None if parts is None else Path(parts)
    with progress_of(len(split.texts), "auditing", "texts", progress) as after:
        measured = measure(predictor, split, plan, folder, job, after)
    return _judged(predictor, split, plan, measured, about)


def _judged(predictor: Predictor, split: Split, plan: AuditPlan, measured: Measured, about: dict[str, Any]) -> Audit:
    facts = measured.facts
    passes = {name: float(saliency.passes(facts["n"]).mean()) for name, saliency in plan.saliencies.items()}
    _, first = np.unique(facts["place"], return_index=True)
    accuracy, largest, task = None, None, task_of(predictor)
    errors: dict[str, float] = {}
    if split.labelled and task.number:
        errors = number_errors(facts["label"], facts["predicted"])
    elif split.labelled:
        accuracy, largest = _accuracy(facts["label"][first], facts["predicted"][first])
    unit = float(np.std(facts["confidence"])) if task.number else None
    shown = default_saliency(predictor).name
    groups = facts["place"] if task.several else None
    judgement = judge_audit(
        measured.columns, passes, accuracy, largest, shown,
        [name for name, saliency in plan.saliencies.items() if saliency.seeded], unit, groups,
    )  # fmt: skip
    table = np.stack([values for columns in measured.columns.values() for values in columns.values()], 1)
    intervals = iter(intervals_of(table, groups=groups))
    rows = []
    for (name, removal), columns in measured.columns.items():
        metrics = {metric: next(intervals) for metric in columns}
        milliseconds = 1000 * float(measured.seconds[name].mean())
        rows.append(AuditRow(name, removal, plan.saliencies[name].signed, passes[name], milliseconds, metrics))
    best = judgement.best or CONTROL
    return Audit(
        judgement=judgement,
        rows=rows,
        texts=len(split.texts),
        facts={
            "accuracy": None if accuracy is None else [float(x) for x in accuracy],
            "largest_class": largest,
            **({"errors": errors} if task.number else {}),
            task.quantity: [float(x) for x in interval_of(facts["confidence"].astype(np.float64), groups)],
            "cut_texts": int((facts["cut"] > 0).sum()),
            "shown": shown,
            **({"windows": windows} if (windows := reading_of(predictor)) else {}),
        },
        refused=dict(plan.refused),
        curves={f"{name}, {removal}": np.nanmean(x, 0).tolist() for (name, removal), x in measured.curves.items()},
        examples=_examples(predictor, split, measured, best, judgement.removal, about),
        about=about,
    )


def _accuracy(labels: Column, predicted: Column) -> tuple[Interval, float]:
    """The accuracy with its interval, and the share of the most frequent true class, or set of labels."""
    share = share_of((labels == predicted).astype(np.float64))
    largest = np.unique(labels, return_counts=True)[1].max() / len(labels)
    return Interval(share.value, *(share.interval or (np.nan, np.nan))), float(largest)


def _examples(
    predictor: Predictor, split: Split, measured: Measured, name: str, removal: str, about: dict[str, Any]
) -> list[dict[str, Any]]:
    """Explanations of the texts with the smallest comp - suff."""
    gap = measured.columns[name, removal]["comp-suff"]
    candidates = np.flatnonzero(np.isfinite(gap) & (measured.facts["n"] > 2))
    worst = candidates[np.argsort(gap[candidates], kind="stable")][:EXAMPLES]
    place, targets = measured.facts["place"][worst], measured.facts["target"][worst]
    texts = [split.texts[i] for i in place]
    how = {"classes": targets, "removal": removal, "saliency": name, "seed": about["seed"]}
    important, unimportant = about["shares"]
    how |= {"p_important": important, "p_unimportant": unimportant}
    explained = explain(predictor, texts, **how) if texts else []
    reason = "no saliency is best in this audit" if name == CONTROL else "the best in this audit"
    gold = named_labels(split.labels[place], predictor.classes) if split.labelled else [None] * len(place)
    return [
        {"row": int(i), "gold": _spelled(label), **one.to_dict(), "saliency_reason": reason}
        for i, label, one in zip(place, gold, explained, strict=True)
    ]


def _spelled(label: Any) -> str | None:
    """A true class by name; of several labels all names; of a number its digits; None where it is not known."""
    if isinstance(label, list):
        return ", ".join(label) or "none"
    return f"{label:g}" if isinstance(label, float) else label


def _job(predictor: Predictor, split: Split) -> dict[str, Any]:
    """What the numbers depend on besides plan and weights: the texts, and the settings or a function's predictions."""
    settings = getattr(predictor, "settings", None)
    tokens = predictor.tokens(split_texts(predictor, split.texts))
    texts = split_fingerprint(split, predictor.classes) + marks_fingerprint(split)
    rows = hashlib.blake2b(tokens.ids.tobytes() + tokens.word_ids.tobytes(), digest_size=8).hexdigest()
    if settings is not None:
        return {"texts": texts, "tokens": rows, "settings": asdict(settings)}
    # a function has no weights to compare, so its predictions on texts spread over the data identify it
    spread = np.unique(np.linspace(0, len(split.texts) - 1, PROBED_TEXTS).astype(np.int64))
    probes = predictor.tokens(split_texts(predictor, [split.texts[i] for i in spread]))
    return {"texts": texts, "answers": ReducedTexts(predictor, probes).whole().tolist()}
