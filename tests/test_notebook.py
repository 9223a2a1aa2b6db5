"""The notebook of examples/ goes the whole way, and the page of the site is made of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.project import REPOSITORY

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: it comes with the extra dev")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: it comes with the extra dev")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: it comes with the extra dev")

NOTEBOOK = REPOSITORY / "examples" / "any_classifier.ipynb"
PAGE = REPOSITORY / "docs" / "how-to" / "whole-way.md"


def code_of(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def shown_by(notebook: Any, part: str) -> str:
    """All that the cell whose code has this part printed and showed."""
    (cell,) = (c for c in notebook.cells if c.cell_type == "code" and part in c.source)
    output = [x.text if x.output_type == "stream" else next(iter(x.data[k] for k in ("text/html", "text/plain")
            if k in x.data), "") for x in cell.outputs]  # fmt: skip
    return "\n".join(output)


@pytest.fixture(scope="module")
def done(data_dir: Path, minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook, executed; data_dir and minilm skip, with the reason, where there are none."""
    if not (data_dir / "mr" / "train.jsonl.gz").is_file():
        pytest.skip(f"PCT_DATA_DIR has no movie reviews: {data_dir}/mr/train.jsonl.gz is missing")
    folder = tmp_path_factory.mktemp("notebook")
    patch = pytest.MonkeyPatch()
    patch.setenv("PCT_CACHE_DIR", str(folder / "cache"))
    patch.setenv("TMPDIR", str(folder))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder)}}).execute()
    patch.undo()
    return notebook


@pytest.mark.notebook
def test_the_classifier_s_probabilities_are_the_pipeline_s_before_and_after(done):
    for part in ("pct.load(FOLDER", "finetuned.save("):
        (difference,) = re.findall(r"largest difference to the pipeline: (\S+)", shown_by(done, part))
        assert float(difference) < 1e-5


@pytest.mark.notebook
def test_it_is_measured_against_chance_with_an_interval(done):
    output = shown_by(done, "pct.evaluate(clf")
    found = re.search(r"in (\d+)% of the texts \(95 % interval (\d+)% to (\d+)%\)", output)
    assert found is not None
    share, low, high = map(int, found.groups())
    assert low <= share <= high
    assert "<td>margin</td>" in output


@pytest.mark.notebook
def test_its_most_pathological_texts_are_shown_with_their_words_shaded(done):
    output = shown_by(done, "worst = sorted")
    assert re.search(r"'healthy': \d+, 'undecided': \d+, 'pathological': \d+", output)
    assert re.search(r'<mark class="f4" title="\S+">', output)


@pytest.mark.notebook
def test_before_and_after_stand_beside_each_other_with_intervals_and_a_verdict(done):
    output = shown_by(done, "pct.finetune(")
    for name in ("acc", "comp-suff", "margin"):
        (low, high) = re.findall(rf"<td>{name}</td>.*?<td>([+-][\d.]+) \.\. ([+-][\d.]+)</td>", output)[0]
        assert float(low) <= float(high)
    assert re.search(r"<b>(not )?improved: ", output)


@pytest.mark.notebook
def test_the_service_answers_with_the_words_and_their_saliency(done):
    output = shown_by(done, "client.explain(")
    assert re.search(r"^(positive|negative) \(0\.\d+\), (healthy|undecided|pathological)$", output, re.M)
    assert re.search(r"\{'Despite': -?\d.*'brilliant': -?\d", output)


def test_the_notebook_is_kept_without_its_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def test_the_page_has_the_notebook_s_code_and_outputs_of_it():
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)\n```$", page, re.M | re.S)
    assert blocks == code_of(nbformat.read(NOTEBOOK, as_version=4)), "make notebook makes the page anew"
    for shown in ("<td>margin</td>", '<mark class="f4"', "improved: "):
        assert shown in page
