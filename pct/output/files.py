"""Predictions and explanations of whole files, chunk by chunk, for `pct predict` and `pct explain --data`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.explaining.explain import explain
from pct.explaining.explanation import Explanation
from pct.explaining.predictor import Predictor
from pct.output.bulk import Csv, Format, JsonLines, Parquet, run_job
from pct.output.html import explanation_html, marks_html
from pct.output.page import Html, article_row
from pct.output.records import OF_A_CURVE, Record, explanation_row, pyarrow
from pct.output.shades import is_signed
from pct.saliency.defaults import default_saliency

if TYPE_CHECKING:
    from pct.corpora.rows import Chunk

ROWS_PER_CHUNK = 2048


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
    make: dict[str, Callable[[], Format]] = {
        ".jsonl": JsonLines, ".parquet": lambda: _prediction_parquet(columns), ".csv": lambda: Csv(columns, escaped)
    }  # fmt: skip
    format_ = make[_kind(output, tuple(make))]()
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
    signed = is_signed(options.get("saliency") or default_saliency(predictor).name)
    make: dict[str, Callable[[], Format]] = {
        ".jsonl": JsonLines, ".parquet": _explanation_parquet,
        ".html": lambda: Html(title or Path(output).stem, marks_html(signed)),
    }  # fmt: skip
    kind = _kind(output, tuple(make))
    row = _article if kind == ".html" else _explained

    def work(chunk: Chunk) -> list[Record]:
        classes = None if target is None else [target] * len(chunk.texts)
        explanations = explain(predictor, chunk.texts, classes=classes, **options)
        return [row(*one) for one in zip(explanations, _gold(predictor, chunk), chunk.numbers, strict=True)]

    return run_job(chunks, work, output, make[kind](), about, after)


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
    pa = pyarrow("Parquet")
    kinds = {"row": pa.int64(), "text": pa.string(), "gold": pa.string(), "label": pa.string()}
    return Parquet(pa.schema([(name, kinds.get(name, pa.float64())) for name in columns]))


def _explanation_parquet() -> Parquet:
    pa = pyarrow("Parquet")
    string, number, whole = pa.string(), pa.float64(), pa.int32()
    curve = dict(zip(OF_A_CURVE, (pa.list_(whole), pa.list_(number), whole, string), strict=True))
    return Parquet(pa.schema({
        "row": pa.int64(), "gold": string, "text": string, "label": string, "confidence": number,
        "verdict": string, "comp": number, "suff": number, "ir": number, "ur": number,
        "words": pa.list_(string), "starts": pa.list_(whole), "ends": pa.list_(whole),
        "known": pa.list_(pa.bool_()), "saliency": pa.list_(number),
        **{f"{side}_{name}": kind for side in ("important", "unimportant") for name, kind in curve.items()},
        "truncated": whole,
    }))  # fmt: skip
