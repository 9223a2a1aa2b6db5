"""The paper's tables as sweeps: the right cells and numbers, and one run for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pct.settings import Settings
from pct.training.paper import RESULTS
from pct.training.paper_tables import TABLES
from tests.pipelines.conftest import REPOSITORY
from tuning import ablation, sweep
from tuning.ablation import make_plan
from tuning.ablation_results import result
from tuning.ledger import FAILED, FINISHED, Ledger


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_is_a_valid_run_measured_with_the_same_shares(name: str) -> None:
    base = sweep.comparable(Settings(corpus="mr"), 1)
    plan = make_plan(name, base, (0, 1, 2))
    made = [plan.settings(point) for point in plan.points]
    assert len(set(made)) == 3 * len(TABLES[name].cells)
    assert {s.measured_shares for s in made} == {(0.1, 0.1)}
    assert plan.split == "test"
    assert not plan.baseline


def test_the_tables_agree_where_they_repeat_a_row_of_the_paper_s_main_table() -> None:
    """All hold the paper's own setting, whose numbers Table 2 has too (but for suff, .08 there and .04 here)."""
    main = RESULTS["mr"]["textcnn"]
    own = {"batch_size": "64", "shares": "p_u = p_i = 0.1", "tau": "0.7", "alpha": "0.1"}
    for name, label in own.items():
        (cell,) = (c for c in TABLES[name].cells if c.label == label)
        assert cell.paper[:3] == main["pct"][:3]
        assert cell.paper[3] == 0.04
        if name == "batch_size":
            assert cell.paper[4:] == main["pct"][4:]
    assert TABLES["shares"].cells[0].paper == main["normal"][:4]


def test_a_cell_is_the_mean_over_its_seeds_that_finished(ledger: Ledger) -> None:
    plan = make_plan("alpha", Settings(), (0, 1, 2), ("0.1", "0.3"))
    for number, (accuracy, point) in enumerate(zip((0.7, 0.8, 0.9, 0.5), plan.points, strict=False), 1):
        ledger.start(number, point)
        values = dict.fromkeys(("f_x", "comp", "suff", "ir", "ur", "i_var", "u_var", "comp_minus_suff"), 0.1)
        state = FAILED if number == 3 else FINISHED
        ledger.end(number, state, {} if state == FAILED else {"acc": accuracy, **values}, "no" if number == 3 else "")
    found = result(plan, ledger)
    first, second = found["rows"]
    assert (first["label"], first["seeds"]) == ("0.1", 2)
    assert first["metrics"]["acc"] == (pytest.approx(0.75), pytest.approx(0.0707, abs=1e-4))
    assert second["metrics"]["acc"] == (0.5, None)
    assert "| 0.1 | 2 | 0.750 ± 0.071 |" in found["text"]
    assert "| paper | 3 | 0.797 | 0.920 | 0.120 | 0.040 | 0.080 |" in found["text"]
    assert found["failed"] == {"trial-003": "no"}


def test_an_unknown_cell_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"alpha has no cell 0\.2; it has '0\.05', '0\.1'"):
        make_plan("alpha", Settings(), (0,), ("0.2",))


@pytest.mark.usefixtures("local_ray")
def test_an_ablation_runs_by_one_command_and_stands_in_mlflow(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "shares", "--cells", "normal", "p_u = 0.1", "p_i = 0.1", "--seeds", "0", "1", "--limit", "64", "--epochs", "1",
        "--evaluate_limit", "16", "--quiet", "--device", "cpu", "--folder", "table4",
    ]  # fmt: skip
    assert ablation.main(command) == 0
    out = capsys.readouterr().out
    assert "Table 4: reduced percentage (textcnn on planted, test split, 1 epochs, at most 64 texts a split)" in out
    assert "| p_u = 0.1 | 2 |" in out
    found = json.loads(Path("table4/ablation.json").read_text())
    assert [row["seeds"] for row in found["rows"]] == [2, 2, 2]
    ledger = Ledger(Path("table4"))
    assert {t.state for t in ledger} == {FINISHED}
    assert [t.config["seed"] for t in ledger] == [0, 1] * 3
    runs = client.search_runs(["0"])
    children = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    assert len(children) == 6
    assert all("test/comp_minus_suff" in r.data.metrics for r in children)
    (parent,) = (r for r in runs if r not in children and "mlflow.parentRunId" not in r.data.tags)
    files = {f.path for f in client.list_artifacts(parent.info.run_id)}
    assert files == {"ablation.json", "ablation.md", "figures"}
    assert not list(Path("table4").glob("checkpoints/session-*/trial-*/checkpoint_*"))


def test_the_entry_points_of_the_project_parse() -> None:
    project = yaml.safe_load((REPOSITORY / "MLproject").read_text())["entry_points"]
    for name, parse in (("sweep", sweep.parser), ("ablation", ablation.parser)):
        entry = project[name]
        values = {k: p.get("default", "alpha") for k, p in entry["parameters"].items()}
        parse().parse_args(entry["command"].format(**values).split()[3:])
