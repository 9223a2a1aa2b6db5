"""The table of an audit for a terminal, with as many metrics as fit its width."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pct.output.numbers import number, spell

if TYPE_CHECKING:
    from pct.auditing.result import Audit, AuditRow

# the main metrics of an audit, in the order of the columns
SHOWN = ("comp-suff", "margin", "win", "ur-ir", "tau_loo", "naopc-gap", "stable_word", "rationale_auprc")
# the order in which columns are added while they fit
PRIORITY = ("margin", "win", *(name for name in SHOWN if name not in ("margin", "win")))
WIDEST, USUAL = 160, 120
GAP = "  "
WAYS = {
    "delete": "words deleted",
    "mask": "words replaced by the mask token",
    "unknown": "words replaced by the unknown token",
}


def measured_names(rows: Iterable[AuditRow]) -> list[str]:
    """The metrics for which at least one row has a number, in the order in which they were measured."""
    names = (name for row in rows for name, x in row.metrics.items() if not math.isnan(x.value))
    return list(dict.fromkeys(names))


def in_words(removal: str) -> str:
    """How words are removed, for example "words deleted"."""
    return WAYS.get(removal, f"words removed by {removal}")


def terminal_width() -> int:
    """Characters per line: `USUAL` where the output is not a terminal, `WIDEST` at most."""
    return min(shutil.get_terminal_size((USUAL, 24)).columns, WIDEST)


def audit_table(audit: Audit, width: int = 0) -> str:
    """The rows of an audit, one block per removal, the largest margin first.

    Args:
        audit: the audit.
        width: characters per line; 0 takes the terminal's. Metrics that do not fit are listed below the table.
    """
    blocks = {removal: audit.ranked(removal) for removal in dict.fromkeys(row.removal for row in audit.rows)}
    rows = [row for block in blocks.values() for row in block]
    names = [row.saliency for row in rows]
    lead = [
        [name.ljust(max(map(len, ["saliency", *names]))) for name in ["saliency", *names]],
        _right("passes", [number(row.passes, 1) for row in rows]),
        _right("ms", [number(row.milliseconds, 1) for row in rows]),
    ]
    measured = measured_names(rows)
    metrics = {
        name: _right(name, [spell(row.metrics.get(name)) for row in rows]) for name in PRIORITY if name in measured
    }
    left = (width or terminal_width()) - len(_line(" ", lead, 0))
    fitting: list[str] = []
    for name, column in metrics.items():
        left -= len(GAP) + len(column[0])
        # the margin is always shown
        if fitting and left < 0:
            break
        fitting.append(name)
    columns = [*lead, *(metrics[name] for name in SHOWN if name in fitting)]
    lines, i = [], 0
    for removal, block in blocks.items():
        lines += ["", in_words(removal), _line(" ", columns, 0)]
        for row in block:
            i += 1
            lines.append(_line("*" if row.saliency == audit.best else " ", columns, i))
    if rest := [name for name in metrics if name not in fitting]:
        lines += ["", f"no room for {', '.join(rest)}: widen the terminal, or write the audit to a file"]
    return "\n".join(lines[1:])


def refused_by_reason(audit: Audit) -> list[tuple[str, list[str]]]:
    """The saliencies that were left out, grouped by reason."""
    names: dict[str, list[str]] = {}
    for name, reason in audit.refused.items():
        names.setdefault(reason.removeprefix(f"saliency {name} "), []).append(name)
    return list(names.items())


def _right(head: str, cells: list[str]) -> list[str]:
    """A right-aligned column, its head first."""
    size = max(map(len, [head, *cells]))
    return [text.rjust(size) for text in [head, *cells]]


def _line(mark: str, columns: list[list[str]], i: int) -> str:
    return f"{mark} {GAP.join(column[i] for column in columns)}"
