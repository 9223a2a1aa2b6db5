"""Files of texts on Ray Data: every row once, unusable rows with their error, a killed job that continues."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray")

from pct import cli
from pct.corpora.rows import ReadOptions
from tuning.bulk import ROW, apply_rows, matching, room_for, run_bulk, with_columns
from tuning.bulk_files import JOB
from tuning.resources import Resources

FIXTURES = Path(__file__).parents[1] / "fixtures" / "v0.1.0"
RUN, MODEL = str(FIXTURES / "run-textcnn"), str(FIXTURES / "exported-textcnn")  # the second one needs no torch
BY_RAY = ["--ray", "local", "--workers", "1"]
TEXTS = ["the film is brilliant .", "dull", "a tired film", "funny and moving", "weak"]


class Model:
    """Its classes; no text may have more than three words."""

    classes = ("a", "b")


def lengths(model, chunk):
    if any(len(text.split()) > 3 for text in chunk.texts):
        raise FloatingPointError("too long")
    return [{"row": number, "text": text} for number, text in zip(chunk.numbers, chunk.texts, strict=True)]


def written(folder):
    return ds.dataset(folder, format="parquet").to_table().to_pylist()


def test_unusable_rows_have_their_error_and_the_others_their_result():
    texts = ["one", None, "two three", "four five six seven", "eight", ""]
    values = [{"text": text, ROW: number * 10} for number, text in enumerate(texts)]
    records = apply_rows(Model(), lengths, values, ReadOptions())
    assert [record[ROW] for record in records] == [0, 10, 20, 30, 40, 50]
    assert [record["error"] is None for record in records] == [True, False, True, False, True, False]
    assert [record["text"] for record in records] == texts
    assert "too long" in records[3]["error"]


def test_a_pattern_names_the_files_that_match_it(tmp_path):
    for name in ("a.parquet", "b.parquet", "c.csv"):
        (tmp_path / name).touch()
    assert matching(f"{tmp_path}/*.parquet") == [f"{tmp_path}/a.parquet", f"{tmp_path}/b.parquet"]
    assert matching(str(tmp_path)) == str(tmp_path)
    with pytest.raises(ValueError, match="there are no such Parquet files"):
        matching(f"{tmp_path}/*.arrow")


def test_workers_have_room_beside_the_tasks_of_ray_data():
    assert room_for(Resources(cpus=1), {"CPU": 10.0}) == 8
    assert room_for(Resources(cpus=4), {"CPU": 9.0, "GPU": 8.0}) == 1
    assert room_for(Resources(cpus=0.5, gpus=0.5), {"CPU": 32.0, "GPU": 4.0}) == 8
    assert room_for(Resources(cpus=2), {"CPU": 3.0}) == 0


def write_parts(folder, texts):
    folder.mkdir()
    for number, part in enumerate((texts[:2], texts[2:])):
        stars = [1 + 2 * number + i for i in range(len(part))]
        pq.write_table(pa.table({"review": part, "stars": stars}), folder / f"{number}.parquet")


@pytest.mark.usefixtures("local_ray")
def test_a_folder_of_parquet_files_is_explained_as_one_file_is(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths may be relative
    write_parts(tmp_path / "in", [*TEXTS, None])
    common = ["--text-column", "review", "--max-steps", "3", "--quiet"]
    by_ray = ["explain", MODEL, "--data", "in", "--output", "out", *BY_RAY, "--keep", "stars", *common]
    assert cli.main(by_ray) == 0
    assert "6 rows" in capsys.readouterr().out
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"review": text}) + "\n" for text in TEXTS))
    alone = tmp_path / "alone.parquet"
    assert cli.main(["explain", MODEL, "--data", str(tmp_path / "texts.jsonl"), "--output", str(alone), *common]) == 0
    expected = {row["text"]: {k: v for k, v in row.items() if k != "row"} for row in pq.read_table(alone).to_pylist()}
    rows = written(tmp_path / "out")
    assert len({row.pop(ROW) for row in rows}) == 6
    assert sorted(row.pop("stars") for row in rows) == [1, 2, 3, 4, 5, 6]
    errors = [row["error"] for row in rows if row["error"]]
    assert len(errors) == 1
    assert "review" in errors[0]
    explained = {row["text"]: row for row in rows if row.pop("error") is None}
    assert explained == expected
    # a finished job is not repeated, and another job is refused
    capsys.readouterr()
    assert cli.main([*by_ray[:3], "in/*.parquet", *by_ray[4:]]) == 0  # the same files
    assert "6 rows  out/*.parquet, 1 row with an error" in capsys.readouterr().out
    assert len(written(tmp_path / "out")) == 6
    assert cli.main([*by_ray, "--removal", "mask"]) == 1
    assert "another job (it differs in removal)" in capsys.readouterr().err
    pq.write_table(pa.table({"review": ["a new file"], "stars": [5]}), tmp_path / "in" / "2.parquet")
    assert cli.main(by_ray) == 1
    assert "another job (it differs in files)" in capsys.readouterr().err


@pytest.mark.usefixtures("local_ray")
def test_a_folder_of_parquet_files_is_measured_as_one_file_is(tmp_path, capsys):
    texts, labels = (
        [*TEXTS, "a work of joy"],
        ["positive", "negative", "negative", "positive", "negative", "unheard of"],
    )
    (tmp_path / "in").mkdir()
    numbers = list(range(len(texts)))
    pq.write_table(pa.table({"text": texts, "label": labels, "number": numbers}), tmp_path / "in" / "a.parquet")
    pq.write_table(pa.table({"text": texts[:5], "label": labels[:5]}), tmp_path / "alone.parquet")
    common = ["--metrics", "acc", "comp", "suff", "ir", "--json"]
    by_ray = ["--data", str(tmp_path / "in"), "--output", str(tmp_path / "out"), *BY_RAY]
    assert cli.main(["evaluate", MODEL, *by_ray, "--keep", "number", *common]) == 0
    captured = capsys.readouterr()
    assert "1 row with an error" in captured.err
    measured = json.loads(captured.out)
    assert [row["acc"] for row in sorted(written(tmp_path / "out"), key=lambda row: row["number"])][5:] == [None]
    assert cli.main(["evaluate", MODEL, "--data", str(tmp_path / "alone.parquet"), *common]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert measured["texts"] == expected["texts"] == 5
    for part in ("metrics", "standard_errors"):
        assert measured[part] == pytest.approx(expected[part])


def test_columns_that_are_kept_stand_beside_their_rows_in_any_order_and_number():
    batch = pa.table({ROW: [7, 8, 9], "id": ["x", "y", None]})
    result = with_columns(pa.table({ROW: [9, 7, 7]}), batch, ["id"])
    assert result.to_pydict() == {ROW: [9, 7, 7], "id": [None, "x", "x"]}


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (["stars", "id"], "--keep id: .* has no such column, it has review, stars"),
        (["text"], "rename that of the data"),
    ],
)
def test_columns_that_cannot_be_kept_are_named_before_ray_starts(keep, message, tmp_path):
    write_parts(tmp_path / "in", TEXTS)
    pq.write_table(pa.table({"review": ["dull"], "text": ["dull"]}), tmp_path / "text.parquet")
    data = tmp_path / ("text.parquet" if keep == ["text"] else "in")
    with pytest.raises(ValueError, match=message):
        run_bulk(
            str(data), str(tmp_path / "out"), lengths, pa.schema([("row", pa.int64()), ("text", pa.string())]), Model,
            ReadOptions("review"), {}, Resources("local"), keep=keep,
        )  # fmt: skip
    assert not (tmp_path / "out" / JOB).exists()


@pytest.fixture
def running(tmp_path):
    """A job that has written some rows, its command, its output and its texts."""
    texts = [f"{TEXTS[i % 5]} {i} " + "film " * 60 for i in range(12_000)]
    write_parts(tmp_path / "in", texts)
    output = tmp_path / "out"
    command = [
        sys.executable, "-m", "pct.cli", "predict", RUN, "--data", str(tmp_path / "in"), "--text-column", "review",
        "--output", str(output), "--ray", "local", "--workers", "1", "--quiet",
    ]  # fmt: skip
    with (tmp_path / "messages").open("w") as messages:
        job = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=messages)
    try:
        while not list(output.glob("*.parquet")):
            assert job.poll() is None, "the job ended before it was killed"
            time.sleep(0.05)
        yield job, command, output, texts
    finally:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()


@pytest.mark.faults
def test_a_job_that_is_terminated_says_in_its_last_line_that_the_same_command_continues(running, tmp_path):
    job, *_ = running
    job.terminate()
    assert job.wait(timeout=60) == 130
    messages = (tmp_path / "messages").read_text()
    assert "Traceback" not in messages
    assert messages.splitlines()[-1] == "interrupted; run the same command again to continue"


@pytest.mark.faults
def test_a_job_whose_driver_is_killed_continues_without_a_row_lost_or_doubled(running):
    job, command, output, texts = running
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert not (output / "_SUCCESS").exists()
    before = len(list(output.glob("*.parquet")))
    subprocess.run(command, check=True, capture_output=True)
    assert len(list(output.glob("*.parquet"))) > before
    rows = written(output)
    assert sorted(row["text"] for row in rows) == sorted(texts)
    assert len({row[ROW] for row in rows}) == len(texts)
