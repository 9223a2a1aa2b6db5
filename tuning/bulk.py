"""`pct predict`, `explain` and `evaluate` on a cluster: Parquet files to Parquet files by Ray Data.

Ray Data reads the files, applies the model in a pool of actors and writes the results. Its checkpoints record the rows
that are written, so that the same command continues after any process was killed, and no row is lost or doubled.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pct.corpora.rows import ReadOptions, RowReader, Table
from pct.corpora.values import BadRow
from pct.output.files import Rows
from pct.output.records import Record
from pct.output.workers import available_cores
from pipelines.job import first_line
from tuning.bulk_files import PROGRESS, Counts, JobFolder, check_apart, check_columns, files_of, matching, unusable_file
from tuning.cluster import ClusterError, connected
from tuning.resources import Resources

ROW = "row_hash"  # Ray's hash of a row's file and its number in that file
TEXTS_A_CALL = 256
Worker = tuple[Callable[[int], Any], int, Rows, Any, ReadOptions, Sequence[str]]  # the arguments of an actor
BLOCK_BYTES = 2**19  # of texts: the unit of work of an actor, and of what a killed one repeats
OWN_CPUS = 2  # of Ray Data, beside those of the workers


def run_bulk(
    data: str,
    output: str,
    rows: Rows,
    schema: Any,
    open_model: Callable[[int], Any],
    reading: ReadOptions,
    about: dict[str, Any],
    resources: Resources,
    quiet: bool = False,
    labelled: bool = False,
    keep: Sequence[str] = (),
) -> Counts:
    """Applies a model to the texts of Parquet files, and writes Parquet files.

    The rows of the result have `row_hash`, `error`, the columns of `schema` and those that are kept. A row that cannot
    be used has its error, and no result.

    Args:
        data: a file, a folder or a pattern, on a file system of all nodes or a URI (s3://, gs://).
        output: a folder, likewise.
        rows: the model and a chunk -> the rows of the result; pickled.
        schema: of pyarrow, of these rows.
        open_model: opens the model on a worker, given its number of threads; pickled.
        reading: how a row is read.
        about: what the result depends on, as JSON values.
        resources: Ray's address, the number of workers, and what each takes.
        quiet: no progress bars.
        labelled: whether the files must have labels.
        keep: the columns of the data that are copied to the result.

    Returns:
        The numbers of rows in the output.

    Raises:
        ValueError: there are no such files, or they lack a column, or the output is among them, or it holds rows of
            another job or of other files, or a column to keep has the name of one of the result.
        ClusterError: Ray cannot be reached.
    """
    check_apart(data, output)
    folder = JobFolder(output)
    files = files_of(data)
    about = {**about, "files": files, **({"keep": list(keep)} if keep else {})}
    check_columns(data, files[0][0], [reading.text, *(reading.label_columns if labelled else ())], keep)
    if taken := sorted({*keep} & {*output_schema(schema).names}):
        raise ValueError(
            f"--keep {taken[0]}: the result has a column of this name; leave it out, or rename that of the data"
        )
    folder.open(about)
    if not folder.finished:
        # Ray Data would start 32 processes that read the files' metadata; each takes ten files at a time
        os.environ.setdefault("RAY_DATA_PARQUET_FOOTER_NUM_ACTORS", str(min(math.ceil(len(files) / 10), 32)))
        worker = (open_model, max(int(resources.cpus), 1), rows, schema, reading, keep)
        try:
            with connected(with_room(resources), unit="worker", options="--cpus-per-worker and --gpus-per-worker"):
                _write(data, folder.uri, worker, resources, quiet)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; run the same command again to continue") from None
        folder.finish()
    return folder.counts


def _write(data: str, folder: str, worker: Worker, resources: Resources, quiet: bool) -> None:
    import ray.data
    from ray.data.checkpoint import CheckpointConfig
    from ray.exceptions import RayError

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = BLOCK_BYTES
    context.enable_progress_bars = not quiet
    room = room_for(resources, ray.cluster_resources())
    workers = resources.workers or max(room, 1)
    # Ray Data would keep CPUs for its own tasks that they do not need where there is room for both
    context.op_resource_reservation_enabled = workers > room
    context.checkpoint_config = CheckpointConfig(ROW, f"{folder}/{PROGRESS}")
    with ray.data.DataContext.current(context):
        try:
            dataset = ray.data.read_parquet(matching(data), include_row_hash=True)
            names = dataset.schema().names
        except Exception as problem:  # Arrow's, or Ray's around them
            raise ValueError(f"--data {data}: {unusable_file(data) or first_line(problem, 300)}") from problem
        *_, reading, keep = worker
        columns = dict.fromkeys([*columns_read(names, reading), *keep])
        results = dataset.select_columns(list(columns)).map_batches(
            _Apply,
            fn_constructor_args=worker,
            batch_size=TEXTS_A_CALL,
            batch_format="pyarrow",
            # all from the start, since a pool grows slowly; a worker queues one call, as others may be idle
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=2
            ),
            num_cpus=resources.cpus,
            num_gpus=resources.gpus or None,
        )
        try:
            results.write_parquet(folder)
        except RayError as problem:
            if (reason := not_opened(str(problem))) is not None:
                raise ClusterError(f"a worker cannot open the model: {reason}") from problem
            raise ClusterError(
                f"{first_line(problem, 300)}; finished rows are kept: run the command again"
            ) from problem


def not_opened(message: str) -> str | None:
    """The error with which a worker failed to start, of Ray's message with its traceback; None for another message."""
    lines = message.strip().splitlines()
    return lines[-1][:300] if lines and "creation task" in lines[0] else None


def with_room(resources: Resources) -> Resources:
    """The resources with room for Ray Data's own tasks on this machine: those of reading and of leaving out finished
    rows hold a CPU each while the workers hold theirs, and would wait for each other for ever."""
    workers = resources.workers or max(int(available_cores() / resources.cpus), 1)
    return replace(resources, workers=workers + math.ceil(OWN_CPUS / resources.cpus))


def room_for(resources: Resources, cluster: Mapping[str, float]) -> int:
    """How many workers a cluster can hold beside Ray Data's own tasks. cluster: its resources, by Ray's names."""
    by_cpus = (cluster.get("CPU", 0) - OWN_CPUS) / resources.cpus
    return int(min(by_cpus, cluster.get("GPU", 0) / resources.gpus if resources.gpus else by_cpus))


class _Apply:
    """An actor of the pool: it opens the model once."""

    def __init__(
        self,
        open_model: Callable[[int], Any],
        threads: int,
        rows: Rows,
        schema: Any,
        reading: ReadOptions,
        keep: Sequence[str],
    ) -> None:
        self.model = open_model(threads)
        self.rows, self.schema, self.reading, self.keep = rows, schema, reading, keep

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa

        values = batch.select(columns_read(batch.column_names, self.reading))
        records = apply_rows(self.model, self.rows, values.to_pylist(), self.reading)
        result = pa.Table.from_pylist(records, output_schema(self.schema))
        return with_columns(result, batch, self.keep)


def columns_read(names: Sequence[str], reading: ReadOptions) -> list[str]:
    """Those columns of the data that the work needs. names: of all."""
    needed = {ROW, *reading.wanted}
    return [name for name in names if name in needed]


def output_schema(schema: Any) -> Any:
    """The schema of the result, of pyarrow: the rows' own, with the hash and the error in the place of the number."""
    import pyarrow as pa

    return pa.schema([(ROW, pa.uint64()), ("error", pa.string()), *(field for field in schema if field.name != "row")])


def with_columns(result: Any, batch: Any, keep: Sequence[str]) -> Any:
    """A table of results with columns of the batch that they come from, both of pyarrow. keep: their names."""
    import pyarrow as pa

    rows = {row: i for i, row in enumerate(batch[ROW].to_pylist())}
    index = pa.array([rows[row] for row in result[ROW].to_pylist()], pa.int64())
    for name in keep:
        result = result.append_column(batch.schema.field(name), batch[name].take(index))
    return result


def apply_rows(model: Any, rows: Rows, values: list[dict[str, Any]], reading: ReadOptions) -> list[Record]:
    """The rows of the result for some rows of a file.

    Args:
        model: the model.
        rows: the model and a chunk -> the rows of the result.
        values: the cells of each row by column, with `row_hash`.
        reading: how a row is read.

    Returns:
        Records of `output_schema`. If the rows cannot be used together, they are halved until the unusable ones are
        alone; these have the error, and the text where it is one.
    """
    table = Table("the file", list(values[0]), iter(enumerate(values)))
    try:
        chunks = RowReader(reading).chunks(table, model.classes, len(values))
        return [
            {ROW: values[record["row"]][ROW], "error": None, **record}
            for chunk in chunks
            for record in rows(model, chunk)
        ]
    except (ValueError, TypeError, FloatingPointError) as problem:
        if len(values) > 1:
            half = len(values) // 2
            return [r for part in (values[:half], values[half:]) for r in apply_rows(model, rows, part, reading)]
        fault = problem.__context__ if isinstance(problem.__context__, BadRow) else problem  # without a row's number
        text = values[0].get(reading.text)
        return [{ROW: values[0][ROW], "error": str(fault), "text": text if isinstance(text, str) else None}]
