"""pct reproduce: a grid of runs, cell by cell, on again with where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pct.settings import Settings
from pct.training.grid import find_runs, make_grid
from tuning import reproduce

TINY = [
    "--corpora", "planted", "--models", "textcnn", "--seeds", "0", "--limit", "48", "--epochs", "1", "--device", "cpu",
    "--evaluate-epochs", "false", "--threads", "1", "--quiet",
]  # fmt: skip


def test_each_cell_has_its_model_s_own_settings_and_embeddings_and_each_seed_comes_whole() -> None:
    base = Settings(glove="glove.txt", epochs=5)
    cells = make_grid(base, ["mr", "planted"], ["textcnn", "bert"], ["normal", "pct", "rationale"], [3, 4])
    assert [s.seed for s in cells] == [3] * 10 + [4] * 10
    by_name = {(s.corpus, s.model, s.method): s for s in cells if s.seed == 3}
    assert (by_name["mr", "textcnn", "pct"].alpha, by_name["mr", "bert", "pct"].alpha) == (0.1, 1.2)
    assert (by_name["mr", "textcnn", "pct"].glove, by_name["mr", "bert", "pct"].glove) == ("glove.txt", "")
    assert ("mr", "textcnn", "rationale") not in by_name  # it has none
    assert ("planted", "textcnn", "rationale") in by_name
    assert {s.epochs for s in cells} == {5}


def test_a_setting_that_is_given_holds_for_every_cell() -> None:
    cells = make_grid(Settings(alpha=0.3), ["mr"], ["textcnn", "bert"], ["pct"], [0])
    assert {s.alpha for s in cells} == {0.3}


def test_cells_are_trained_once_tracked_and_a_cell_that_fails_leaves_the_others(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TINY, "--methods", "normal", "pct", "--runs", "cells", "--experiment", "grid"]
    assert reproduce.main([*command, "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert reproduce.main(command) == 0
    experiment = client.get_experiment_by_name("grid").experiment_id
    assert len(client.search_runs([experiment])) == 2
    assert [r.settings.method for r in find_runs(["cells"])] == ["normal", "pct"]
    first = sorted(Path("cells").glob("*/report.json"))
    times = [f.stat().st_mtime_ns for f in first]

    # a corpus that cannot be read: told at the end, while the cells before and after it stand
    worse = [*command, "--corpora", "files", "planted", "--train_file", "none.csv", "--test_file", "none.csv"]
    assert reproduce.main(worse) == 1
    assert "error: 2 of 4 cells failed, the first is cells/files-textcnn-normal" in capsys.readouterr().err
    assert reproduce.main(command) == 0
    assert [f.stat().st_mtime_ns for f in first] == times
    assert len(client.search_runs([experiment])) == 4


def test_workers_train_cells_side_by_side_to_the_same_weights_and_one_that_fails_leaves_the_others(
    local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TINY, "--methods", "normal", "pct", "--no-tracking"]
    assert reproduce.main([*command, "--runs", "one-by-one"]) == 0
    there = [*command, "--runs", "by-ray", "--workers", "2"]
    worse = ["--corpora", "files", "planted", "--train_file", "none.csv", "--test_file", "none.csv"]
    assert reproduce.main([*there, *worse]) == 1
    assert "error: 2 of 4 cells failed, the first is by-ray/files-textcnn-normal" in capsys.readouterr().err
    assert reproduce.main(there) == 0  # the cells of the grid before were others: they had files
    assert capsys.readouterr().err.startswith("0 of 2 cells are finished in by-ray")

    serial, parallel = (
        {(r.settings.method, r.settings.train_file): r.about["weights"] for r in find_runs([folder])}
        for folder in ("one-by-one", "by-ray")
    )
    assert len(parallel) == 4
    assert {k: parallel[k] for k in serial} == serial
    times = [f.stat().st_mtime_ns for f in sorted(Path("by-ray").glob("planted*/report.json"))]
    assert reproduce.main(there) == 0
    assert [f.stat().st_mtime_ns for f in sorted(Path("by-ray").glob("planted*/report.json"))] == times


def test_a_grid_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no finished run in .*; make some with pct reproduce"):
        find_runs([tmp_path])
