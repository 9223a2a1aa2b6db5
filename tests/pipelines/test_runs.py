"""A run's folder: whole, found again, and no other run's."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.corpora.loading import load_splits
from pct.layout import EXPORTED
from pct.metrics.evaluation import evaluate
from pct.settings import Settings
from pct.training import runs
from pct.writing import folder_lock
from tests.pipelines.conftest import REPOSITORY, TINY, in_use


def test_a_finished_run_tells_its_metrics_errors_and_gaps(finished):
    report = json.loads((finished / "report.json").read_text())
    assert set(report["metrics"]) == set(report["standard_errors"])
    assert report["gaps"]["comp-suff"] == pytest.approx(report["metrics"]["comp"] - report["metrics"]["suff"])
    assert report["texts"] == 48
    assert report["validation"]["metrics"]["acc"] == pytest.approx(runs.load_run(finished).validation.acc)


def test_the_report_is_that_of_the_saved_model_on_the_test_split(finished):
    run = runs.load_run(finished)
    again = evaluate(run.classifier(), load_splits(TINY).splits["test"])
    for name, value in again.metrics.items():
        assert run.test.metrics[name] == pytest.approx(value, abs=1e-5, nan_ok=True)


def test_each_test_text_has_its_row_in_order(finished):
    columns = runs.load_run(finished).test.columns
    split = load_splits(TINY).splits["test"]
    assert columns["text"].tolist() == split.texts
    assert columns["label"].tolist() == split.labels.tolist()
    assert columns["index"].tolist() == list(range(48))
    assert np.nanmean(columns["comp"]) == pytest.approx(runs.load_run(finished).test.comp)


def test_about_names_corpus_code_machine_and_time(finished):
    about = runs.load_run(finished).about
    assert about["corpus"]["fingerprint"] == load_splits(TINY).fingerprint
    assert about["corpus"]["sizes"] == {"train": 48, "validation": 48, "test": 48}
    assert about["versions"]["torch"]
    assert about["versions"]["pct"] == pct.__version__
    for folder in ("model", EXPORTED):
        assert json.loads((finished / folder / "classifier.json").read_text())["version"] == pct.__version__
    assert about["peak_memory_mb"]["process"] > 0
    assert about["epochs"] == 2
    assert set(about["seconds"]) == {"training", "evaluation"}


def test_a_finished_run_is_read_back_and_not_trained_again(run_dir):
    before = (run_dir / "model" / "model.safetensors").stat().st_mtime_ns
    epochs: list[dict[str, object]] = []
    run = runs.run(TINY, run_dir, epochs.append, progress=False)
    assert not run.trained
    assert epochs == []
    assert (run_dir / "model" / "model.safetensors").stat().st_mtime_ns == before


class StopError(Exception):
    """What stops a run in these tests."""


def stop(*_: object, **__: object) -> None:
    raise StopError


def test_a_run_stopped_between_training_and_report_is_measured_without_training(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as m:
        m.setattr(runs, "evaluate", stop)
        with pytest.raises(StopError):
            runs.run(TINY, tmp_path / "stopped", progress=False)
    with pytest.raises(FileNotFoundError, match="unfinished run"):
        runs.load_run(tmp_path / "stopped")
    epochs: list[dict[str, object]] = []
    run = runs.run(TINY, tmp_path / "stopped", epochs.append, progress=False)
    assert epochs == []
    assert run.test.metrics == pytest.approx(runs.load_run(finished).test.metrics, nan_ok=True)


def test_a_run_stopped_after_an_epoch_goes_on_to_the_same_weights(finished, tmp_path):
    with pytest.raises(StopError):
        runs.run(TINY, tmp_path / "stopped", stop, progress=False)
    assert len(runs.read_history(tmp_path / "stopped")) == 1
    run = runs.run(TINY, tmp_path / "stopped", progress=False)
    assert run.trained
    assert run.about["weights"] == runs.load_run(finished).about["weights"]


def test_other_settings_in_a_finished_folder_are_refused(run_dir):
    with pytest.raises(ValueError, match=r"seed: 0 -> 1.*another folder"):
        runs.run(TINY.replace(seed=1), run_dir, progress=False)


def test_another_corpus_in_a_finished_folder_is_refused(run_dir):
    other = load_splits(TINY.replace(corpus_seed=5))
    with pytest.raises(ValueError, match="corpus fingerprint"):
        runs.run(TINY, run_dir, progress=False, corpus=other)


def test_a_damaged_report_is_named_with_the_remedy(run_dir):
    (run_dir / "report.json").write_text("{")
    with pytest.raises(ValueError, match=r"damaged run.*remove report\.json"):
        runs.load_run(run_dir)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        runs.load_run(tmp_path)


def test_two_processes_do_not_work_in_one_folder(run_dir):
    with in_use(run_dir), pytest.raises(ValueError, match="in use by another process"):
        runs.run(TINY, run_dir, progress=False)
    # the lock went with its process
    assert not runs.run(TINY, run_dir, progress=False).trained


def test_a_lock_may_be_entered_again_by_its_thread(tmp_path):
    with folder_lock(tmp_path / "new"), folder_lock(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()


def test_the_default_folder_is_one_for_equal_settings_and_another_for_others():
    folder = runs.default_folder(Settings(corpus="mr", model="some/encoder name", method="normal"))
    assert folder.parent == Path("runs")
    assert folder.name.startswith("mr-encoder-name-normal-")
    assert folder == runs.default_folder(Settings(corpus="mr", model="some/encoder name", method="normal"))
    assert runs.default_folder(Settings(seed=1)) != runs.default_folder(Settings(seed=2))


def test_a_metric_without_a_value_stays_nan(run_dir):
    report = json.loads((run_dir / "report.json").read_text())
    report["metrics"]["comp"] = None
    (run_dir / "report.json").write_text(json.dumps(report))
    assert math.isnan(runs.load_run(run_dir).test.comp)


def test_the_code_version_is_that_of_its_own_tree_or_none(tmp_path):
    git = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, env=git)
    # a copy that lies, untracked, in some other project's tree
    package = tmp_path / "site" / "pct"
    shutil.copytree(Path(runs.__file__).parent, package / "training")
    code = (
        "import sys, types, pathlib; sys.modules['pct'].__path__.insert(0, sys.argv[1]);"
        "from pct.training.code_version import code_version; print(code_version())"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import pct;" + code, str(package)],
        capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.stdout.strip() == "{'commit': None, 'dirty': None}", done.stderr
