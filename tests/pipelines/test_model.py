"""The model in MLflow: it answers, explains, holds no pickle, and loads where this project is not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.layout import EXPORTED
from pct.onnx.predictor import WEIGHTS
from pct.training import runs
from pipelines import upload

TEXTS = ["a brilliant and moving film .", "dull"]


@pytest.fixture(scope="module")
def once(finished: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> upload.UploadedRun:
    """The finished run, tracked once for all tests of this file, which only read it."""
    folder = tmp_path_factory.mktemp("tracked")
    shutil.copytree(finished, folder / "run")
    shutil.copy(empty_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as m:
        m.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        return upload.upload_run(folder / "run")


@pytest.fixture
def tracked(once: upload.UploadedRun, uri: str, monkeypatch: pytest.MonkeyPatch) -> upload.UploadedRun:
    """The run, in the tracking that the test sees."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", once.mlflow_run.uri)
    return once


def files_of(tracked: upload.UploadedRun) -> Path:
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(artifact_uri=tracked.model_uri))


def test_it_answers_for_the_column_text_and_other_columns_pass_by(tracked, run_dir):
    import mlflow.pyfunc
    import pandas as pd

    model = mlflow.pyfunc.load_model("models:/pct-planted-textcnn@champion")
    probabilities = runs.load_run(run_dir).classifier().predict(TEXTS)
    tables = (pd.DataFrame({"text": TEXTS}), pd.DataFrame({"id": [7, 8], "text": TEXTS}), [{"text": t} for t in TEXTS])
    for asked in tables:
        answer = model.predict(asked)
        assert answer["label"].tolist() == [["negative", "positive"][i] for i in probabilities.argmax(1)]
        np.testing.assert_allclose(answer["confidence"], probabilities.max(1), atol=1e-6)
        assert list(answer) == ["label", "confidence"]


def test_it_explains_when_asked(tracked, run_dir):
    import mlflow.pyfunc

    answer = mlflow.pyfunc.load_model(tracked.model_uri).predict({"text": TEXTS}, params={"explain": True})
    assert answer["words"].tolist() == [text.split() for text in TEXTS]
    wanted = runs.load_run(run_dir).classifier().saliency(TEXTS, by="grad_x_input")
    for found, saliency in zip(answer["saliency"], wanted, strict=True):
        np.testing.assert_allclose(found, saliency, rtol=1e-4, atol=1e-6)


def test_an_empty_text_is_refused(tracked):
    import mlflow.pyfunc

    with pytest.raises(Exception, match="at least one word"):
        mlflow.pyfunc.load_model(tracked.model_uri).predict({"text": ["  "]})


@pytest.mark.parametrize("nothing", [None, float("nan"), 3])
def test_what_is_no_text_is_refused(tracked, nothing):
    import mlflow.pyfunc
    import pandas as pd

    model = mlflow.pyfunc.load_model(tracked.model_uri)
    table = pd.DataFrame({"text": ["a film", nothing]}, dtype=object)
    for asked in (table, {"text": ["a film", nothing]}, [{"text": "a film"}, {"text": nothing}]):
        with pytest.raises(ValueError, match=r"row 1 has .* in place of a text"):
            model.predict(asked)
    for asked in ([nothing], ["a film"], pd.DataFrame({"review": ["a film"]})):
        with pytest.raises(Exception, match="missing inputs \\['text'\\]"):
            model.predict(asked)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": ["a film", None]},
        {"inputs": {"text": ["a film", None]}},
        {"instances": ["a film", None]},
        {"dataframe_split": {"columns": ["id", "text"], "data": [[1, "a film"], [2, None]]}},
        {"dataframe_records": [{"text": "a film"}, {"text": None}]},
    ],
)
def test_a_null_sent_to_mlflow_s_server_is_refused_and_texts_are_answered(tracked, body):
    """As `mlflow models serve` does it: its own application, asked in this process."""
    import mlflow.pyfunc
    from fastapi.testclient import TestClient
    from mlflow.pyfunc.scoring_server import init

    http = TestClient(init(mlflow.pyfunc.load_model(tracked.model_uri)), raise_server_exceptions=False)
    refused = http.post("/invocations", json=body)
    assert refused.status_code >= 400
    assert "in place of a text" in refused.text
    whole = json.loads(json.dumps(body).replace("null", '"dull"'))
    answer = http.post("/invocations", json=whole)
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 2


def test_pct_load_takes_both_kinds_of_uri(tracked, run_dir):
    wanted = runs.load_run(run_dir).classifier().predict(TEXTS)
    for uri in (tracked.model_uri, "models:/pct-planted-textcnn@champion", "models:/pct-planted-textcnn/1"):
        np.testing.assert_array_equal(pct.load(uri).predict(TEXTS), wanted)


@pytest.mark.parametrize("uri", ["models:/pct-none@champion", "models:/pct-planted-textcnn/9", "runs:/0123/model"])
def test_a_uri_that_leads_nowhere_is_named(tracked, uri):
    with pytest.raises(FileNotFoundError, match="cannot be downloaded from MLflow"):
        pct.load(uri)


def test_nothing_in_it_is_pickled(tracked):
    import zipfile

    root = files_of(tracked)
    for path in root.rglob("*"):
        if path.is_file():
            # the numbers of the ONNX graphs, raw; what begins like a pickle is found below all the same
            graphs = path.name == WEIGHTS and path.parent.name == EXPORTED
            assert graphs or path.suffix not in (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib"), path
            assert not zipfile.is_zipfile(path), path
            assert path.read_bytes()[:2] not in (b"\x80\x04", b"\x80\x05"), path


def test_it_has_signature_example_settings_and_exact_requirements(tracked, run_dir):
    import mlflow.models

    root = files_of(tracked)
    info = mlflow.models.get_model_info(str(root))
    assert info.signature.inputs.input_names() == ["text"]
    assert info.signature.outputs.input_names() == ["label", "confidence", "words", "saliency"]
    assert info.metadata["settings"] == runs.load_run(run_dir).settings.to_dict()
    example = json.loads((root / "input_example.json").read_text())
    assert "data" in example or isinstance(example, list)
    lines = (root / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in lines} == {"mlflow", "numpy", "pandas", "safetensors", "torch", "tqdm"}
    assert not any("+" in line or "==" not in line for line in lines)


def test_it_loads_and_answers_where_this_project_is_not_installed(tracked, tmp_path):
    root = files_of(tracked)
    code = (
        "import importlib.util, sys\n"
        # an editable install of the project is taken off the path again
        "sys.path[:] = [p for p in sys.path if p != sys.argv[2] and '__editable__' not in p]\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in getattr(f, '__module__', '')]\n"
        "import mlflow.pyfunc\n"
        "assert importlib.util.find_spec('pct') is None and importlib.util.find_spec('pipelines') is None\n"
        "asked = {'text': ['a brilliant film']}\n"
        "answer = mlflow.pyfunc.load_model(sys.argv[1]).predict(asked, params={'explain': True})\n"
        "import pct; print(pct.__file__); print(answer.to_json())\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(root), str(Path(__file__).parents[2])], capture_output=True, text=True,
        cwd=elsewhere, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    where, answer = done.stdout.splitlines()[-2:]
    assert where.startswith(str(root))
    assert json.loads(answer)["words"]["0"] == ["a", "brilliant", "film"]
