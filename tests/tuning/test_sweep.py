"""pct sweep from its command line, with Ray for real on this machine."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pct.training.runs import load_run
from tests.pct.models.families import classifier, tokenizer
from tests.tuning.conftest import TINY
from tuning import sweep
from tuning.ledger import FINISHED, STOPPED, Ledger
from tuning.objective import GAP
from tuning.plan import Plan


def children(client: Any) -> list[Any]:
    return [r for r in client.search_runs(["0"]) if "mlflow.parentRunId" in r.data.tags]


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_sweep_trains_compares_chooses_tests_once_and_registers(client, capsys, tmp_path):
    command = [*TINY, "--trials", "3", "--workers", "1", "--folder", "first", "--set", "tau=0.5"]
    assert sweep.main(command) == 0
    output = capsys.readouterr()
    assert "trial-003 (3 of 3): acc" in output.err
    assert "\x1b" not in output.out + output.err
    assert "models:/pct-planted-textcnn/1 is @champion" in output.out
    folder = Path("first")

    ledger = Ledger(folder)
    assert [(t.name, t.state, t.epoch) for t in ledger] == [
        ("baseline", FINISHED, 2), ("trial-001", FINISHED, 2), ("trial-002", FINISHED, 2), ("trial-003", FINISHED, 2),
    ]  # fmt: skip
    assert ledger.trials[0].config == {"method": "normal"}
    assert {t.config["batch_size"] for t in ledger.searched()} <= {16, 32, 64, 96, 128}

    # MLflow: every trial a nested run, the choice's with a model, and no other has seen the test split
    result = json.loads((folder / "results.json").read_text())
    runs = {r.info.run_name: r for r in children(client)}
    assert set(runs) == {"baseline", "trial-001", "trial-002", "trial-003"}
    assert all(r.info.status == "FINISHED" and r.data.params["temperature"] == "0.5" for r in runs.values())
    tested = {name for name, r in runs.items() if any(k.startswith("test/") for k in r.data.metrics)}
    assert tested == {result["chosen"]["trial"]}
    (version,) = client.search_model_versions("name = 'pct-planted-textcnn'")
    assert version.run_id == runs[result["chosen"]["trial"]].info.run_id
    parent = next(r for r in client.search_runs(["0"]) if "mlflow.parentRunId" not in r.data.tags)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["space.alpha"] == "loguniform(0.02, 1.0)"
    assert parent.data.tags["pct.best"] == result["chosen"]["trial"]
    files = {f.path for f in client.list_artifacts(parent.info.run_id)}
    assert {"front.csv", "results.json", "figures"} <= files
    drawn = {f.path for f in client.list_artifacts(parent.info.run_id, "figures")}
    assert {"figures/pareto.png", "figures/parallel.png"} <= drawn

    # the restored model is the trial's; all metrics at once make other batches, hence other last digits
    number = int(result["chosen"]["trial"].split("-")[1])
    run = load_run(folder / "chosen" / result["chosen"]["trial"])
    assert run.validation.metrics["acc"] == ledger.trials[number].values["acc"]
    assert run.validation.gaps["comp-suff"] == pytest.approx(ledger.trials[number].values[GAP], abs=1e-6)
    rows = list(csv.DictReader((folder / "front.csv").open()))
    assert {r["trial"] for r in rows if r["on_front"] == "True"} == {r["trial"] for r in result["front"]}

    # no checkpoint is left of a trial that cannot be chosen
    kept = {p.name for p in folder.glob("checkpoints/session-1/trial-*") if list(p.glob("checkpoint_*"))}
    assert kept == {f"trial-{int(r['trial'].split('-')[1]):04d}" for r in result["front"]}

    # again: nothing is trained, registered or logged anew
    assert sweep.main(command) == 0
    assert len(children(client)) == 4
    assert len(client.search_model_versions("name = 'pct-planted-textcnn'")) == 1
    assert Ledger(folder).sessions == 1

    # the same seed on one worker: the same trials and results, in another folder
    assert sweep.main([*command[:-4], "--folder", "second", "--set", "tau=0.5"]) == 0
    again = Ledger(Path("second"))
    assert [(t.config, t.values) for t in again] == [(t.config, t.values) for t in ledger]

    # one more trial: the sweep is extended, not begun again
    assert sweep.main([*command, "--trials", "4"]) == 0
    longer = Ledger(folder)
    assert [t.number for t in longer] == [0, 1, 2, 3, 4]
    assert [longer.trials[n].values for n in range(4)] == [ledger.trials[n].values for n in range(4)]


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_sweep_goes_on_from_the_head_of_a_classifier_that_exists(client, tmp_path):
    classifier("GPT-2", classes=2).save_pretrained(tmp_path / "reviews")
    tokenizer("GPT-2").save_pretrained(tmp_path / "reviews")
    model = ["--model", str(tmp_path / "reviews"), "--max-length", "24", "--batch-size", "16"]
    command = [*TINY, *model, "--trials", "1", "--workers", "1", "--folder", "of-a-classifier", "--force"]
    assert sweep.main(command) == 0
    states = [(t.name, t.state) for t in Ledger(Path("of-a-classifier"))]
    assert states == [("baseline", FINISHED), ("trial-001", FINISHED)]
    (version,) = client.search_model_versions("name LIKE 'pct-planted-reviews%'")
    assert int(version.version) == 1


@pytest.mark.usefixtures("local_ray")
def test_one_objective_trains_the_baseline_first_and_stops_poor_trials_early(client, capsys):
    """A rate that learns nothing never gets the accuracy of one that learns: ASHA must see it."""
    command = [
        "--mode", "single", "--limit", "200", "--epochs", "3", "--evaluate_limit", "32", "--quiet", "--trials", "2",
        "--loggers", "csv", "tensorboard", "--workers", "1", "--sweep-seed", "5",  # the poor trial comes second
        "--set", "lr=choice(0.002, 1e-9)", "--set", "alpha=0.1", "--set", "tau=0.7", "--set",
        "p_i=0.1", "--set", "p_u=0.1", "--set", "batch_size=16", "--margin", "0.05", "--folder", "single",
    ]  # fmt: skip
    assert sweep.main(command) == 0
    assert "models:/pct-planted-textcnn/1 is @champion" in capsys.readouterr().out
    ledger = Ledger(Path("single"))
    first = [json.loads(line) for line in ledger.path.read_text().splitlines() if '"start"' in line or '"end"' in line]
    assert [(e["event"], e["number"]) for e in first[:2]] == [("start", 0), ("end", 0)]
    states = {t.config["lr"]: set() for t in ledger.searched()}
    for t in ledger.searched():
        states[t.config["lr"]].add(t.state)
    assert states[0.002] == {FINISHED}
    assert STOPPED in states[1e-9]
    assert all(t.epoch < 3 for t in ledger if t.state == STOPPED)
    chosen = json.loads(Path("single/results.json").read_text())["chosen"]
    assert chosen["lr"] == 0.002
    assert len(list(Path("single").glob("checkpoints/session-1/trial-*/progress.csv"))) == 3
    assert len(list(Path("single").glob("checkpoints/session-1/trial-*/events.out.tfevents.*"))) == 3
    stopped = [r for r in children(client) if r.data.tags["pct.state"] == STOPPED]
    assert stopped
    assert not any("validation_final/acc" in r.data.metrics for r in stopped)


def test_a_cluster_that_is_not_there_or_too_small_is_told(closed_port, capsys, monkeypatch):
    assert sweep.main([*TINY, "--gpus-per-trial", "64"]) == 1
    assert "one trial needs 64 CPU, 64 GPU, Ray on this machine has" in capsys.readouterr().err
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    assert sweep.main([*TINY, "--folder", "other"]) == 1
    assert f"no Ray at 127.0.0.1:{closed_port}" in capsys.readouterr().err


def test_trials_are_measured_alike_whatever_shares_they_are_trained_with():
    options = sweep.parser().parse_args(["--set", "p_i=choice(0.1, 0.3)", "--cpus-per-trial", "2"])
    plan, resources, folder = sweep.read(options)
    for share in (0.1, 0.3):
        assert plan.settings({"p_important": share}).measured_shares == (0.1, 0.1)
    assert (plan.base.threads, resources.cpus) == (2, 2.0)
    assert folder.parent == Path("runs")
    plan.save(folder, resources)
    assert Plan.load(folder) == (plan, resources)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--epochs", "3"], "epochs is 2 in mine, and 3 was given"),
        (["--set", "alpha=loguniform(0.01, 1.0)"], "alpha is loguniform(0.02, 1.0) in mine, and loguniform(0.01, 1.0)"),
        (["--set", "alpha=0.3"], "alpha is loguniform(0.02, 1.0) in mine, and 0.3 was given"),
        (["--mode", "single"], "mode is pareto in mine, and single was given"),
        (["--sweep-baseline"], "sweep_baseline is False in mine, and True was given"),
        (["--alpha", "0.3"], "alpha is loguniform(0.02, 1.0) in mine, and 0.3 was given"),
        (["--no-baseline"], "no_baseline is False in mine, and True was given"),
    ],
)
def test_a_sweep_that_is_resumed_with_another_plan_is_refused(argv, message, capsys):
    plan, resources, _ = sweep.read(sweep.parser().parse_args([*TINY, "--folder", "mine"]))
    plan.save(Path("mine"), resources)
    assert sweep.main(["--resume", "mine", *argv]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert "a sweep that is resumed keeps its plan" in err


@pytest.mark.parametrize("stopped", [True, False])
def test_a_sweep_that_is_resumed_keeps_its_early_stopping(stopped, capsys):
    given = ["--mode", "single", *([] if stopped else ["--no-early-stopping"])]
    plan, resources, _ = sweep.read(sweep.parser().parse_args([*TINY, *given, "--folder", "mine"]))
    plan.save(Path("mine"), resources)
    again = sweep.parser().parse_args(["--resume", "mine", "--no-early-stopping"])
    if stopped:
        with pytest.raises(ValueError, match="no_early_stopping is False in mine, and True was given"):
            sweep.read(again)
    else:
        assert sweep.read(again)[0] == plan


def test_a_ray_on_this_machine_listens_on_loopback_alone(local_ray):
    own = psutil.Process()
    processes = {process.pid for process in (own, *own.children(recursive=True))}
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in processes]
    assert len(listening) > 2
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


def test_a_sweep_is_resumed_with_the_options_that_it_has_and_with_more_trials():
    plan, resources, _ = sweep.read(sweep.parser().parse_args([*TINY, "--folder", "mine", "--set", "tau=0.5"]))
    plan.save(Path("mine"), resources)
    given = ["--resume", "mine", *TINY, "--set", "tau=0.5", "--mode", "pareto", "--trials", "50", "--workers", "3"]
    longer, elsewhere, _ = sweep.read(sweep.parser().parse_args(given))
    assert longer == replace(plan, trials=50)
    assert elsewhere.workers == 3


def test_a_corpus_that_is_not_there_ends_the_sweep_s_run_as_failed(client, capsys):
    command = [*TINY, "--corpus", "files", "--train_file", "none.csv", "--test_file", "none.csv", "--folder", "mine"]
    assert sweep.main(command) == 1
    assert "none.csv" in capsys.readouterr().err
    (run,) = client.search_runs(["0"])
    assert run.info.status == "FAILED"


def test_a_folder_of_0_1_0_is_read_and_found_again():
    plan, resources, folder = sweep.read(sweep.parser().parse_args(TINY))
    plan.save(folder, resources)
    about = json.loads((folder / "sweep.json").read_text())
    about["means"] = {k: v for k, v in about.pop("resources").items() if k != "custom"}
    del about["plan"]["sweep_baseline"]
    (folder / "sweep.json").write_text(json.dumps(about))
    assert Plan.load(folder) == (plan, resources)


@pytest.mark.slow
def test_a_baseline_that_is_swept_as_well_gets_as_many_trials_and_is_registered_where_it_is_better(client, capsys):
    """A weight of the contrastive loss that nothing can be learned under: the choice is beaten by normal training."""
    command = [*TINY, "--limit", "400", "--trials", "2", "--workers", "1", "--folder", "swept", "--sweep-baseline"]
    command += ["--set", "alpha=1000", "--set", "lr=choice(0.001, 0.003)", "--set", "batch_size=16"]
    assert sweep.main(command) == 0
    out = capsys.readouterr().out
    ledger = Ledger(Path("swept"))
    assert [t.name for t in ledger] == ["baseline", "trial-001", "baseline-002", "trial-003", "baseline-004"]
    assert {t.config["method"] for t in ledger.baselines()} == {"normal"}
    assert all(t.state == FINISHED for t in ledger)
    assert "--force registers trial-00" in out
    assert "the best of 3" in out
    (version,) = client.search_model_versions("name = 'pct-planted-textcnn'")
    assert version.tags["method"] == "normal"
    assert sweep.main([*command, "--force"]) == 0
    methods = [v.tags["method"] for v in client.search_model_versions("name = 'pct-planted-textcnn'")]
    assert sorted(methods) == ["normal", "pct"]


def test_a_folder_of_another_sweep_is_not_overwritten(capsys):
    plan, resources, _ = sweep.read(sweep.parser().parse_args([*TINY, "--folder", "mine"]))
    plan.save(Path("mine"), resources)
    assert sweep.main([*TINY, "--folder", "mine", "--epochs", "5"]) == 1
    assert "mine holds another sweep; give another --folder" in capsys.readouterr().err
