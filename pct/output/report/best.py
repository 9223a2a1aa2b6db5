"""Each method at its best settings: whether a gain is more than normal training has from better settings too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.output.report.claims import POINT, change, format_interval
from pct.output.report.groups import GAP, Group, labels
from pct.output.report.tables import Table, format_spread, spaced

MEASURED_BY = ("limit", "measure_limit", "corpus_seed", "saliency", "saliency_of", "order", "removal")
SHOWN = ("acc", GAP, "margin", "naopc-gap")


class Best(NamedTuple):
    """A method's best group, of how many were tried; of normal training the best one, and that of the widest gap."""

    group: Group
    tried: int
    normal: Group
    widest: Group


def best_groups(groups: Sequence[Group]) -> list[Best]:
    """One of each corpus, model and method, chosen on validation by the rule of a sweep: the largest comp - suff of
    those whose accuracy is within a point of the best that normal training has.

    Of a corpus and model only groups of the most seeds count, and those that were measured otherwise stand apart. One
    without normal training, or without several settings of any method, is left out.
    """
    places: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        s = group.settings
        measured = s.measured_shares, *(getattr(s, name) for name in MEASURED_BY)
        places.setdefault((*group.place, *measured), []).append(group)
    found = []
    for here in places.values():
        most = max(len(group.runs) for group in here)
        methods: dict[str, list[Group]] = {}
        for group in here:
            if len(group.runs) == most:
                methods.setdefault(group.settings.method, []).append(group)
        if "normal" not in methods or all(len(alike) == 1 for alike in methods.values()):
            continue
        enough = max(map(_accuracy, methods["normal"])) - POINT
        chosen = {method: _best(alike, enough) for method, alike in methods.items()}
        normal, widest = chosen["normal"], max(methods["normal"], key=_gap)
        assert normal is not None  # the most accurate of them is within a point of itself
        found += [Best(g, len(methods[name]), normal, widest) for name, g in chosen.items() if g is not None]
    return found


def best_table(groups: Sequence[Group]) -> Table | None:
    """The groups of `best_groups` on test, each less normal training's; None where nothing was chosen."""
    named = labels(groups)
    rows = []
    for group, tried, normal, widest in best_groups(groups):
        less = [_less(group, normal, metric) for metric in SHOWN] + [_less(group, widest, GAP)]
        own = (format_spread(*group.spread(metric)) for metric in ("acc", GAP))
        rows.append((*group.place, named[id(group)], str(tried), str(len(group.runs)), *own, *less))
    columns = "corpus", "model", "method", "tried", "seeds", "acc", spaced(GAP)
    return Table(
        "best", "Each method at its best settings, normal training too",
        (*columns, *(f"{spaced(m)}, less normal's" for m in SHOWN), f"{spaced(GAP)}, less normal's widest"),
        tuple(rows),
        "Of so many settings that were tried the one chosen on validation: the largest comp − suff of those whose "
        "accuracy is within a point of the best that normal training has. Normal's widest: its largest comp − suff "
        "whatever the accuracy. What stands here is of the test split, with 95 % intervals over texts and seeds.",
    ) if rows else None  # fmt: skip


def _best(groups: Sequence[Group], enough: float) -> Group | None:
    exact = [group for group in groups if _accuracy(group) >= enough]
    return max(exact, key=_gap, default=None)


def _gap(group: Group) -> float:
    return _mean([run.validation.gaps[GAP] for run in group.runs])


def _accuracy(group: Group) -> float:
    return _mean([run.validation.acc for run in group.runs])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _less(group: Group, normal: Group, metric: str) -> str:
    if group is normal:
        return ""
    found = change(group, normal, metric)
    return "–" if found is None else format_interval(found)
