"""pct compare, pct reproduce and pct ablation: one grid of runs, cell by cell, which goes on where it stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pct.settings import Settings
from pct.training.grid import find_runs, make_grid
from pct.training.paper import RESULTS, TABLES
from tests.pct.small import small_corpus, small_settings
from tests.project import REPOSITORY
from tuning import ablation, compare, reproduce, sweep
from tuning.cells_on_ray import train_cell
from tuning.trial import write_files

QUICK = [
    "--models", "textcnn", "--seeds", "0", "--limit", "48", "--epochs", "1", "--device", "cpu",
    "--evaluate-epochs", "false", "--threads", "1", "--quiet",
]  # fmt: skip
TINY = ["--corpora", "planted", *QUICK, "--no-report"]
MISSING = ["--corpora", "files", "planted", "--train_file", "none.csv", "--test_file", "none.csv"]


def cells_of(preset: compare.Preset, *command: str) -> list[Settings]:
    return compare.read_cells(compare.parser(preset).parse_args(command))


def weights(folder: str) -> dict[Any, str]:
    return {
        (r.settings.method, r.settings.train_file, r.settings.p_important, r.settings.p_unimportant): r.about["weights"]
        for r in find_runs([folder])
    }


def test_each_cell_has_its_model_s_own_settings_and_embeddings_and_each_seed_comes_whole():
    base = Settings(glove="glove.txt", epochs=5)
    cells = make_grid(base, ["mr", "planted"], ["textcnn", "bert"], ["normal", "pct", "rationale"], [3, 4])
    assert [s.seed for s in cells] == [3] * 10 + [4] * 10
    by_name = {(s.corpus, s.model, s.method): s for s in cells if s.seed == 3}
    assert (by_name["mr", "textcnn", "pct"].alpha, by_name["mr", "bert", "pct"].alpha) == (0.1, 1.2)
    assert (by_name["mr", "textcnn", "pct"].glove, by_name["mr", "bert", "pct"].glove) == ("glove.txt", "")
    assert ("mr", "textcnn", "rationale") not in by_name  # it has none
    assert ("planted", "textcnn", "rationale") in by_name
    assert {s.epochs for s in cells} == {5}


def test_a_setting_that_is_given_holds_for_every_cell_and_the_paper_s_where_none_is():
    cells = make_grid(Settings(alpha=0.9), ["mr"], ["lstm", "bert"], ["pct"], [0])
    assert [(s.model, s.alpha, s.lr) for s in cells] == [("lstm", 0.9, 5e-4), ("bert", 0.9, 3e-5)]
    assert [cell.margin_bound for cell in cells] == [2.0, 4.0]


def test_a_method_that_no_corpus_can_train_is_refused_and_a_file_may_have_rationales():
    with pytest.raises(ValueError, match="needs texts with rationales; mr has none"):
        make_grid(Settings(), ["mr"], ["textcnn"], ["rationale"], [0])
    assert make_grid(Settings(train_file="a.jsonl"), ["files"], ["textcnn"], ["rationale"], [0])


def test_settings_with_several_values_give_every_combination_measured_alike():
    cells = cells_of(
        compare.COMPARE, "--methods", "pct", "--seeds", "1", "--set", "tau=0.1,0.7; p_i=0,0.3", "--set", "epochs=2"
    )
    assert [(s.temperature, s.p_important, s.epochs) for s in cells] == [
        (0.1, 0.0, 2), (0.1, 0.3, 2), (0.7, 0.0, 2), (0.7, 0.3, 2),
    ]  # fmt: skip
    assert {s.measured_shares for s in cells} == {(0.1, 0.1)}
    assert {s.corpus for s in cells} == {"planted"}
    (plain,) = cells_of(compare.COMPARE, "--methods", "pct", "--seeds", "1", "--set", "alpha=0.3")
    assert plain == Settings(method="pct", seed=1, alpha=0.3)  # the same run as that of pct train


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_a_table_is_a_valid_run_measured_with_the_same_shares(name):
    cells = cells_of(reproduce.PAPER, "--corpora", "mr", "--models", "textcnn", "--table", name)
    assert len(cells) == 3 * len(TABLES[name].cells)
    assert {s.measured_shares for s in cells} == {(0.1, 0.1)}


def test_the_tables_agree_where_they_repeat_a_row_of_the_paper_s_main_table():
    """All have the paper's own setting, whose numbers Table 2 has too (except suff, .08 there and .04 here)."""
    main = RESULTS["mr"]["textcnn"]
    own = {"batch_size": "64", "shares": "p_u = p_i = 0.1", "tau": "0.7", "alpha": "0.1"}
    for name, label in own.items():
        (cell,) = (c for c in TABLES[name].cells if c.label == label)
        assert cell.paper[:3] == main["pct"][:3]
        assert cell.paper[3] == 0.04
        if name == "batch_size":
            assert cell.paper[4:] == main["pct"][4:]
    assert TABLES["shares"].cells[0].paper == main["normal"][:4]


def test_an_unknown_row_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"alpha has no cell 0\.2; it has '0\.05', '0\.1'"):
        compare.table_rows("alpha", ["0.2"])


def test_the_entry_points_of_the_project_parse():
    project = yaml.safe_load((REPOSITORY / "MLproject").read_text())["entry_points"]
    parsers = {
        "sweep": sweep.parser(), "ablation": ablation.parser(), "compare": compare.parser(),
        "reproduce": compare.parser(reproduce.PAPER),
    }  # fmt: skip
    for name, parser in parsers.items():
        entry = project[name]
        values = {k: p.get("default", "alpha") for k, p in entry["parameters"].items()}
        command = entry["command"].format(**values).split()
        assert command[:3] == ["python", "-m", f"tuning.{name}"]
        known, rest = parser.parse_known_args(command[3:])
        if name == "ablation":  # its other options are those of reproduce
            compare.parser(reproduce.PAPER).parse_args(ablation.new_command(known, rest))
        else:
            assert not rest


def test_one_worker_needs_neither_ray_nor_mlflow_and_ends_in_a_report(tmp_path):
    code = (
        "import sys\nfor name in ('ray', 'mlflow', 'optuna'): sys.modules[name] = None\n"
        "from pct import cli\nsys.exit(cli.main(sys.argv[1:]))"
    )
    command = ["compare", *QUICK, "--methods", "normal", "pct", "--json", "rows.json"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "| planted | textcnn | pct | 1 |" in done.stdout
    assert "report      runs/report/report.html" in done.stdout
    files = {f.name for f in (tmp_path / "runs" / "report").iterdir()}
    assert {"report.md", "report.html", "metrics.tex", "methods.csv", "methods.tex", "effects.png"} <= files
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert [(row["corpus"], row["method"], row["runs"]) for row in rows] == [
        ("planted", "normal", 1), ("planted", "pct", 1),
    ]  # fmt: skip


def test_cells_are_trained_once_tracked_and_a_cell_that_fails_leaves_the_others(client, capsys):
    command = [*TINY, "--methods", "normal", "pct", "--runs", "cells", "--experiment", "grid"]
    assert reproduce.main([*command, "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert reproduce.main(command) == 0
    experiment = client.get_experiment_by_name("grid").experiment_id
    parent, *cells = sorted(client.search_runs([experiment]), key=lambda r: "mlflow.parentRunId" in r.data.tags)
    assert [cell.data.tags["mlflow.parentRunId"] for cell in cells] == [parent.info.run_id] * 2
    assert all("test/comp_minus_suff" in cell.data.metrics for cell in cells)
    assert {r.info.status for r in (parent, *cells)} == {"FINISHED"}
    assert [r.settings.method for r in find_runs(["cells"])] == ["normal", "pct"]
    first = sorted(Path("cells").glob("*/report.json"))
    times = [f.stat().st_mtime_ns for f in first]

    # a corpus that cannot be read: told at the end, while the cells before and after it stand
    assert reproduce.main([*command, *MISSING]) == 1
    assert "error: 2 of 4 cells failed, the first is cells/files-textcnn-normal" in capsys.readouterr().err
    assert reproduce.main(command) == 0
    assert [f.stat().st_mtime_ns for f in first] == times
    assert len(client.search_runs([experiment])) == 3 + 3  # the last command sent nothing


def test_a_cell_has_one_gpu_at_most(capsys):
    assert compare.main([*TINY, "--gpus-per-trial", "2"]) == 1
    assert "must be at most 1, got 2: a cell trains in one process" in capsys.readouterr().err


def test_a_file_that_changed_since_its_run_is_refused(tmp_path, capsys):
    rows = [f"the film is {word} number {i},{label}" for i in range(12) for word, label in (("good", 1), ("bad", 0))]
    Path("texts.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    command = [*QUICK, "--corpus", "files", "--train-file", "texts.csv", "--methods", "normal", "--no-report"]
    assert compare.main(command) == 0
    assert compare.main(command) == 0
    Path("texts.csv").write_text("\n".join(["text,label", *rows[:-2]]), encoding="utf-8")
    assert compare.main(command) == 1
    assert "holds a finished run of other settings (corpus fingerprint" in capsys.readouterr().err


def test_workers_train_cells_side_by_side_to_the_same_weights_and_one_that_fails_leaves_the_others(local_ray, capsys):
    command = [*TINY, *MISSING, "--methods", "normal", "pct", "--no-tracking"]
    assert reproduce.main([*command, "--runs", "one-by-one"]) == 1
    capsys.readouterr()
    there = [*command, "--runs", "by-ray", "--workers", "2"]
    assert reproduce.main(there) == 1
    assert "error: 2 of 4 cells failed, the first is by-ray/files-textcnn-normal" in capsys.readouterr().err

    serial, parallel = weights("one-by-one"), weights("by-ray")
    assert len(parallel) == 2
    assert parallel == serial
    assert not list(Path("by-ray").glob(".*"))
    times = [f.stat().st_mtime_ns for f in sorted(Path("by-ray").glob("planted*/report.json"))]
    assert reproduce.main(there) == 1
    assert capsys.readouterr().err.startswith("2 of 4 cells are finished in by-ray")
    assert [f.stat().st_mtime_ns for f in sorted(Path("by-ray").glob("planted*/report.json"))] == times


def test_a_worker_without_the_driver_s_disk_sends_the_run_back(tmp_path):
    settings, corpus = small_settings(epochs=1), small_corpus(48, 24)
    error, files = train_cell(settings.to_dict(), str(tmp_path / "elsewhere"), str(tmp_path / "no mark"), corpus)
    assert not error
    assert not (tmp_path / "elsewhere").exists()
    write_files(files, tmp_path / "runs" / "cell")
    (run,) = find_runs([tmp_path / "runs"])
    assert run.settings == settings
    assert run.classifier("cpu").predict(["a good film"]).shape == (1, 2)
    (tmp_path / "mark").touch()
    assert train_cell(settings.to_dict(), str(tmp_path / "here"), str(tmp_path / "mark"), corpus) == ("", {})
    (here,) = find_runs([tmp_path / "here"])
    assert here.about["weights"] == run.about["weights"]


def test_the_former_ablation_command_names_the_new_one_and_trains_the_same_cells(client, capsys, monkeypatch):
    """Under `mlflow run`, whose run has the cells' runs nested in it."""
    experiment = client.create_experiment("tables")
    given = client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    command = [
        "shares", "--cells", "normal", "p_u = 0.1", "p_i = 0.1", "--corpus", "planted", "--seeds", "0", "--limit", "48",
        "--epochs", "1", "--quiet", "--device", "cpu", "--folder", "table4", "--workers", "1", "--loggers", "csv",
        "--experiment", "tables",
    ]  # fmt: skip
    assert ablation.main(command) == 0
    output = capsys.readouterr()
    assert "pct ablation is now: pct reproduce --table shares --corpora planted --models textcnn" in output.err
    assert "--loggers has no effect on a grid" in output.err
    assert "## Table 4: reduced percentage" in output.out
    assert "| planted | textcnn | p_u = 0.1 | 1 |" in output.out
    runs = find_runs(["table4"])
    assert sorted((r.settings.method, r.settings.p_important, r.settings.p_unimportant) for r in runs) == [
        ("normal", 0.1, 0.1), ("pct", 0.0, 0.1), ("pct", 0.1, 0.0),
    ]  # fmt: skip
    assert {(r.settings.threads, r.settings.measured_shares) for r in runs} == {(1, (0.1, 0.1))}
    tracked = client.search_runs([experiment])
    (parent,) = (r for r in tracked if "mlflow.parentRunId" not in r.data.tags)
    assert len(tracked) == 4
    assert (parent.info.run_id, parent.info.status) == (given, "FINISHED")
    assert {"report.md", "shares.csv", "shares.tex", "shares.png"} <= {
        f.path for f in client.list_artifacts(parent.info.run_id)
    }


def test_a_grid_without_runs_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no finished run in .*; train some with pct reproduce"):
        find_runs([tmp_path])
