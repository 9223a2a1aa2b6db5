"""Predictions and explanations of whole files, chunk by chunk, for `pct predict` and `pct explain --data`."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pct.explaining.explain import explain
from pct.explaining.explanation import Explanation
from pct.explaining.predictor import Predictor
from pct.output.bulk import Format, Html, JsonLines, Parquet, article_row, run_job
from pct.output.html import explanation_html, marks_html
from pct.output.shades import is_signed
from pct.output.tables import Record, explanation_row
from pct.saliency.defaults import default_saliency

ROWS_PER_CHUNK = 2048
FORMULA = tuple("=+-@\t\r＝＋－＠")  # first characters of cells that spreadsheets run as formulas
EXPLANATION_KINDS, PREDICTION_KINDS = (".jsonl", ".parquet", ".html"), (".jsonl", ".parquet", ".csv")


class Chunk(Protocol):
    """Some rows of a file.

    Attributes:
        texts: the texts.
        labels: (texts,) the true class of each as an index, None where the file has no labels.
        numbers: the number of each row in its file, from 1.
    """

    texts: Sequence[str]
    labels: Any
    numbers: Sequence[int]

    def __len__(self) -> int:
        """How many rows."""
        ...


def write_predictions(
    predictor: Predictor,
    chunks: Iterable[Chunk],
    output: str | Path,
    about: dict[str, Any],
    after: Callable[[int, bool], None] = lambda texts, done_before: None,
    escaped: bool = True,
) -> int:
    """One row per text: its number in the file, text, true class, label, confidence, probability of each class.

    Args:
        predictor: the model.
        chunks: of the file.
        output: .jsonl, .parquet or .csv.
        about: what the result depends on; see `pct.output.bulk.run_job`.
        after: called after each chunk with its length, and whether an earlier run had already processed it.
        escaped: of .csv; see `Csv`.

    Returns:
        The number of texts.

    Raises:
        ValueError: another extension, or the unfinished parts beside the output belong to another job.
    """
    columns = ["row", "text", "gold", "label", "confidence", *(f"p_{name}" for name in predictor.classes)]
    kind = _kind(output, PREDICTION_KINDS)
    format_: Format = Csv(columns, escaped) if kind == ".csv" else JsonLines()
    if kind == ".parquet":
        format_ = _prediction_parquet(columns)
    return run_job(chunks, partial(prediction_rows, predictor), output, format_, about, after)


def write_explanations(
    predictor: Predictor,
    chunks: Iterable[Chunk],
    output: str | Path,
    about: dict[str, Any],
    after: Callable[[int, bool], None] = lambda texts, done_before: None,
    title: str = "",
    target: int | None = None,
    **options: Any,
) -> int:
    """One row or article per text: words, saliency, curves, verdict.

    Args:
        predictor: the model.
        chunks: of the file.
        output: .jsonl, .parquet or .html.
        about: what the result depends on; see `pct.output.bulk.run_job`.
        after: called after each chunk with its length, and whether an earlier run had already processed it.
        title: of the page.
        target: the class explained; None takes the predicted one.
        **options: of `pct.explain`.

    Returns:
        The number of texts.

    Raises:
        ValueError: another extension, or the unfinished parts beside the output belong to another job.
    """
    kind = _kind(output, EXPLANATION_KINDS)
    signed = is_signed(options.get("saliency") or default_saliency(predictor).name)
    format_: Format = Html(title or Path(output).stem, marks_html(signed))
    if kind != ".html":
        format_ = JsonLines() if kind == ".jsonl" else _explanation_parquet()
    row = _article if kind == ".html" else _explained

    def work(chunk: Chunk) -> list[Record]:
        classes = None if target is None else [target] * len(chunk.texts)
        explanations = explain(predictor, chunk.texts, classes=classes, **options)
        return [row(*one) for one in zip(explanations, _gold(predictor, chunk), chunk.numbers, strict=True)]

    return run_job(chunks, work, output, format_, about, after)


def prediction_rows(predictor: Any, chunk: Chunk) -> list[Record]:
    """The rows of `write_predictions`."""
    probabilities = predictor.predict(chunk.texts).astype(float).tolist()
    names = predictor.classes
    rows = zip(chunk.numbers, chunk.texts, _gold(predictor, chunk), probabilities, strict=True)
    return [
        {"row": number, "text": text, "gold": true, "label": names[max(range(len(p)), key=p.__getitem__)],
         "confidence": max(p), **{f"p_{name}": x for name, x in zip(names, p, strict=True)}}
        for number, text, true, p in rows
    ]  # fmt: skip


def model_digest(predictor: Any) -> str:
    """A digest of a model's weights, in sixteen characters."""
    digest = hashlib.blake2b(digest_size=8)
    if hasattr(predictor, "model"):
        for name, tensor in predictor.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).numpy().tobytes())
    folder = getattr(predictor, "folder", None)
    for path in [] if folder is None else sorted(Path(folder).glob("weights*")):
        with path.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "blake2b").digest())
    return digest.hexdigest()


class Csv:
    """One line per row, below a header.

    Args:
        columns: the names of the columns.
        escaped: whether to escape cells that a spreadsheet would run as a formula; see `no_formula`.
    """

    def __init__(self, columns: Sequence[str], escaped: bool = True) -> None:
        self.columns, self.escaped = columns, escaped

    def write(self, rows: Sequence[Record], part: Path) -> None:
        """See `Format.write`."""
        with part.open("w", encoding="utf-8", newline="") as lines:
            csv.writer(lines).writerows([self._cell(row[name]) for name in self.columns] for row in rows)

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """See `Format.join`."""
        with output.open("w", encoding="utf-8", newline="") as whole:
            csv.writer(whole).writerow([self._cell(name) for name in self.columns])
            for part in parts:
                with part.open(encoding="utf-8", newline="") as lines:
                    shutil.copyfileobj(lines, whole)

    def _cell(self, value: Any) -> Any:
        return no_formula(value) if self.escaped else value


def no_formula(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula. A text that begins with =, +, -, @, a tab or a carriage return,
    after any spaces, gets an apostrophe in front, as OWASP recommends against CSV injection. Numbers are unchanged."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" \n")[:1] in FORMULA else value


def _gold(predictor: Predictor, chunk: Chunk) -> list[str | None]:
    """The names of the true classes."""
    if chunk.labels is None:
        return [None] * len(chunk.texts)
    return [predictor.classes[label] for label in chunk.labels]


def _kind(output: str | Path, known: Sequence[str]) -> str:
    kind = Path(output).suffix.lower()
    if kind not in known:
        raise ValueError(f"output {output} must end in {', '.join(known)}")
    return kind


def _explained(e: Explanation, gold: str | None, number: int) -> Record:
    return {"row": number, "gold": gold, **explanation_row(e)}


def _article(e: Explanation, gold: str | None, number: int) -> Record:
    right = None if gold is None else gold == e.label_name
    return article_row(
        explanation_html(e, gold), number, e.verdict.kind, e.label_name, e.confidence, right, e.comp - e.suff
    )


def _prediction_parquet(columns: Sequence[str]) -> Parquet:
    pa = _pyarrow()
    kinds = {"row": pa.int64(), "text": pa.string(), "gold": pa.string(), "label": pa.string()}
    return Parquet(pa.schema([(name, kinds.get(name, pa.float64())) for name in columns]))


def _explanation_parquet() -> Parquet:
    pa = _pyarrow()
    string, number, whole = pa.string(), pa.float64(), pa.int32()
    steps = {
        f"{side}_{name}": kind
        for side in ("important", "unimportant")
        for name, kind in (
            ("removed", pa.list_(whole)),
            ("confidences", pa.list_(number)),
            ("flips_at", whole),
            ("flips_to", string),
        )
    }
    return Parquet(
        pa.schema(
            {
                "row": pa.int64(), "gold": string, "text": string, "label": string, "confidence": number,
                "verdict": string, "comp": number, "suff": number, "ir": number, "ur": number,
                "words": pa.list_(string), "starts": pa.list_(whole), "ends": pa.list_(whole),
                "known": pa.list_(pa.bool_()), "saliency": pa.list_(number), **steps, "truncated": whole,
            }
        )
    )  # fmt: skip


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'pct-explain[data]'") from None
    return pyarrow
