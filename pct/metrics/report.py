"""The result of an evaluation: means, standard errors, gaps, and the values of each text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pct.corpora.splits import notes_in_words, rows_of, text_columns
from pct.metrics.accuracy import confusion_counts, recalls
from pct.metrics.base import Column
from pct.metrics.column_files import column_parts
from pct.metrics.dominant import Dominant, dominant_texts
from pct.metrics.label_sets import rows_by_text
from pct.metrics.names import gaps_of
from pct.metrics.number_errors import TRUE_NUMBER
from pct.output.numbers import for_json, number
from pct.text.plurals import plural
from pct.text.words import is_pair
from pct.writing import atomic_write

COMPANIONS = ("i_var_aligned", "u_var_aligned", "comp_aopc", "suff_aopc")
RATES = ("ir_rate", "ur_rate")
RANKED = ("i_var", "u_var", "i_var_aligned", "u_var_aligned")  # these compute the saliency of reduced texts


@dataclass(frozen=True)
class Report:
    """Metrics of a split. Every metric is also an attribute: `report.comp`.

    A text of one word has no reduced text: it counts only for acc and f_x, and its other values are NaN.

    Attributes:
        metrics: the means over texts, by name.
        errors: their standard errors.
        columns: the value of each text, (texts,) each, by name; of several labels, that of each explained pair of a
            text and a label. Of more than 50,000 texts they are in files: see `ColumnFiles`.
        classes: the names of the classes.
        intervals: 95 % intervals, (low, high), of the metrics that have one.
        data: notes on reading the rows: what was skipped, held out, read as an index or left out by a limit.
        saliency: the name of the saliency that ranked the words; "given" for numbers, empty for a model's own without
            a name.
        windows: how the model reads texts beyond its length, as "windows of 512 tokens, stride 256"; empty if they are
            truncated.
    """

    metrics: dict[str, float]
    errors: dict[str, float]
    columns: Mapping[str, Column]
    classes: list[str]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    saliency: str = ""
    windows: str = ""

    def __getattr__(self, name: str) -> float:
        try:
            return self.__dict__["metrics"][name]
        except KeyError:
            raise AttributeError(
                f"no metric {name!r}; there are {', '.join(self.__dict__.get('metrics', ()))}"
            ) from None

    @property
    def by_text(self) -> dict[str, Column]:
        """`columns` with one row per text: see `pct.metrics.label_sets.rows_by_text`."""
        return rows_by_text(self.columns)

    @property
    def texts(self) -> int:
        """The number of texts."""
        if self.of_pairs:
            return len(np.unique(self.columns["index"]))
        return len(next(iter(self.columns.values()), ()))

    @property
    def of_pairs(self) -> bool:
        """Whether `columns` has a row for each explained (text, label) pair: so for several labels."""
        return "target" in self.columns

    @property
    def gaps(self) -> dict[str, float]:
        """The pathology: comp - suff, ur - ir, i_var - u_var, of those that were measured. Larger is healthier."""
        return gaps_of(self.metrics)

    @property
    def confusion(self) -> Column | None:
        """How many texts of each class (rows) are predicted as each class (columns); None without values per text."""
        if not {"label", "predicted"} <= set(self.columns):
            return None
        return confusion_counts(self.columns["label"], self.columns["predicted"], len(self.classes))

    @property
    def recalls(self) -> dict[str, float]:
        """The recall of each class by its name; NaN for a class without texts."""
        counts = self.confusion
        return {} if counts is None else dict(zip(self.classes, map(float, recalls(counts)), strict=True))

    @property
    def cut_texts(self) -> int:
        """The number of texts that were truncated."""
        return int((self._of_texts("cut") > 0).sum()) if "cut" in self.columns else 0

    @property
    def dominant_texts(self) -> dict[str, Dominant]:
        """For each metric whose error is mostly that of one text, that text; the median is then the better summary."""
        return dominant_texts(self.columns, self.metrics)

    def _of_texts(self, name: str) -> Column:
        """A column whose pairs of a text have one value, with one row per text."""
        values: Column = self.columns[name]
        return values[np.unique(self.columns["index"], return_index=True)[1]] if self.of_pairs else values

    def table(self) -> str:
        """The metrics as a table for a terminal."""
        head = "   95 % interval" if any(np.isfinite(low) for low, _ in self.intervals.values()) else ""
        lines = [f"{'metric':<28}{'mean':>10}{'± s.e.':>10}{head}"]
        for name, value in self.metrics.items():
            low, high = self.intervals.get(name, (np.nan, np.nan))
            interval = f"   {number(low, 4)} to {number(high, 4)}" if np.isfinite(low) else ""
            lines.append(f"{name:<28}{_cell(value)}{_cell(self.errors[name])}{interval}")
        lines += [f"{name:<28}{_cell(value)}" for name, value in self.gaps.items()]
        lines += [f"words ranked by {self.saliency}"] if self.saliency else []
        notes = [f"{name}: {text}" for name, text in self.dominant_texts.items()]
        lines += [f"{f'recall of {name}':<28}{_cell(value)}" for name, value in self.recalls.items()]
        if self.of_pairs:
            lines.append(f"means over {plural(len(self.columns['n']), 'explained pair')} of a text and a label")
            lines += ["acc: the share of texts with all labels right"] if "acc" in self.metrics else []
        if "n" in self.columns and (short := int((self._of_texts("n") == 1).sum())):
            have = "has" if short == 1 else "have"
            lines.append(f"{short} of {self.texts} texts {have} one word: nothing can be removed")
        if cut := self.cut_texts:
            were = "was" if cut == 1 else "were"
            length = "the largest number of windows" if self.windows else "max_length"
            lines.append(f"{cut} of {self.texts} texts {were} cut to {length}")
        lines += [f"texts read in {self.windows}"] if self.windows else []
        return "\n".join([*lines, *notes, *notes_in_words(self.data)])

    def __repr__(self) -> str:
        """The table. The values of each text are in `columns`."""
        return f"Report of {plural(self.texts, 'text')}\n{self.table()}"

    def to_html(self) -> str:
        """An HTML fragment with its own style: the metrics with their standard errors, and the gaps."""
        from pct.output.html import report_html

        return report_html(self)

    _repr_html_ = to_html

    def to_pandas(self) -> Any:
        """A DataFrame with one row per text, of several labels per explained pair of a text and a label.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.records import pandas

        return pandas().DataFrame(dict(self.columns))

    def plot(self) -> Any:
        """A matplotlib figure: the histogram of comp - suff over the texts.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: the report has no comp and suff of each text.
        """
        from pct.output.plots import gap_figure

        if not {"comp", "suff"} <= set(self.columns):
            raise ValueError("a plot needs comp and suff of each text; this report has only means, or other metrics")
        tolerance = {"tolerance": 0.0} if TRUE_NUMBER in self.columns else {}
        return gap_figure(self.columns["comp"] - self.columns["suff"], "comp − suff", **tolerance)

    def to_json(self) -> str:
        """Metrics, standard errors, gaps, recalls, confusion counts, and intervals and dominant texts if there are any.
        NaN is written as null."""
        means = {"metrics": self.metrics, "standard_errors": self.errors, "gaps": self.gaps, "recalls": self.recalls}
        counts = self.confusion
        optional = {
            "dominant_texts": {name: text._asdict() for name, text in self.dominant_texts.items()},
            "intervals": {name: [for_json(x) for x in ends] for name, ends in self.intervals.items()},
            "confusion": None if counts is None else counts.tolist(),
            "data": self.data,
        }
        return json.dumps({
            "texts": self.texts, **({"pairs": len(self.columns["n"])} if self.of_pairs else {}),
            "cut_texts": self.cut_texts,
            **{name: value for name in ("saliency", "windows") if (value := getattr(self, name))},
            **{name: {k: for_json(x) for k, x in values.items()} for name, values in means.items()},
            **{name: value for name, value in optional.items() if value},
        }, indent=2, allow_nan=False)  # fmt: skip

    def to_parquet(self, path: str | Path, texts: Sequence[Any] = ()) -> None:
        """Writes the value of each text.

        Args:
            path: the file, written atomically.
            texts: of the split; if given, they are columns, too.

        Raises:
            ImportError: pyarrow is not installed.
        """
        from pct.output.records import pyarrow

        pa = pyarrow("to_parquet")
        pairs = any(map(is_pair, texts))
        with atomic_write(path) as unfinished, ExitStack() as writers:
            writer = None
            for columns in column_parts(self.columns):
                index = columns.get("index", np.empty(0, np.int64))
                of_texts = text_columns(rows_of(texts, index), pairs) if len(texts) else {}
                whole = {**({"index": index} if of_texts else {}), **of_texts, **columns}
                kinds = {"text_pair": pa.string()}  # of a part without pairs, the type would be unknown
                table = pa.table({name: pa.array(values, kinds.get(name)) for name, values in whole.items()})
                writer = writer or writers.enter_context(pa.parquet.ParquetWriter(unfinished, table.schema))
                writer.write_table(table)


def _cell(value: float) -> str:
    """A number in a column of the table; a dash for NaN."""
    return f"{number(value, 4):>10}"
