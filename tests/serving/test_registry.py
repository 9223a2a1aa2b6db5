"""Models of the registry: found, downloaded or exported, and followed when the champion moves, under load."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pct.settings import Settings
from serving.model_sources import RegistryWatch, resolve
from serving.model_store import ModelEntry
from tests.pipelines.conftest import empty_store, finished  # noqa: F401  a run with graphs, an empty MLflow database
from tests.serving.conftest import serving
from tests.waiting import until

pytest.importorskip("mlflow")

NAME = "pct-planted-textcnn"
CHAMPION = f"models:/{NAME}@champion"


@pytest.fixture(scope="module")
def registered(finished: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: F811
    """A tracking with three versions of a model: 1 normal, 2 pct, 3 entropy, the last one without ONNX graphs."""
    import mlflow

    from pct.training.runs import run
    from pipelines import upload

    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{shutil.copy(empty_store, folder / 'mlflow.db')}"
    with pytest.MonkeyPatch.context() as m:
        m.setenv("MLFLOW_TRACKING_URI", uri)
        m.setenv("MLFLOW_EXPERIMENT_NAME", "Default")  # the experiment that a new store has, by its number 0
        m.setenv("PCT_CACHE_DIR", str(folder / "cache"))
        m.chdir(folder)
        mlflow.set_tracking_uri(None)
        m.setattr(upload, "draw_figures", lambda run: [])
        for method in ("normal", "pct", "entropy"):
            if method == "entropy":
                m.setattr(upload, "export_run", lambda run, say: None)
            if method == "pct":
                shutil.copytree(finished, folder / method)
            else:
                settings = Settings(method=method, limit=64, epochs=1, evaluate_limit=16, threads=1)
                run(settings, folder / method, progress=False)
            upload.upload_run(folder / method)
        client(uri).set_registered_model_alias(NAME, "champion", "1")
        yield uri
        mlflow.set_tracking_uri(None)


def client(uri: str) -> Any:
    import mlflow

    return mlflow.MlflowClient(uri)


def test_a_version_comes_with_its_graphs_and_its_figures(registered, tmp_path):
    client(registered).set_registered_model_alias(NAME, "champion", "2")
    found = resolve(CHAMPION, tmp_path)
    assert (found.id, found.name, found.version, found.alias) == ("planted-textcnn-pct", NAME, "2", "champion")
    assert {"acc", "comp", "suff", "ir", "ur", "comp_minus_suff"} <= set(found.metrics)
    again = resolve(f"models:/{NAME}/2", tmp_path)
    assert (again.folder, again.alias) == (found.folder, None)
    assert resolve(f"models:/{NAME}/1", tmp_path).folder != found.folder


@pytest.mark.parametrize("source", ["models:/none@champion", f"models:/{NAME}@none", f"models:/{NAME}/99"])
def test_a_model_that_is_not_there_is_named(source, registered, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not in the registry"):
        resolve(source, tmp_path)


def test_the_metadata_of_the_logged_model_holds_the_agreement_with_torch(registered):
    import mlflow

    about = mlflow.models.get_model_info(f"models:/{NAME}/2").metadata
    assert 0 <= about["onnx"]["logits"]["difference"] < 1e-4


def test_a_registry_that_is_away_or_a_bad_version_leaves_what_is_served(registered, tmp_path, capsys, monkeypatch):
    client(registered).set_registered_model_alias(NAME, "champion", "1")
    models = [resolve(CHAMPION, tmp_path), ModelEntry("own", "folder", "folder")]
    watch = RegistryWatch(models, tmp_path / "models.json", tmp_path)
    assert watch.needed
    assert not watch.check()
    with monkeypatch.context() as m:
        m.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/nowhere/mlflow.db")
        assert not watch.check()
        assert not watch.check()
    assert capsys.readouterr().err.count("the models stay as they are") == 1
    client(registered).set_registered_model_alias(NAME, "champion", "2")
    assert watch.check()
    assert [m.version for m in watch.models] == ["2", None]
    assert [m.id for m in watch.models] == [m.id for m in models]
    assert not watch.check()


def test_the_champion_moves_under_load_and_no_request_fails(registered, tmp_path, capfd):
    """The third version is exported meanwhile, since it has no graphs."""
    client(registered).set_registered_model_alias(NAME, "champion", "1")
    with serving(tmp_path, CHAMPION, "--poll", "0.2", MLFLOW_TRACKING_URI=registered) as running:
        statuses: list[int] = []
        versions: list[str] = []
        stop = threading.Event()

        def load(path):
            while not stop.wait(0.3):  # load, and time for the process that exports the third version
                status, answer = running.ask(path, {"texts": ["a brilliant and moving film"]})
                statuses.append(status)
                versions.append(answer["model"]["version"])

        threads = [threading.Thread(target=load, args=(path,)) for path in ("/predict", "/explain", "/explain")]
        for thread in threads:
            thread.start()
        for version in ("2", "3", "1"):
            client(registered).set_registered_model_alias(NAME, "champion", version)
            until(lambda version=version: versions[-1:] == [version], running.log_file)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}
        assert running.ask("/model")[1]["models"][0]["version"] == "1"
        swaps = [x for x in running.ask("/metrics")[1].splitlines() if x.startswith("pct_model_swaps_total ")]
        assert float(swaps[0].split()[-1]) == 3
        assert "exporting it" in running.log
    capfd.readouterr()
    entry = resolve(f"models:/{NAME}/3", tmp_path / "cache")  # by now it is in the service's cache
    assert entry.id == "planted-textcnn-entropy"
    assert capfd.readouterr().err == ""
