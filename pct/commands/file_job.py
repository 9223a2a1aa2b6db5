"""The common part of `pct predict --data` and `pct explain --data`: jobs from a file to a file."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.commands.options import OWN, add_own_settings, note_single_texts, open_given, reading_settings, refuse_given
from pct.text.plurals import plural

if TYPE_CHECKING:
    from pct.corpora.rows import ReadOptions

# with --ray the result is a folder, whose name may end in .parquet
OTHER_FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".html", ".gz")


def add_file_options(parser: argparse.ArgumentParser, kinds: str) -> None:
    """Adds --data, --output and the options of reading the file."""
    group = parser.add_argument_group("a file of texts")
    group.add_argument(
        "--data", default="", metavar="FILE",
        help="CSV, TSV, text, Excel, JSONL, JSON, Parquet or Arrow (also .gz), - for standard input; a label of the "
        "model is copied",
    )  # fmt: skip
    group.add_argument(
        "--output", default="", metavar="FILE", help=f"the file for the result: {kinds}; with --ray a folder"
    )
    add_own_settings(group, "reading")
    group.add_argument(
        "--processes", type=int, default=0,
        help="how many share the work; a short job starts none (default: one per core, on a GPU one)",
    )  # fmt: skip
    add_ray(group)
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def add_ray(group: argparse._ActionsContainer) -> None:
    """Adds the options of `run_ray_job`."""
    group.add_argument(
        "--ray", default="", metavar="ADDRESS",
        help="by Ray, on a cluster: local, auto or the head's host:port. --data is then Parquet files (a folder or a "
        "pattern) and --output a folder, both visible to all nodes or URIs (s3://..)",
    )  # fmt: skip
    group.add_argument(
        "--keep", nargs="+", default=[], metavar="COLUMN",
        help="with --ray: columns of the data that the result has too, as an id, to join the two by",
    )  # fmt: skip
    group.add_argument("--workers", type=int, default=0, help="with --ray: most at a time (default: all that fit)")
    group.add_argument("--cpus-per-worker", type=float, default=1, help="with --ray (default: 1)")
    group.add_argument("--gpus-per-worker", type=float, default=0, help="with --ray, as 0.25 (default: 0)")


def check_ray(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Raises ValueError for an option that has no effect with --ray, or without it, and for the name of a file."""
    if options.ray:
        refuse_given(parser, options, ("processes", "raw_cells", "on_bad_row"), "with --ray")
        if (suffix := Path(options.output).suffix).lower() in OTHER_FORMATS:
            raise ValueError(
                f"--output {options.output}: with --ray the result is a folder of Parquet files; leave out {suffix}"
            )
    else:
        refuse_given(parser, options, ("keep", "workers", "cpus_per_worker", "gpus_per_worker"), "without --ray")


def check_text_or_file(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Raises ValueError for an option that has no effect on a file, or on texts of the command line."""
    if options.data:
        refuse_given(parser, options, ("text_pair", "json"), "with --data")
    elif options.output:
        check_files(options)
    else:
        # standard input, too, has an encoding
        reading = [name for name in OWN["reading"] if name != "encoding" or options.text]
        refuse_given(parser, options, (*reading, "processes", "ray", "raw_cells"), "without --data")
    check_ray(parser, options)


def run_file_job(
    options: argparse.Namespace, predictor: Any, write: Callable[..., int], about: dict[str, Any], **more: Any
) -> None:
    """Reads the file in chunks, writes their results, and prints their number.

    Args:
        options: of the command line.
        predictor: the model.
        write: `pct.output.files.write_predictions` or `write_explanations`.
        about: further settings that the result depends on.
        **more: further arguments of `write`.

    Raises:
        ValueError: --data without --output, or an output that is the data.
    """
    from pct.corpora.files import open_table
    from pct.corpora.rows import RowReader
    from pct.output.files import ROWS_PER_CHUNK
    from pct.output.workers import START_SECONDS, Workers

    check_files(options)
    reader = RowReader(_reading(options, predictor))
    table = open_table(options.data, reader.options)
    if options.label_column:
        reader.check_columns(table, labelled=True)
    chunks = reader.chunks(table, predictor.classes, ROWS_PER_CHUNK)
    job = {**_identity(about, reader.options, predictor), "data": _file_identity(options.data)}
    on_gpu = hasattr(predictor, "model") and predictor.model.device.type != "cpu"
    workers = Workers(
        predictor, partial(open_given, options), options.processes or (1 if on_gpu else 0),
        0.0 if options.processes else START_SECONDS,
    )  # fmt: skip
    with _progress(options.quiet) as after:
        pairs = bool(reader.options.pair_column(table.columns))
        note_single_texts(predictor, pairs)
        texts = write(workers, chunks, options.output, job, after, pairs=pairs, **more)
    reader.notify(options.data)
    print(f"{plural(texts, 'text')}  {options.output}")


def run_ray_job(
    options: argparse.Namespace,
    predictor: Any,
    rows: Callable[..., Any],
    schema: Any,
    about: dict[str, Any],
    labelled: bool = False,
) -> str:
    """As `run_file_job`, from Parquet files to a folder of Parquet files, by Ray Data.

    Args:
        options: of the command line.
        predictor: the model; each worker opens its own.
        rows: of `pct.output.files`: the model and a chunk -> rows.
        schema: of pyarrow, of these rows.
        about: settings that the result depends on.
        labelled: whether the files must have labels.

    Returns:
        What was written, in words.
    """
    check_files(options)
    # an unusable row is written with its error
    reading = replace(_reading(options, predictor, labelled), on_bad_row="error")
    job = _identity(about, reading, predictor)
    # by name: the library imports nothing of the packages above it
    resources = import_module("tuning.resources").Resources(
        options.ray, options.workers, options.cpus_per_worker, options.gpus_per_worker
    )
    if Path(options.model).exists():  # a worker may have another working directory
        options = argparse.Namespace(**{**vars(options), "model": str(Path(options.model).absolute())})
    count = import_module("tuning.bulk").run_bulk(
        options.data, options.output, rows, schema, partial(open_given, options), reading, job, resources,
        getattr(options, "quiet", False), reading.labels_required, list(dict.fromkeys(options.keep)),
    )  # fmt: skip
    unusable = f", {plural(count.errors, 'row')} with an error (column error)" if count.errors else ""
    return f"{plural(count.rows, 'row')}  {options.output.rstrip('/')}/*.parquet{unusable}"


def _reading(options: argparse.Namespace, predictor: Any, labelled: bool = False) -> ReadOptions:
    """How the file is read. Labels are required if the command needs them, or their column was given."""
    from pct.corpora.rows import ReadOptions

    reading = ReadOptions.of(reading_settings(options, predictor.settings))
    return replace(reading, labels_required=labelled or bool(options.label_column))


def _identity(about: dict[str, Any], reading: ReadOptions, predictor: Any) -> dict[str, Any]:
    """What the result of a job depends on, apart from the data."""
    from pct.auditing.kept import model_digest

    model = {"model": model_digest(predictor), "settings": predictor.settings.to_dict()}
    return {**about, **asdict(reading), **model}


def check_files(options: argparse.Namespace) -> None:
    """Raises ValueError for --data without --output, the reverse, or an output that would overwrite the data."""
    if not (options.data and options.output):
        raise ValueError("--data and --output need each other: give the file of the texts and the file for the result")
    if options.data != "-" and Path(options.data).resolve() == Path(options.output).resolve():
        raise ValueError(f"--output {options.output} is also --data; give another name")


def _file_identity(path: str) -> list[Any]:
    """Values that change with the file. Those of standard input are unique, so that its job starts again."""
    if path == "-":
        return [path, time.time_ns()]
    state = Path(path).stat()
    return [str(Path(path).resolve()), state.st_size, state.st_mtime_ns]


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, bool], None]]:
    """A bar with texts per second on a terminal. Texts of an earlier run do not count for the rate."""
    from tqdm import tqdm

    with tqdm(unit=" texts", disable=quiet or not sys.stderr.isatty()) as bar:

        def after(texts: int, done_before: bool) -> None:
            if done_before and not bar.disable:
                bar.initial += texts
            bar.update(texts)

        yield after
