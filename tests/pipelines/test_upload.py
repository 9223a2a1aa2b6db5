"""A run in MLflow: whole, once, and never lost."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from pct.metrics.names import CORE_METRICS
from pct.metrics.report import COMPANIONS
from pct.training import runs
from pipelines import mlflow_runs, upload
from pipelines.connection import TrackingError
from pipelines.mlflow_runs import TRACKING, check_connection, open_run, run_name, start_run
from pipelines.track import main
from tests.pipelines.conftest import TINY

GROUPS = {"train", "validation", "validation_final", "test", "gap", "workload"}


def everything(client: Any) -> dict[str, Any]:
    """All that MLflow holds, in numbers and values."""
    found = client.search_runs(["0"])
    histories = {
        (r.info.run_id, key): [(m.step, m.value) for m in client.get_metric_history(r.info.run_id, key)]
        for r in found
        for key in r.data.metrics
    }
    return {
        "runs": {r.info.run_id: (r.info.status, r.data.params) for r in found},
        "histories": histories,
        "models": len(client.search_logged_models(["0"])),
        "versions": [v.version for v in client.search_model_versions("")],
    }


def test_a_tracked_run_has_its_settings_metrics_files_and_model(run_dir, client):
    tracked = upload.upload_run(run_dir)
    run = runs.load_run(run_dir)
    data = client.get_run(tracked.mlflow_run.run_id).data
    assert data.params == {k: str(v) for k, v in TINY.to_dict().items()}
    for name in (*CORE_METRICS, *COMPANIONS):
        assert data.metrics[f"test/{name}"] == pytest.approx(run.test.metrics[name])
        assert data.metrics[f"validation_final/{name}"] == pytest.approx(run.validation.metrics[name])
    assert data.metrics["test/comp_minus_suff"] == pytest.approx(run.test.gaps["comp-suff"])
    assert {name.partition("/")[0] for name in data.metrics} == GROUPS
    assert not any(name.endswith("_se") for name in data.metrics)
    losses = client.get_metric_history(tracked.mlflow_run.run_id, "train/loss")
    assert [(m.step, m.value) for m in losses] == [(r["epoch"], pytest.approx(r["train_loss"])) for r in run.history]
    for name in (
        "train/contrastive",
        "workload/step_seconds",
        "workload/memory_mb",
        "validation/comp",
        "gap/ur_minus_ir",
    ):
        assert len(client.get_metric_history(tracked.mlflow_run.run_id, name)) == 2
    assert data.tags["corpus.fingerprint"] == run.about["corpus"]["fingerprint"]
    assert data.tags["pct.version"] == run.about["versions"]["pct"]
    assert data.tags.get("mlflow.source.git.commit") == run.about["code"]["commit"]
    files = {f.path for f in client.list_artifacts(tracked.mlflow_run.run_id)}
    assert files == {"report.json", "about.json", "settings.json", "history.jsonl", "per_text.parquet", "figures"}
    figures = {f.path for f in client.list_artifacts(tracked.mlflow_run.run_id, "figures")}
    assert figures == {f"figures/{name}.png" for name in ("confidence", "comp_minus_suff", "examples")}
    assert client.get_run(tracked.mlflow_run.run_id).info.status == "FINISHED"
    assert tracked.registered is not None
    assert tracked.registered.uri == "models:/pct-planted-textcnn/1"
    assert tracked.registered.champion
    assert data.tags["mlflow.note.content"].startswith("textcnn trained by pct on 48 texts of planted")
    inputs = client.get_run(tracked.mlflow_run.run_id).inputs.dataset_inputs
    contexts = {t.value: i.dataset.digest for i in inputs for t in i.tags}
    assert set(contexts) == {"training", "validation", "testing"}
    (model,) = client.search_logged_models(["0"])
    of_model = {m.key: m for m in client.get_logged_model(model.model_id).metrics}
    assert of_model["test/comp"].dataset_digest == contexts["testing"]


def test_tracked_twice_is_tracked_once(run_dir, client, capsys):
    assert main([str(run_dir)]) == 0
    assert "models:/pct-planted-textcnn/1 is @champion" in capsys.readouterr().out
    before = everything(client)
    upload.upload_run(run_dir)
    assert everything(client) == before
    assert before["models"] == 1
    assert before["versions"] == [1]


def test_an_upload_that_broke_off_goes_on_where_it_broke(run_dir, client, monkeypatch):
    def broken(*_):
        raise ConnectionError("the line is cut")

    with monkeypatch.context() as m:
        m.setattr(upload, "log_model", broken)
        with pytest.raises(TrackingError, match=r"did not end: the line is cut.*stay in"):
            upload.upload_run(run_dir)
    assert not json.loads((run_dir / TRACKING).read_text())["uploaded"]
    upload.upload_run(run_dir)
    assert json.loads((run_dir / TRACKING).read_text())["uploaded"]
    held = everything(client)
    assert len(held["runs"]) == 1
    assert held["versions"] == [1]
    assert all(len(h) == len(set(h)) for h in held["histories"].values())


def test_a_half_logged_model_is_not_taken_for_a_whole_one(run_dir, client, monkeypatch):
    import mlflow
    from mlflow.models import Model

    def full(*_, **__):
        raise OSError("no space left")

    with monkeypatch.context() as m:
        m.setattr(Model, "log", full)
        with pytest.raises(TrackingError, match="no space left"):
            upload.upload_run(run_dir)
    tracked = upload.upload_run(run_dir)
    assert tracked.registered is not None
    (ready,) = (m for m in client.search_logged_models(["0"]) if str(m.status) == "READY")
    assert ready.tags["mlflow.modelVersions"] == '[{"name": "pct-planted-textcnn", "version": 1}]'
    assert client.get_model_version_download_uri("pct-planted-textcnn", "1") == ready.artifact_location
    assert mlflow.pyfunc.load_model(tracked.registered.uri).predict({"text": ["a brilliant film"]}) is not None


def test_epochs_logged_live_are_not_logged_again(run_dir, client):
    mlflow_run = open_run(run_dir)
    live = upload.EpochLogger(mlflow_run)
    for record in runs.read_history(run_dir):
        live(record)
    assert live.failed == ""
    upload.upload_run(run_dir, mlflow_run=mlflow_run)
    assert [m.step for m in client.get_metric_history(mlflow_run.run_id, "train/loss")] == [1, 2]


def test_one_epoch_is_one_call(run_dir):
    calls: list[str] = []

    class Counting:
        def __getattr__(self, name):
            return lambda *a, **k: calls.append(name)

    live = upload.EpochLogger(mlflow_runs.MlflowRun(Counting(), "http://x", "run", "0"))
    live(runs.read_history(run_dir)[0])
    assert calls == ["log_batch"]


def test_a_server_that_goes_is_told_once_and_asked_no_more(run_dir):
    calls, messages = [], []

    class Gone:
        def log_batch(self, *_, **__):
            calls.append(1)
            raise ConnectionError

    live = upload.EpochLogger(mlflow_runs.MlflowRun(Gone(), "http://x", "run", "0"), messages.append)
    for record in runs.read_history(run_dir):
        live(record)
    assert live.failed == "ConnectionError"
    assert len(calls) == len(messages) == 1


def test_the_run_of_mlflow_run_is_taken_and_its_params_stay(run_dir, client, monkeypatch):
    from mlflow.entities import Param

    given = client.create_run("0").info.run_id
    client.log_batch(given, params=[Param("lr", "5e-4"), Param("champion_margin", "0.01")])
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    assert upload.upload_run(run_dir).mlflow_run.run_id == given
    params = client.get_run(given).data.params
    assert params["lr"] == "5e-4"
    assert params["batch_size"] == "64"
    assert len(client.search_runs(["0"])) == 1


def test_a_second_mlflow_run_of_a_finished_folder_is_whole_but_no_second_version(run_dir, client, monkeypatch):
    upload.upload_run(run_dir)
    given = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    tracked = upload.upload_run(run_dir)
    assert "test/comp" in client.get_run(given).data.metrics
    assert tracked.registered is not None
    assert tracked.registered.version == 1
    assert len(client.search_model_versions("")) == 1


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """No experiment is asked for."""
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")


@pytest.mark.usefixtures("unset")
def test_mlflow_run_leaves_one_named_entry_in_the_project_s_experiment_however_often_it_is_repeated(
    run_dir, client, monkeypatch
):
    entries = set()
    for attempt in range(3):
        given = client.create_run("0", run_name=f"random-{attempt}", tags={"mlflow.project.entryPoint": "main"})
        monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
        entries.add(open_run(run_dir, name=run_name(upload.load_run(run_dir).settings)).run_id)
        (left,) = client.search_runs(["0"])  # those of earlier commands are deleted
        assert (left.info.run_id, left.info.run_name) == (given.info.run_id, "see pct-planted-textcnn-seed0 in pct")
        client.set_terminated(given.info.run_id, "FAILED")  # as `mlflow run` does when it ends
    assert len(entries) == 1
    experiment = client.get_experiment_by_name("pct").experiment_id
    (entry,) = client.search_runs([experiment])
    assert (entry.info.run_name, entry.info.status) == ("pct-planted-textcnn-seed0", "RUNNING")
    assert entry.data.tags["mlflow.project.entryPoint"] == "main"
    assert client.get_run(given.info.run_id).data.tags["pct.continued_by"] == entry.info.run_id


@pytest.mark.usefixtures("unset")
def test_a_run_of_mlflow_run_in_an_experiment_that_was_asked_for_stays_and_is_named(run_dir, client, monkeypatch):
    mine = client.create_experiment("mine")
    given = client.create_run(mine, run_name="random").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    assert open_run(run_dir, name="pct-planted-textcnn-seed0").run_id == given
    assert client.get_run(given).info.run_name == "pct-planted-textcnn-seed0"
    assert start_run("evaluate it").run_id == given
    assert client.get_run(given).info.run_name == "evaluate it"


@pytest.mark.usefixtures("unset")
def test_without_mlflow_run_the_experiment_is_the_project_s_too(run_dir, client):
    assert client.get_experiment(open_run(run_dir).experiment_id).name == "pct"


def test_a_killed_run_is_closed_by_the_one_that_goes_on(run_dir, client, monkeypatch):
    killed = open_run(run_dir).run_id
    assert client.get_run(killed).info.status == "RUNNING"
    given = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    open_run(run_dir)
    assert client.get_run(killed).info.status == "KILLED"
    assert client.get_run(killed).info.lifecycle_stage == "deleted"
    assert [r.info.run_id for r in client.search_runs(["0"])] == [given]
    assert client.get_run(killed).data.tags["pct.continued_by"] == given


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(2), "FAILED"),
        (MemoryError(), "FAILED"),
        (OSError("full"), "FAILED"),
    ],
)
def test_a_run_that_is_left_early_does_not_stay_running(run_dir, client, problem, status):
    mlflow_run = open_run(run_dir)
    with pytest.raises(type(problem)), mlflow_runs.ended_on_failure(mlflow_run):
        raise problem
    assert client.get_run(mlflow_run.run_id).info.status == status


def test_an_upload_that_breaks_off_ends_its_run_as_failed(run_dir, client, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(upload, "log_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upload.upload_run(run_dir)
    (run,) = client.search_runs(["0"])
    assert run.info.status == "KILLED"


def test_a_run_of_flat_metric_names_is_uploaded_again_without_harm(run_dir, client):
    """What version 0.1.0 left in a store."""
    mlflow_run = open_run(run_dir)
    client.log_metric(mlflow_run.run_id, "final_validation_acc_se", 0.1)
    upload.upload_run(run_dir)
    metrics = client.get_run(mlflow_run.run_id).data.metrics
    assert metrics["final_validation_acc_se"] == 0.1
    assert "test/comp" in metrics


def test_system_metrics_are_logged_where_mlflow_s_setting_asks(run_dir, client, monkeypatch):
    mlflow_run = open_run(run_dir)
    with mlflow_runs.system_metrics(mlflow_run):
        pass
    assert not client.get_run(mlflow_run.run_id).data.metrics
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with mlflow_runs.system_metrics(mlflow_run):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not client.get_run(mlflow_run.run_id).data.metrics:
            time.sleep(0.1)
    assert "system/cpu_utilization_percentage" in client.get_run(mlflow_run.run_id).data.metrics


def test_what_was_skipped_or_cut_and_how_many_words_have_a_vector_is_told_in_mlflow(run_dir, client):
    about = json.loads((run_dir / "about.json").read_text())
    about["data"] = {"train": {"cut_texts": 7, "rows_skipped": {"no label": 2}, "labels_as_indices": 0}, "test": {}}
    about["glove"] = {"words_with_vector": 30, "words": 40}
    (run_dir / "about.json").write_text(json.dumps(about))
    run = client.get_run(upload.upload_run(run_dir).mlflow_run.run_id)
    told = {name: value for name, value in run.data.tags.items() if name.startswith("data.")}
    assert told == {"data.train.cut_texts": "7", "data.train.rows_skipped": '{"no label": 2}'}
    (train,) = (i.dataset for i in run.inputs.dataset_inputs if i.dataset.name == "planted train")
    assert json.loads(train.profile)["cut_texts"] == 7
    assert (run.data.tags["glove.words_with_vector"], run.data.tags["glove.words"]) == ("30", "40")


def test_the_names_of_the_registered_model_and_of_the_experiment_may_be_given(run_dir, client):
    uploaded = upload.upload_run(run_dir, name="reviews", experiment="new one")
    assert uploaded.registered is not None
    assert uploaded.registered.uri == "models:/reviews/1"
    assert client.get_experiment_by_name("new one").experiment_id == uploaded.mlflow_run.experiment_id
    assert not client.search_runs(["0"])


def test_a_run_that_was_stopped_is_running_again_when_taken_up(run_dir, client):
    mlflow_run = open_run(run_dir)
    mlflow_runs.end_run(mlflow_run, "KILLED")
    assert client.get_run(mlflow_run.run_id).info.status == "KILLED"
    assert open_run(run_dir).run_id == mlflow_run.run_id
    assert client.get_run(mlflow_run.run_id).info.status == "RUNNING"


def test_a_run_deleted_in_mlflow_is_made_anew(run_dir, client):
    first = open_run(run_dir)
    client.delete_run(first.run_id)
    assert open_run(run_dir).run_id != first.run_id


def test_a_folder_goes_to_another_tracking_as_a_new_run(run_dir, empty_store, tmp_path, monkeypatch):
    first = upload.upload_run(run_dir)
    shutil.copy(empty_store, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    second = upload.upload_run(run_dir)
    assert second.mlflow_run.run_id != first.mlflow_run.run_id
    assert second.registered is not None
    assert second.registered.version == 1


def test_a_folder_remembers_its_tracking(run_dir, uri, client, tmp_path, monkeypatch):
    open_run(run_dir)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path / "run" / "model")
    assert check_connection(run_dir) == uri
    tracked = upload.upload_run(run_dir)
    assert tracked.mlflow_run.uri == uri
    assert tracked.registered is not None
    assert client.get_model_version("pct-planted-textcnn", "1").run_id == tracked.mlflow_run.run_id
    assert not Path("mlflow.db").exists()


def test_a_nested_run_lies_under_its_parent_and_may_stay_unregistered(run_dir, client, monkeypatch):
    parent = start_run("a sweep")
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.run_id)
    child = open_run(run_dir, parent=parent)
    assert client.get_run(child.run_id).data.tags["mlflow.parentRunId"] == parent.run_id
    assert upload.upload_run(run_dir, mlflow_run=child, registers=False).registered is None
    assert not client.search_model_versions("")


def test_track_of_no_run_is_an_error_without_traceback(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "holds no run" in capsys.readouterr().err


def test_track_to_a_server_that_is_down_leaves_the_results(run_dir, closed_port, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port}")
    assert main([str(run_dir)]) == 1
    assert "connection refused" in capsys.readouterr().err
    assert not runs.run(TINY, run_dir, progress=False).trained


def test_a_damaged_memory_of_mlflow_is_named(run_dir, capsys):
    (run_dir / TRACKING).write_text("[]")
    assert main([str(run_dir)]) == 1
    assert "mlflow.json is damaged; remove it" in capsys.readouterr().err
