"""The folder of a bulk job and the checks of its files, before Ray starts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tuning.bulk_files import (
    DONE,
    JOB,
    PROGRESS,
    JobFolder,
    absolute,
    check_apart,
    check_columns,
    files_of,
    unusable_file,
)
from tuning.resources import Resources


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_a_job_without_rows_does_not_keep_another_one_from_its_folder(tmp_path):
    JobFolder(str(tmp_path)).open({"text": "text"})
    (tmp_path / PROGRESS).mkdir()
    (tmp_path / DONE).touch()
    folder = JobFolder(str(tmp_path))
    folder.open({"text": "review"})
    assert not folder.finished
    assert not (tmp_path / PROGRESS).exists()
    (tmp_path / JOB).write_text("")  # a driver that died while it wrote
    folder.open({"text": "review"})
    write(tmp_path / "part.parquet", row=[1])
    folder.open({"text": "review"})
    with pytest.raises(ValueError, match=r"differs in text\); finish that one"):
        folder.open({"text": "text"})


def test_a_damaged_description_beside_rows_is_named(tmp_path):
    write(tmp_path / "part.parquet", row=[1])
    (tmp_path / JOB).write_text("")
    with pytest.raises(ValueError, match=rf"{JOB} is damaged .*; remove the folder"):
        JobFolder(str(tmp_path)).open({"text": "text"})


@pytest.mark.parametrize(("data", "output", "apart"), [
    ("in", "in", False), ("in/", "in/", False), ("in/*.parquet", "in", False), ("in", "in/out", False),
    ("in/*.parquet", "in/out", True), ("in", "in2", True), ("in/a.parquet", "in", True),
])  # fmt: skip
def test_results_may_not_be_read_as_data(data, output, apart):
    if apart:
        check_apart(data, output)
    else:
        with pytest.raises(ValueError, match=f"--output {output} is in the folder of --data"):
            check_apart(data, output)


@pytest.mark.parametrize("use", [lambda uri: Resources(storage=uri), JobFolder, files_of])
def test_a_uri_with_a_query_is_refused_with_the_remedy(use):
    message = r"s3://b/c\?endpoint_override=h:9 has the query 'endpoint_override=h:9'.*set .* AWS_ENDPOINT_URL"
    with pytest.raises(ValueError, match=message):
        use("s3://b/c?endpoint_override=h:9")
    assert absolute("s3://b/part-?.parquet") == "s3://b/part-?.parquet"  # a pattern


def test_a_missing_column_is_named_with_the_option_that_sets_it(tmp_path):
    path = write(tmp_path / "a.parquet", review=["fine"], stars=[1])
    check_columns(str(path), str(path), ["review", "stars"])
    with pytest.raises(ValueError, match="no column 'text', it has review, stars; set text_column"):
        check_columns(str(tmp_path), f"{tmp_path}/a.parquet", ["text"])
    with pytest.raises(ValueError, match="no column 'label', it has review, stars; set label_column"):
        check_columns(f"{tmp_path}/*.parquet", str(path), ["review", "label"])


def test_the_file_that_cannot_be_read_or_has_other_types_is_named(tmp_path):
    write(tmp_path / "a.parquet", text=["fine"], label=["good"])
    assert unusable_file(str(tmp_path)) == ""
    write(tmp_path / "b.parquet", text=["fine"], label=[1])
    assert unusable_file(str(tmp_path)).startswith(f"column 'label' is int64 in {tmp_path}/b.parquet and string")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    assert unusable_file(str(tmp_path)).startswith(f"{tmp_path}/b.parquet cannot be read as Parquet")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read as Parquet"):
        check_columns(str(tmp_path), f"{tmp_path}/a.parquet", ["text"])
