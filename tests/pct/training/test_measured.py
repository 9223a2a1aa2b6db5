"""Further measurements of finished runs, kept in their folders."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.commands import measure
from pct.corpora.loading import load_splits, with_corpus
from pct.metrics.evaluation import evaluate
from pct.settings import Settings
from pct.training import measured
from pct.training.grid import find_runs
from pct.training.measured import Measurement, is_measured, load_measured, measure_run
from pct.training.runs import report_of, run
from tests.pct.number import number_rows
from tests.pct.small import small_classifier

TINY = Settings(limit=48, epochs=1, evaluate_epochs=False, device="cpu", threads=1)
OTHERS = {
    "l1": Measurement(("acc", "comp", "suff"), saliency="l1"),
    "few": Measurement(("comp", "ir"), order="recomputed", limit=10),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few texts."""
    return run(TINY, tmp_path_factory.mktemp("finished") / "one", progress=False).folder


@pytest.fixture
def root(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished run, and two measurements that there are."""
    monkeypatch.setattr(measured, "STANDARD", OTHERS)
    shutil.copytree(finished, tmp_path / "runs" / "one")
    return tmp_path / "runs"


def test_a_measurement_is_what_evaluate_gives_under_its_conditions_and_is_made_once(root: Path) -> None:
    assert measure.main([str(root)]) == 0
    (finished_run,) = find_runs([root])
    actual = load_measured(finished_run.folder, "l1")
    classifier = finished_run.classifier("cpu")
    classifier.settings = classifier.settings.replace(saliency="l1")
    s, corpus = finished_run.settings, load_splits(finished_run.settings)
    expected = evaluate(classifier, corpus.splits["test"], *s.measured_shares, s.order, metrics=("acc", "comp", "suff"))
    assert actual.metrics == pytest.approx(expected.metrics)
    assert np.array_equal(actual.columns["comp"], expected.columns["comp"])
    assert actual.comp != finished_run.test.comp  # another saliency, other words
    assert len(load_measured(finished_run.folder, "few").columns["n"]) == 10
    times = [p.stat().st_mtime_ns for p in sorted(finished_run.folder.glob("measured/*"))]
    assert measure.main([str(root)]) == 0
    assert [p.stat().st_mtime_ns for p in sorted(finished_run.folder.glob("measured/*"))] == times


def test_some_measurements_are_asked_for_by_name_and_an_unknown_one_is_told(root: Path) -> None:
    assert measure.main([str(root), "--only", "few"]) == 0
    assert is_measured(root / "one", "few")
    assert not is_measured(root / "one", "l1")
    with pytest.raises(FileNotFoundError, match="has no measurement l1; run pct measure"):
        load_measured(root / "one", "l1")
    with pytest.raises(ValueError, match="no measurement is called l3; there are l1, few"):
        measure.main([str(root), "--only", "l3"])


def test_words_are_removed_as_in_the_run_unless_the_measurement_says_how(tmp_path: Path) -> None:
    one = run(TINY.replace(removal="unknown"), tmp_path / "one", progress=False)
    corpus, metrics = load_splits(one.settings), ("comp", "suff")
    own, deleted = (
        measure_run(one, f"by {removal or 'its own'}", Measurement(metrics, removal=removal), corpus)
        for removal in ("", "delete")
    )
    assert [own.comp, own.suff] == [one.test.comp, one.test.suff]
    assert own.comp != deleted.comp


def test_a_run_of_a_number_is_measured_by_the_metrics_that_a_number_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "STANDARD", {name: measured.STANDARD[name] for name in ("controls", "mask")})
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in number_rows(60)))
    settings = TINY.replace(corpus="files", train_file=str(rows), label_column="stars", head="value")
    one = run(settings, tmp_path / "one", progress=False)
    assert measure.main([str(tmp_path)]) == 0
    assert {"comp", "margin", "win"} <= set(load_measured(one.folder, "controls").metrics)
    assert "ir" not in load_measured(one.folder, "mask").metrics


def test_a_run_is_not_measured_on_other_texts(root: Path) -> None:
    (finished_run,) = find_runs([root])
    with pytest.raises(ValueError, match="was measured on other texts"):
        measure_run(finished_run, "l1", OTHERS["l1"], load_splits(finished_run.settings.replace(corpus_seed=9)))


def test_a_report_that_is_read_again_is_the_one_that_was_written(tmp_path: Path) -> None:
    written = pct.evaluate(small_classifier("textcnn"), (["a good film", "film"], [0, 1]), metrics=["usual", "win"])
    written = replace(written, windows="windows of 8 tokens, stride 4")
    written.to_parquet(tmp_path / "columns.parquet")
    again = report_of(json.loads(written.to_json()), written.classes, tmp_path / "columns.parquet")
    assert again.metrics == pytest.approx(written.metrics, nan_ok=True)
    assert again.intervals.keys() == written.intervals.keys()
    for field in ("saliency", "windows", "data", "classes"):
        assert getattr(again, field) == getattr(written, field), field


def test_a_run_on_lists_of_words_is_measured(tmp_path: Path) -> None:
    rows = [["good", "film"], ["bad", "film", "and", "slow"]] * 30
    one = run(TINY, tmp_path / "one", progress=False, corpus=(rows, ["pos", "neg"] * 30))
    report = measure_run(one, "few", Measurement(("comp", "margin")), with_corpus(TINY, (rows, ["pos", "neg"] * 30))[1])
    assert report.comp == pytest.approx(one.test.comp)
