"""The commands of the page on clusters, each run on a local Ray with small data."""

import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pct import cli
from tests.project import REPOSITORY

RUN = str(REPOSITORY / "tests" / "fixtures" / "v0.1.0" / "run-textcnn")
PAGE = REPOSITORY / "docs" / "how-to" / "cluster.md"
COMMANDS = [line.strip() for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("    pct ")]
SMALL = "--limit 64 --epochs 1 --evaluate-limit 16 --device cpu --quiet"
# what stands in the place of a cluster, its disks and its models
HERE = {
    "--ray auto": "--ray local", "MODEL": RUN, "--devices 4": "--devices 2", "--workers 16": "--workers 1",
    "--corpus imdb --model lstm": f"--corpus planted --model textcnn {SMALL}",
    "--corpus imdb --model bert": f"--corpus planted --run-dir run {SMALL}", "--gpus-per-worker 0.5": "",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("reviews", "labelled"):
        (tmp_path / folder).mkdir()
        rows = {"id": [1, 2], "text": ["the film is brilliant .", "dull"], "label": ["positive", "negative"]}
        pq.write_table(pa.table(rows), tmp_path / folder / "a.parquet")
    for there, here in {**HERE, "/shared": str(tmp_path), "s3://bucket": str(tmp_path)}.items():
        command = command.replace(there, here)
    assert cli.main(shlex.split(command)[1:]) == 0


def test_the_page_has_commands():
    assert len(COMMANDS) >= 4
