"""The paper's results: Tables 1 to 5 of Zhan et al. 2022, means of three runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pct.metrics.names import CORE_METRICS

METHODS = ("normal", "entropy", "pct")
FOUR = CORE_METRICS[:4]
# Tables 1 and 2: corpus -> model -> method -> the core metrics
RESULTS: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
for _line in Path(__file__).with_name("paper.txt").read_text(encoding="utf-8").splitlines():
    _corpus, _model, _method, *_values = _line.split()
    RESULTS.setdefault(_corpus, {}).setdefault(_model, {})[_method] = tuple(map(float, _values))


@dataclass(frozen=True)
class PaperRow:
    """A row of a table: its label, its changes of the paper's settings, and the paper's numbers."""

    label: str
    changes: dict[str, Any]
    paper: tuple[float, ...]


@dataclass(frozen=True)
class PaperTable:
    """An ablation: its metrics and rows."""

    title: str
    columns: tuple[str, ...]
    cells: tuple[PaperRow, ...]


def _along(setting: str, rows: dict[Any, tuple[float, ...]]) -> tuple[PaperRow, ...]:
    return tuple(PaperRow(str(value), {setting: value}, paper) for value, paper in rows.items())


# Tables 3, 4 and 5: TextCNN trained by PCT on MR
TABLES = {
    "batch_size": PaperTable("Table 3: batch size", CORE_METRICS, _along("batch_size", {
        4: (0.7767, 0.92, 0.10, 0.06, 8.63, 10.47, 10.43, 7.37),
        8: (0.7776, 0.83, 0.11, 0.05, 9.15, 11.36, 10.73, 7.33),
        16: (0.7786, 0.79, 0.11, 0.04, 9.51, 11.45, 10.18, 6.95),
        32: (0.7851, 0.87, 0.11, 0.04, 8.87, 11.19, 10.56, 7.23),
        64: (0.7974, 0.92, 0.12, 0.04, 9.25, 11.86, 10.86, 6.55),
        96: (0.7917, 0.80, 0.13, 0.04, 9.36, 11.58, 10.43, 6.78),
        128: (0.7936, 0.86, 0.13, 0.04, 9.28, 11.33, 10.38, 7.11),
    })),
    # "+p_u" generates only positive pairs, "+p_i" only negative ones: the other share is 0
    "shares": PaperTable("Table 4: reduced percentage", FOUR, (
        PaperRow("normal", {"method": "normal"}, (0.7902, 0.83, 0.08, 0.04)),
        PaperRow("p_u = 0.1", {"p_important": 0.0, "p_unimportant": 0.1}, (0.7917, 0.87, 0.08, 0.03)),
        PaperRow("p_u = 0.3", {"p_important": 0.0, "p_unimportant": 0.3}, (0.7904, 0.79, 0.09, 0.02)),
        PaperRow("p_i = 0.1", {"p_important": 0.1, "p_unimportant": 0.0}, (0.7926, 0.87, 0.12, 0.06)),
        PaperRow("p_i = 0.3", {"p_important": 0.3, "p_unimportant": 0.0}, (0.7893, 0.82, 0.12, 0.06)),
        PaperRow("p_u = p_i = 0.1", {"p_important": 0.1, "p_unimportant": 0.1}, (0.7974, 0.92, 0.12, 0.04)),
        PaperRow("p_u = p_i = 0.3", {"p_important": 0.3, "p_unimportant": 0.3}, (0.7912, 0.83, 0.12, 0.04)),
    )),
    "tau": PaperTable("Table 5: tau", FOUR, _along("temperature", {
        0.05: (0.7851, 0.82, 0.10, 0.04), 0.1: (0.7814, 0.77, 0.12, 0.03), 0.15: (0.7805, 0.76, 0.11, 0.04),
        0.3: (0.7805, 0.88, 0.13, 0.06), 0.5: (0.7861, 0.74, 0.09, 0.01), 0.7: (0.7974, 0.92, 0.12, 0.04),
        0.9: (0.7871, 0.78, 0.08, 0.02), 1.0: (0.7871, 0.84, 0.09, 0.04), 1.2: (0.7777, 0.78, 0.08, 0.02),
    })),
    "alpha": PaperTable("Table 5: alpha", FOUR, _along("alpha", {
        0.05: (0.7934, 0.80, 0.10, 0.03), 0.1: (0.7974, 0.92, 0.12, 0.04), 0.15: (0.7842, 0.74, 0.09, 0.01),
        0.3: (0.7814, 0.79, 0.12, 0.07), 0.5: (0.7542, 0.83, 0.13, 0.09), 0.7: (0.7420, 0.78, 0.14, 0.12),
        0.9: (0.7289, 0.78, 0.14, 0.13), 1.0: (0.7261, 0.78, 0.14, 0.13), 1.2: (0.7158, 0.74, 0.14, 0.13),
    })),
}  # fmt: skip
