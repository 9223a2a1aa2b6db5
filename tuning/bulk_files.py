"""The files of a bulk job: those that it reads, and the folder that it writes, on any file system of pyarrow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from pct.corpora.rows import Table, has_column
from pct.output.bulk import check_same_job
from tuning.resources import check_uri

# readers of the folder ignore names with an underscore
JOB, DONE, PROGRESS = "_job.json", "_SUCCESS", "_progress"


class Counts(NamedTuple):
    """Numbers of rows of a result: all, and those that could not be used."""

    rows: int
    errors: int


class JobFolder:
    """The folder of the result: Parquet files, and a file that states what they depend on.

    Args:
        output: a path or a URI.
    """

    def __init__(self, output: str) -> None:
        from pyarrow import fs

        self.uri = absolute(output.rstrip("/"))
        self.files, self.path = fs.FileSystem.from_uri(self.uri)

    def open(self, about: dict[str, Any]) -> None:
        """Begins a job, or continues it. A job that wrote no rows does not keep another one from the folder.

        Args:
            about: what the result depends on, as JSON values.

        Raises:
            ValueError: the folder holds rows of another job, or its description is damaged.
        """
        self.files.create_dir(self.path, recursive=True)
        if self._exists(JOB) and (before := self._before()) != about:
            if self._has_rows():
                check_same_job(before, about, self.uri)
            if self._exists(DONE):
                self.files.delete_file(f"{self.path}/{DONE}")
            if self._exists(PROGRESS):
                self.files.delete_dir(f"{self.path}/{PROGRESS}")
        part = f"{self.path}/{JOB}.part"
        with self.files.open_output_stream(part) as stream:
            stream.write(json.dumps(about).encode())
        self.files.move(part, f"{self.path}/{JOB}")

    @property
    def finished(self) -> bool:
        """Whether all rows are written."""
        return self._exists(DONE)

    def finish(self) -> None:
        """Marks the folder as finished."""
        with self.files.open_output_stream(f"{self.path}/{DONE}"):
            pass

    @property
    def counts(self) -> Counts:
        """The number of rows in the folder, and of those with an error."""
        import pyarrow.dataset as ds

        rows = ds.dataset(self.path, filesystem=self.files, format="parquet")
        total = rows.count_rows()
        return Counts(total, rows.count_rows(filter=ds.field("error").is_valid()) if total else 0)

    def _before(self) -> dict[str, Any]:
        """What the rows in the folder depend on; empty if the description is damaged and there are none.

        Raises ValueError if it is damaged and there are some.
        """
        with self.files.open_input_stream(f"{self.path}/{JOB}") as stream:
            text = stream.read()
        try:
            before: dict[str, Any] = json.loads(text)
        except ValueError as problem:
            if not self._has_rows():
                return {}
            raise ValueError(
                f"{self.uri}/{JOB} is damaged ({problem}); remove the folder, or give another output"
            ) from problem
        return before

    def _has_rows(self) -> bool:
        from pyarrow import fs

        return any(info.extension == "parquet" for info in self.files.get_file_info(fs.FileSelector(self.path)))

    def _exists(self, name: str) -> bool:
        from pyarrow import fs

        return bool(self.files.get_file_info(f"{self.path}/{name}").type != fs.FileType.NotFound)


def check_apart(data: str, output: str) -> None:
    """Raises ValueError if files of the result would be among those of the data."""
    path, pattern = _path_and_pattern(data)
    folder = absolute(output.rstrip("/"))
    if folder == path or (not pattern and folder.startswith(f"{path}/")):
        raise ValueError(
            f"--output {output} is in the folder of --data, whose files it would join; give another folder"
        )


def check_columns(data: str, path: str, columns: Sequence[str], keep: Sequence[str] = ()) -> None:
    """Raises ValueError if a file of --data lacks a column, or cannot be read.

    Args:
        data: --data.
        path: of the file, in its file system.
        columns: of the texts, then those of the labels.
        keep: the columns that are copied.
    """
    import pyarrow as pa

    try:
        names = _schema(_file_system(data), path).names
    except (pa.ArrowException, OSError) as problem:
        raise ValueError(_unreadable(path, problem)) from problem
    table = Table(data, names, iter(()))
    for column in columns:
        if not has_column(table, column):
            option = "text_column" if column == columns[0] else "label_column"
            raise ValueError(f"{path} has no column {column!r}, it has {', '.join(names)}; set {option}")
    if missing := [column for column in keep if column not in names]:
        raise ValueError(f"--keep {missing[0]}: {path} has no such column, it has {', '.join(names)}")


def unusable_file(data: str) -> str:
    """The first file that cannot be read, or whose columns have other types than those of the first; else ''."""
    import pyarrow as pa

    file_system = _file_system(data)
    types: dict[str, Any] = {}
    for path in (info.path for info in _listing(data)):
        try:
            schema = _schema(file_system, path)
        except (pa.ArrowException, OSError) as problem:
            return _unreadable(path, problem)
        for field in schema:
            if types.setdefault(field.name, field.type) != field.type:
                return f"column {field.name!r} is {field.type} in {path} and {types[field.name]} in files before it"
    return ""


def files_of(data: str) -> list[list[Any]]:
    """The path, size and time of each file of --data, as JSON values. Raises ValueError if there is none."""
    return [[info.path, info.size, info.mtime_ns] for info in _listing(data)]


def matching(data: str) -> str | list[str]:
    """A file or a folder as it is, or the files that match a pattern. Raises ValueError where none does."""
    path, pattern = _path_and_pattern(data)
    return [f"{path}/{info.base_name}" for info in _listing(data)] if pattern else path


def absolute(path: str) -> str:
    """A path for other processes: absolute, unless it is a URI. Raises ValueError as `check_uri`."""
    check_uri(path)
    return path if "://" in path else str(Path(path).absolute())


def _path_and_pattern(data: str) -> tuple[str, str]:
    """The folder and the pattern of file names in it; a file or a folder as it is, without a pattern."""
    path = absolute(data)
    folder, _, pattern = path.rpartition("/")
    return (folder, pattern) if set(pattern) & set("*?[") else (path.rstrip("/"), "")


def _file_system(data: str) -> Any:
    from pyarrow import fs

    return fs.FileSystem.from_uri(_path_and_pattern(data)[0])[0]


def _schema(file_system: Any, path: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_schema(path, filesystem=file_system)


def _unreadable(path: str, problem: Exception) -> str:
    return f"{path} cannot be read as Parquet ({problem}); convert, repair or remove it"


def _listing(data: str) -> list[Any]:
    """What the file system says of each file of --data, by one call. Raises ValueError if there is none."""
    from pyarrow import fs

    path, pattern = _path_and_pattern(data)
    files, inner = fs.FileSystem.from_uri(path)
    listed = [files.get_file_info(inner)]
    if listed[0].type == fs.FileType.Directory:
        listed = files.get_file_info(fs.FileSelector(inner, recursive=not pattern))
        pattern = pattern or "*.parquet"  # of a folder Ray Data reads these
    own = [info for info in listed if info.type == fs.FileType.File and fnmatchcase(info.base_name, pattern or "*")]
    if not own:
        raise ValueError(f"--data {data}: there are no such Parquet files")
    return sorted(own, key=lambda info: info.path)
