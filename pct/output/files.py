"""Predictions and explanations of whole files, chunk by chunk, for `pct predict` and `pct explain --data`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.corpora.splits import TEXT_COLUMNS
from pct.explaining.explain import explain_each
from pct.explaining.explanation import Explanation
from pct.explaining.prediction import predict
from pct.explaining.predictor import Predictor
from pct.output.bulk import Csv, Format, JsonLines, Parquet, run_job
from pct.output.html import explanation_html, marks_html
from pct.output.page import Html, article_row
from pct.output.records import OF_A_CURVE, Record, explanation_row, pyarrow
from pct.output.shades import is_signed
from pct.output.workers import Workers
from pct.saliency.defaults import default_saliency
from pct.tasks import Task, named_labels, task_of

if TYPE_CHECKING:
    from pct.corpora.rows import Chunk

ROWS_PER_CHUNK = 2048
Rows = Callable[[Any, Any], list[Record]]  # the model and a chunk -> rows


def write_predictions(
    workers: Workers,
    chunks: Iterable[Chunk],
    output: str | Path,
    about: dict[str, Any],
    after: Callable[[int, bool], None] = lambda texts, done_before: None,
    escaped: bool = True,
    pairs: bool = False,
) -> int:
    """One row per text: its number in the file, text, true class, label, confidence, probability of each class.

    Of several labels, label is the most probable one, labels has those that are assigned, and gold the true ones. Of a
    number there are row, text, gold and value.

    Args:
        workers: the model, and where the work is done.
        chunks: of the file.
        output: .jsonl, .parquet or .csv.
        about: what the result depends on; see `pct.output.bulk.run_job`.
        after: called after each chunk with its length, and whether an earlier run had already processed it.
        escaped: of .csv; see `Csv`.
        pairs: whether the texts are pairs: they have a column text_pair then.

    Returns:
        The number of texts.

    Raises:
        ValueError: another extension, or the unfinished parts beside the output belong to another job.
    """
    predictor = workers.predictor
    make: dict[str, Callable[[], Format]] = {
        ".jsonl": JsonLines, ".parquet": lambda: Parquet(prediction_schema(predictor, pairs)),
        ".csv": lambda: Csv(_prediction_columns(predictor, pairs), escaped),
    }  # fmt: skip
    format_ = make[_kind(output, tuple(make))]()
    return run_job(chunks, prediction_rows, output, format_, about, workers, after)


def write_explanations(
    workers: Workers,
    chunks: Iterable[Chunk],
    output: str | Path,
    about: dict[str, Any],
    after: Callable[[int, bool], None] = lambda texts, done_before: None,
    title: str = "",
    pairs: bool = False,
    **options: Any,
) -> int:
    """One row or article per text, of several labels per explained label of a text: words, saliency, curves, verdict.

    Args:
        workers: the model, and where the work is done.
        chunks: of the file.
        output: .jsonl, .parquet or .html.
        about: what the result depends on; see `pct.output.bulk.run_job`.
        after: called after each chunk with its length, and whether an earlier run had already processed it.
        title: of the page.
        pairs: as of `write_predictions`.
        **options: of `pct.explain`; target is the class explained in every text, of several labels also a list.

    Returns:
        The number of texts.

    Raises:
        ValueError: another extension, or the unfinished parts beside the output belong to another job.
    """
    predictor = workers.predictor
    signed = is_signed(options.get("saliency") or default_saliency(predictor).name)
    make: dict[str, Callable[[], Format]] = {
        ".jsonl": JsonLines, ".parquet": lambda: Parquet(explanation_schema(predictor, pairs)),
        ".html": lambda: Html(title or Path(output).stem, marks_html(signed, quantity=task_of(predictor).quantity)),
    }  # fmt: skip
    kind = _kind(output, tuple(make))
    work = partial(explanation_rows, row=_article if kind == ".html" else _explained, **options)
    return run_job(chunks, work, output, make[kind](), about, workers, after)


def _explained(e: Explanation, gold: Any, number: int) -> Record:
    return {"row": number, "gold": gold, **explanation_row(e)}


def explanation_rows(
    predictor: Predictor,
    chunk: Chunk,
    row: Callable[[Explanation, Any, int], Record] = _explained,
    target: str | Sequence[str] | None = None,
    **options: Any,
) -> list[Record]:
    """The rows of `write_explanations`. row: makes one from an explanation, the true class and the number; by default
    one of `explanation_schema`."""
    targets = None if target is None else [target] * len(chunk.texts)
    of_texts = explain_each(predictor, chunk.texts, target=targets, **options)
    rows = zip(of_texts, _gold(predictor, chunk), chunk.numbers, strict=True)
    return [row(one, gold, number) for of_text, gold, number in rows for one in of_text]


def prediction_rows(predictor: Any, chunk: Chunk) -> list[Record]:
    """The rows of `write_predictions`."""
    rows = zip(chunk.numbers, predict(predictor, chunk.texts), _gold(predictor, chunk), strict=True)
    return [{"row": number, **one.given, "gold": gold, **one.cells} for number, one, gold in rows]


def _gold(predictor: Predictor, chunk: Chunk) -> list[Any]:
    """The true labels as names, None where unknown."""
    if chunk.labels is None:
        return [None] * len(chunk.texts)
    names = named_labels(chunk.labels, predictor.classes)
    if chunk.known is None:
        return names
    return [name if known else None for name, known in zip(names, chunk.known, strict=True)]


def _kind(output: str | Path, known: Sequence[str]) -> str:
    kind = Path(output).suffix.lower()
    if kind not in known:
        raise ValueError(f"output {output} must end in {', '.join(known)}")
    return kind


def _article(e: Explanation, gold: Any, number: int) -> Record:
    if isinstance(gold, list):
        gold = e.label_name if e.label_name in gold else f"not {e.label_name}"
    if e.number and gold is not None:
        gold = f"{gold:g}"
    right = None if gold is None or e.number else gold == e.outcome
    return article_row(
        explanation_html(e, gold), number, e.verdict.kind, e.label_name, e.confidence, right, e.comp - e.suff
    )


def _prediction_columns(predictor: Predictor, pairs: bool) -> list[str]:
    task, texts = task_of(predictor), TEXT_COLUMNS if pairs else TEXT_COLUMNS[:1]
    if task.number:
        return ["row", *texts, "gold", "value"]
    several = ["labels"] if task.several else []
    return ["row", *texts, "gold", "label", "confidence", *several, *(f"p_{name}" for name in predictor.classes)]


def prediction_schema(predictor: Predictor, pairs: bool = False) -> Any:
    """The schema of `prediction_rows`, of pyarrow. pairs: whether the texts are pairs."""
    pa = pyarrow("Parquet")
    kinds = {"row": pa.int64(), "label": pa.string(), "labels": pa.list_(pa.string())}
    kinds |= dict.fromkeys(TEXT_COLUMNS, pa.string()) | {"gold": _gold_type(task_of(predictor))}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in _prediction_columns(predictor, pairs)])


def _gold_type(task: Task) -> Any:
    """The Arrow type of true labels."""
    pa = pyarrow("Parquet")
    if task.number:
        return pa.float64()
    return pa.list_(pa.string()) if task.several else pa.string()


def explanation_schema(predictor: Predictor, pairs: bool = False) -> Any:
    """The schema of `explanation_rows`, of pyarrow. pairs: whether the texts are pairs."""
    pa = pyarrow("Parquet")
    string, number, whole = pa.string(), pa.float64(), pa.int32()
    curve = dict(zip(OF_A_CURVE, (pa.list_(whole), pa.list_(number), whole, string), strict=True))
    return pa.schema({
        "row": pa.int64(), "gold": _gold_type(task_of(predictor)), "text": string,
        **({"text_pair": string, "first_words": whole} if pairs else {}), "label": string,
        "confidence": number, "verdict": string, "comp": number, "suff": number, "ir": number, "ur": number,
        "words": pa.list_(string), "starts": pa.list_(whole), "ends": pa.list_(whole),
        "known": pa.list_(pa.bool_()), "saliency": pa.list_(number),
        **{f"{side}_{name}": kind for side in ("important", "unimportant") for name, kind in curve.items()},
        "truncated": whole, "windows": string, "saliency_name": string,
    })  # fmt: skip
