"""Each method at its best settings, to separate the gain of a method from that of better settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from pct.output.report.claims import POINT, format_interval
from pct.output.report.groups import GAP, Group
from pct.output.report.tables import ReportTable, format_spread, spaced

MEASURED_BY = ("limit", "measure_limit", "corpus_seed", "saliency", "saliency_of", "order", "removal")
SHOWN = ("acc", GAP, "margin", "naopc-gap")


class Best(NamedTuple):
    """A method's best group, the number of groups tried, and the best and the widest group of normal training."""

    group: Group
    tried: int
    normal: Group
    widest: Group


def best_groups(groups: Sequence[Group]) -> list[Best]:
    """The best group of each corpus, model and method, chosen on validation by the rule of a sweep: the largest
    comp - suff of those whose accuracy is within a point of normal training's best.

    Only groups with the most seeds of their corpus and model are considered. Groups that were measured differently are
    not compared. A corpus and model without normal training, or with one setting per method, is left out.
    """
    comparable: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        s = group.settings
        measured = s.measured_shares, *(getattr(s, name) for name in MEASURED_BY)
        comparable.setdefault((*group.corpus_model, *measured), []).append(group)
    best = []
    for candidates in comparable.values():
        most = max(len(group.runs) for group in candidates)
        methods: dict[str, list[Group]] = {}
        for group in candidates:
            if len(group.runs) == most:
                methods.setdefault(group.settings.method, []).append(group)
        if "normal" not in methods or all(len(alike) == 1 for alike in methods.values()):
            continue
        enough = max(_validated(group, "acc") for group in methods["normal"]) - POINT
        by_gap = partial(_validated, name=GAP)
        widest = {method: sorted(alike, key=by_gap, reverse=True) for method, alike in methods.items()}
        chosen = {
            method: next((group for group in alike if _validated(group, "acc") >= enough), None)
            for method, alike in widest.items()
        }
        normal = chosen["normal"]
        assert normal is not None  # its most accurate group is within a point of itself
        best += [
            Best(g, len(methods[name]), normal, widest["normal"][0]) for name, g in chosen.items() if g is not None
        ]
    return best


def best_table(groups: Sequence[Group]) -> ReportTable | None:
    """The groups of `best_groups` on the test split, each less normal training's; None where there is none."""
    rows = []
    for group, tried, normal, widest in best_groups(groups):
        less = [_less(group, normal, metric) for metric in SHOWN] + [_less(group, widest, GAP)]
        own = (format_spread(*group.spread(metric)) for metric in ("acc", GAP))
        rows.append((*group.corpus_model, group.label, str(tried), str(len(group.runs)), *own, *less))
    columns = "corpus", "model", "method", "tried", "seeds", "acc", spaced(GAP)
    return ReportTable(
        "best", "Each method at its best settings, normal training too",
        (*columns, *(f"{spaced(m)}, less normal's" for m in SHOWN), f"{spaced(GAP)}, less normal's widest"),
        tuple(rows),
        "Of the settings tried, the one chosen on validation: the largest comp − suff of those whose accuracy is "
        "within a point of normal training's best. Normal's widest: its largest comp − suff at any accuracy. The "
        "numbers are those of the test split, with 95 % intervals over texts and seeds.",
    ) if rows else None  # fmt: skip


def _validated(group: Group, name: str) -> float:
    """The mean of a metric or gap on validation over the seeds."""
    return float(np.mean([(run.validation.metrics | run.validation.gaps)[name] for run in group.runs]))


def _less(group: Group, normal: Group, metric: str) -> str:
    if group is normal:
        return ""
    interval = group.change(normal, metric)
    return "–" if interval is None else format_interval(interval)
