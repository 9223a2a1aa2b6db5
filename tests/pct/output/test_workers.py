"""Several processes that share the chunks of a file."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pct import cli
from pct.output.bulk import JsonLines, parts_folder, run_job
from pct.output.workers import Workers

MODEL = str(Path(__file__).parents[2] / "fixtures" / "v0.1.0" / "exported-textcnn")  # whose processes import no torch
CHUNKS = [[0, 1], [2, 3], [4], [5, 6, 7], [8]]


def open_model(threads):
    return {"threads": threads, "process": os.getpid()}


def no_model(threads):
    return {"process": threads}


def rows(model, chunk):
    return [{"row": n, "process": model["process"], "threads": model["threads"]} for n in chunk]


def killed_once(model, chunk):
    """Kills its process at the third chunk, unless the file of that name exists."""
    marker = Path(os.environ["KILLED_ONCE"])
    if chunk == CHUNKS[2] and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return rows(model, chunk)


def job(output, work, workers):
    run_job(CHUNKS, work, output, JsonLines(), {}, workers)
    return [json.loads(line) for line in output.read_text().splitlines()]


def two_processes(patience=0.0):
    return Workers(open_model(0), open_model, processes=2, patience=patience)


def test_processes_share_the_chunks_and_their_rows_keep_the_order(tmp_path):
    written = job(tmp_path / "out.jsonl", rows, two_processes())
    assert [row["row"] for row in written] == list(range(9))
    assert os.getpid() not in {row["process"] for row in written}
    assert all(row["threads"] >= 1 for row in written)


def test_a_short_job_starts_no_process(tmp_path):
    written = job(tmp_path / "out.jsonl", rows, two_processes(patience=60.0))
    assert {row["process"] for row in written} == {os.getpid()}


def test_a_killed_worker_process_ends_the_job_and_the_same_job_completes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KILLED_ONCE", str(tmp_path / "killed"))
    output = tmp_path / "out.jsonl"
    with pytest.raises(RuntimeError, match=r"a worker process has died.*run the same command again"):
        job(output, killed_once, two_processes())
    assert not output.exists()
    assert parts_folder(output).is_dir()
    assert [row["row"] for row in job(output, killed_once, two_processes())] == list(range(9))


def report_pid(model, folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


def start_two(folder):
    list(two_processes().map(report_pid, iter([(folder,)] * 2)))


def test_worker_processes_end_with_a_parent_that_is_killed(tmp_path):
    parent = multiprocessing.get_context("spawn").Process(target=start_two, args=(str(tmp_path),))
    parent.start()
    try:
        while len(pids := [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]) < 2:
            assert parent.is_alive()
            time.sleep(0.1)
        workers = [psutil.Process(pid) for pid in pids]
    finally:
        parent.kill()
        parent.join()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


def test_a_second_job_of_the_same_output_is_refused(tmp_path):
    output = tmp_path / "out.jsonl"
    other = (
        "from pathlib import Path; from pct.writing import folder_lock; import sys\n"
        "with folder_lock(Path(sys.argv[1])):\n    print('in', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", other, str(parts_folder(output))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"in\n"
        with pytest.raises(ValueError, match="is in use by another process"):
            job(output, rows, Workers(open_model(0)))
        holder.communicate(b"\n")
    assert len(job(output, rows, Workers(open_model(0)))) == 9


def test_an_error_in_a_worker_process_is_that_of_the_job(tmp_path):
    with pytest.raises(KeyError, match="threads"):
        run_job(CHUNKS, rows, tmp_path / "out.jsonl", JsonLines(), {}, Workers({}, no_model, processes=2, patience=0.0))


def test_a_negative_number_of_processes_is_refused():
    with pytest.raises(ValueError, match="processes must be >= 0, got -1"):
        Workers(None, open_model, processes=-1)


def test_the_command_gives_the_same_file_with_any_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("pct.output.files.ROWS_PER_CHUNK", 2)
    data = tmp_path / "texts.txt"
    data.write_text("the film is brilliant .\ndull\na tired film\nfunny and moving\nweak\n")
    written = []
    for processes in ("1", "2"):
        output = tmp_path / f"{processes}.jsonl"
        command = ["explain", MODEL, "--data", str(data), "--output", str(output), "--processes", processes, "--quiet"]
        assert cli.main(command) == 0
        written.append(output.read_text())
    assert written[0].count("\n") == 5
    assert written[0] == written[1]
