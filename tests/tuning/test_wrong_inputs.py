"""Sweeps, ablations and grids that make no sense: a line, and nothing begun."""

import pytest

from tests.one_line import ends_with_one_line

pytest.importorskip("ray")

RESOURCES = [
    ["--workers", "-1"], ["--cpus-per-trial", "0"], ["--cpus-per-trial", "nan"], ["--cpus-per-trial", "inf"],
    ["--gpus-per-trial", "-1"], ["--gpus-per-trial", "inf"], ["--gpus-per-trial", "1.5"],
    ["--custom-per-trial", "x"], ["--retries", "-2"],
    ["--custom-per-trial", "x=nan"], ["--custom-per-trial", "x=-1"], ["--loggers", "magic"], ["--epochs", "0"],
]  # fmt: skip
SWEEP = [
    ["--trials", "x"], ["--mode", "magic"], ["--margin", "nan"], ["--sweep-seed", "-1"], ["--champion-margin", "nan"],
    ["--resume", "a_file"], ["--folder", "a_file"], ["--devices", "0"], ["--devices", "2", "--gpus-per-trial", "0.5"],
    *(["--set", text] for text in (
        "alpha=", "alpha=uniform(2,1)", "alpha=uniform(0,nan)", "lr=loguniform(0,1)", "model=choice(magic)",
        "alpha=choice()", "alpha=choice(1,1)", "alpha=magic(1)", "alpha=nan",
    )),
]  # fmt: skip
MESSAGES = [
    (["--set", "alpha=loguniform(0.05"], "alpha='loguniform(0.05' is no range; write a value, uniform(low, high)"),
    (["--set", "alpha"], "--set takes NAME=VALUE, got 'alpha'"), (["--set", "colour=red"], "unknown setting 'colour'"),
    (["--trials", "0"], "trials must be >= 1, got 0"), (["--margin", "2"], "margin must be in [0, 1]"),
    (["--cpus-per-trial", "0"], "cpus must be > 0"),
    (["--gpus-per-trial", "1.5"], "gpus must be a share of one GPU or a whole number, got 1.5"),
    (["--ray", "ray://head:10001"], "is Ray's client, which a sweep cannot use"),
    (["--mode", "single", "--no-baseline"], "mode single needs the normal baseline"),
    (["--alpha", "-1"], "alpha must be >= 0"), (["--champion-margin", "7"], "champion_margin must be in [0, 1]"),
    (["--resume", "nowhere"], "nowhere holds no sweep"), (["--resume"], "runs holds no sweep to continue"),
]  # fmt: skip


@pytest.mark.parametrize("command", [
    *(["sweep", *rest] for rest in RESOURCES + SWEEP),
    *(["ablation", "tau", *rest] for rest in [*RESOURCES, ["--seeds", "0", "0"], ["--seeds"], ["--cells", "magic"]]),
    ["ablation"], ["ablation", "magic"],
    *(["reproduce", *rest] for rest in [
        *RESOURCES, ["--seeds", "0", "0"], ["--seeds", "-1"], ["--corpora", "nowhere"], ["--corpora", "mr", "mr"],
        ["--methods", "magic"], ["--table", "magic"], ["--cells", "0.1"], ["--table", "alpha", "--cells", "magic"],
        ["--methods", "rationale", "--corpora", "mr"], ["--json", "/no/folder/x.json"], ["--out", "a_file"],
        *(["--set", text] for text in (
            "alpha", "alpha=", "nothing=1", "alpha=0.1,0.1", "alpha=0.1,x", "alpha=nan", "model=magic",
        )),
    ]),
], ids=" ".join)  # fmt: skip
def test_nothing_begins_where_the_plan_makes_no_sense(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "a_file").write_text("kept", encoding="utf-8")
    ends_with_one_line(command, capsys)
    assert not (tmp_path / "runs").exists()
    assert (tmp_path / "a_file").read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize(("rest", "message"), MESSAGES, ids=lambda part: " ".join(part))
def test_a_wrong_option_of_a_sweep_is_named_before_anything_starts(rest, message, client, capsys):
    assert message in ends_with_one_line(["sweep", *rest], capsys)
    assert not client.search_runs(["0"])


def test_a_cell_that_cannot_be_trained_is_told_and_the_command_fails(capsys, tmp_path):
    (tmp_path / "a_file").write_text("kept", encoding="utf-8")
    one = ["--corpora", "planted", "--models", "textcnn", "--methods", "normal", "--seeds", "0", "--limit", "20"]
    runs = str(tmp_path / "a_file")
    from pct import cli

    assert cli.main(["reproduce", *one, "--no-tracking", "--quiet", "--runs", runs]) == 1
    assert "a part of the path is a file" in capsys.readouterr().err.strip().splitlines()[-1]
