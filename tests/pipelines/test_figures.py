"""The figures: drawn for any run, also one of odd texts, from curves that are the explanations'."""

import re
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pct.explaining.explain import explain
from pct.metrics.report import Report
from pct.output.plots import density, example_figure, gap_figure, ridge_figure
from pct.training.runs import load_run
from pipelines.figures import confidences, draw_figures, example_rows, try_to_draw


@pytest.fixture
def run_dir(run_dir: Path) -> Path:
    """A finished run that was not drawn yet."""
    shutil.rmtree(run_dir / "figures")
    return run_dir


def size(path: Path) -> tuple[int, int]:
    """Width and height, from a PNG's own header."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])  # type: ignore[return-value]


def test_a_run_gets_three_legible_figures_once(run_dir):
    drawn = draw_figures(load_run(run_dir))
    assert [p.name for p in drawn] == ["confidence.png", "comp_minus_suff.png", "examples.png"]
    for path in drawn:
        width, height = size(path)
        assert width > 1000
        assert height > 500
    before = [p.stat().st_mtime_ns for p in drawn]
    draw_figures(load_run(run_dir))
    assert [p.stat().st_mtime_ns for p in drawn] == before
    assert not list((run_dir / "figures").glob("*.part"))


def test_the_curves_are_those_of_the_explanations(run_dir):
    run = load_run(run_dir)
    texts = [*run.test.columns["text"][:5].tolist(), "one", "two words"]
    classifier = run.classifier()
    important, unimportant = confidences(classifier, texts)
    assert important.shape == (7, 16)
    for row, one in enumerate(explain(classifier, texts, 15, saliency="l2")):
        steps = len(one.important.confidences)
        np.testing.assert_allclose(important[row, :steps], one.important.confidences)
        np.testing.assert_allclose(unimportant[row, :steps], one.unimportant.confidences)
        assert np.isnan(important[row, steps:]).all()


@pytest.mark.parametrize("values", [[0.5], [0.0, 1.0], [1.0] * 9, list(np.linspace(0, 1, 50))])
def test_a_density_has_the_area_one_also_at_the_ends(values):
    grid = np.linspace(0, 1, 2001)
    assert np.trapezoid(density(np.array(values), grid), grid) == pytest.approx(1, abs=1e-3)


def test_the_examples_are_the_best_the_median_and_the_worst():
    gap = np.array([0.1, -0.4, np.nan, 0.3, 0.2, 0.0, 0.9])
    counts = np.array([10, 12, 1, 9, 20, 8, 3])
    assert example_rows(gap, counts).tolist() == [3, 0, 1]  # the text of three words is too short to show much
    assert len(example_rows(np.array([np.nan, 0.1]), np.array([1, 2]))) == 1
    assert len(example_rows(np.array([np.nan]), np.array([1]))) == 1


def test_odd_texts_are_drawn(run_dir, tmp_path):
    texts = ["costs $5 or $6 {x} _y_^z \\frac", "word", "w" * 400 + " end", "מצוין 😀 film", "long " * 200]
    seen = explain(load_run(run_dir).classifier(), texts, 15)
    figure = example_figure(seen, ["positive"] * 5, [0.1, float("nan"), -0.2, 0.0, 0.3], "title with $ signs $")
    figure.savefig(tmp_path / "odd.png")
    assert size(tmp_path / "odd.png")[0] > 1000


@pytest.mark.parametrize("gap", [[], [np.nan], [0.0], [0.2, 0.2], [-1.0, 1.0], [1e-9, -1e-9]])
def test_a_histogram_of_few_or_equal_values_is_drawn(gap, tmp_path):
    gap_figure(np.array(gap, dtype=float), "t").savefig(tmp_path / "gap.png")
    assert size(tmp_path / "gap.png")[0] > 500


def test_ridges_without_later_steps_are_drawn(tmp_path):
    values = np.full((3, 16), np.nan)
    values[:, :2] = 0.7
    ridge_figure(values, values, "t").savefig(tmp_path / "ridge.png")
    assert size(tmp_path / "ridge.png")[0] > 500


def test_the_headline_counts_the_texts_whose_least_salient_words_matter_more():
    figure: Any = gap_figure(np.array([-0.1, 0.1, 0.2, 0.3]), "t")
    assert "comp < suff, by more than 0.01, on 25% of the texts" in " ".join(t.get_text() for t in figure.texts)


def test_a_run_of_one_word_texts_has_figures(run_dir):
    run = load_run(run_dir)
    n = 4
    columns = {"text": np.array(["good"] * n, object), "n": np.ones(n, int), "label": np.ones(n, int)}
    columns |= {"comp": np.full(n, np.nan), "suff": np.full(n, np.nan)}
    object.__setattr__(run, "test", Report(run.test.metrics, run.test.errors, columns, run.test.classes))
    assert len(draw_figures(run)) == 3


def test_a_picture_that_cannot_be_drawn_costs_nothing_and_is_said():
    messages: list[str] = []

    def fail():
        raise RuntimeError("no GPU\nand more")

    assert try_to_draw(fail, messages.append) == []
    assert messages == ["figures are missing (RuntimeError: no GPU); the results are complete"]


def test_a_run_that_was_trained_on_a_gpu_is_drawn_where_there_is_none(run_dir, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    copy = Path(shutil.copytree(run_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("figures")))
    for name in ("settings.json", "model/classifier.json"):
        text = (copy / name).read_text()
        (copy / name).write_text(re.sub(r'"device": "\w+"', '"device": "cuda"', text))
    run = load_run(copy)
    assert run.settings.device == "cuda"
    assert len(draw_figures(run)) == 3
