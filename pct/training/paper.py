"""The paper's results: Tables 1 to 5 of Zhan et al. 2022, means of three runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pct.metrics.names import CORE_METRICS

METHODS = ("normal", "entropy", "pct")
FOUR = CORE_METRICS[:4]
# Tables 1 and 2: corpus, model, method, then the core metrics
_TABLE = """
ag_news  lstm        normal  0.9159   0.93   0.07   0.03  26.59  28.74  51.35  33.22
ag_news  lstm        entropy 0.9076   0.93   0.05   0.03  27.78  28.47  18.26  16.29
ag_news  lstm        pct     0.9209   0.95   0.33   0.14  17.74  26.67  52.31  25.44
ag_news  textcnn     normal  0.8949   0.92   0.02   0.02  24.17  24.19  65.67  61.74
ag_news  textcnn     entropy 0.8959   0.91   0.03   0.02  24.06  24.08  40.48  51.09
ag_news  textcnn     pct     0.9218   0.94    0.1   0.06   23.1   23.6  51.41  48.34
ag_news  distilbert  normal   0.945    1.0   0.01   0.01  33.15  35.22  27.73  26.06
ag_news  distilbert  entropy 0.9463   0.97   0.03   0.02   33.2  35.44  25.27  22.84
ag_news  distilbert  pct     0.9359   0.92   0.09   0.08  31.17  33.79   32.1  25.35
ag_news  bert        normal  0.9516   0.98   0.01   0.01  34.01  35.57  27.58   27.1
ag_news  bert        entropy 0.9461    1.0   0.02   0.01  33.62  35.41  27.16  27.24
ag_news  bert        pct     0.9488   0.96   0.08   0.04  33.52  35.59  25.89  24.88
mr       lstm        normal  0.7964   0.94   0.07   0.06  13.35  15.48    9.2   7.18
mr       lstm        entropy 0.8002   0.92    0.1   0.07  12.88  15.13   9.04   6.58
mr       lstm        pct     0.8039   0.83   0.08   0.04  12.62  15.89  10.07   6.94
mr       textcnn     normal  0.7902   0.83   0.08   0.04  11.42   13.4  10.28    6.6
mr       textcnn     entropy 0.7883   0.84   0.07   0.03   9.51  11.28  11.38   7.19
mr       textcnn     pct     0.7974   0.92   0.12   0.08   9.25  11.86  10.86   6.55
mr       distilbert  normal  0.8462   0.99   0.04   0.02  14.89  17.55   9.85   8.92
mr       distilbert  entropy 0.8565    1.0   0.05   0.02  14.61   17.9  10.56   9.16
mr       distilbert  pct     0.8512   0.91   0.09   0.05  14.24  17.79   11.6   8.28
mr       bert        normal   0.864    1.0   0.03   0.02  15.18  17.86  10.94  11.77
mr       bert        entropy 0.8639   0.99   0.04   0.02  15.21  18.14   10.7  10.99
mr       bert        pct     0.8637   0.97   0.08   0.04  14.27  18.01  12.16  10.48
imdb     lstm        normal  0.7812   0.84   0.05   0.01  28.06  37.83  52.12  43.31
imdb     lstm        entropy 0.7571   0.78  -0.04   0.01  27.63  34.76   49.6   9.56
imdb     lstm        pct     0.7778   0.83   0.13   0.06  25.64  36.18  40.51  36.76
imdb     textcnn     normal  0.7534    0.8   0.03   0.02  23.53  24.32  51.03  55.77
imdb     textcnn     entropy 0.7784   0.78    0.1   0.06  20.34  24.53  64.67  47.78
imdb     textcnn     pct     0.7794   0.85    0.1   0.06  21.61  24.71  54.23  52.51
imdb     distilbert  normal   0.823    1.0   0.04   0.02  30.83  39.21  45.84  41.73
imdb     distilbert  entropy 0.8244    1.0   0.05   0.02  30.87   39.2  46.14  42.22
imdb     distilbert  pct     0.8236    0.9   0.12    0.1  29.31  39.26  53.25  39.08
imdb     bert        normal   0.843    1.0   0.03   0.02  33.01  39.96  47.24  47.37
imdb     bert        entropy  0.838   0.92   0.07   0.03   32.8  40.08  46.54  44.94
imdb     bert        pct     0.8378   0.91   0.08   0.05   32.2  40.11  54.18  44.15
"""


def _results(table: str) -> dict[str, dict[str, dict[str, tuple[float, ...]]]]:
    """Corpus -> model -> method -> the core metrics."""
    results: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
    for corpus, model, method, *values in map(str.split, table.strip().splitlines()):
        results.setdefault(corpus, {}).setdefault(model, {})[method] = tuple(map(float, values))
    return results


RESULTS = _results(_TABLE)


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
