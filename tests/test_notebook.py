"""The notebooks of examples/ run, and the pages of the site are made of them."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.project import REPOSITORY

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: it comes with the extra dev")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: it comes with the extra dev")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: it comes with the extra dev")

PAGES = {"any_classifier": "whole-way", "labels_and_pairs": "labels-and-pairs"}  # as in docs/scripts/notebook_page.py


def read(name: str) -> Any:
    return nbformat.read(REPOSITORY / "examples" / f"{name}.ipynb", as_version=4)


def executed(name: str, folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCT_CACHE_DIR", str(folder / "cache"))
        patch.setenv("TMPDIR", str(folder))
        notebook = read(name)
        for cell in notebook.cells:  # the page is made of all rows
            cell.source = re.sub(r"^ROWS = \d+", "ROWS = 120", cell.source)
        nbclient.NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


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
    return executed("any_classifier", tmp_path_factory.mktemp("notebook"))


@pytest.fixture(scope="module")
def labels_and_pairs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook of several labels and of pairs, executed."""
    return executed("labels_and_pairs", tmp_path_factory.mktemp("notebook"))


@pytest.mark.notebook
def test_the_classifier_s_probabilities_are_the_pipeline_s_before_and_after(done):
    for part in ("pct.load(FOLDER", "finetuned.save("):
        (difference,) = re.findall(r"largest difference to the pipeline: (\S+)", shown_by(done, part))
        assert float(difference) < 1e-5


@pytest.mark.notebook
def test_it_is_measured_against_chance_with_an_interval(done):
    output = shown_by(done, "pct.evaluate(clf")
    found = re.search(r"in (\d+)% of the comparisons \(95 % interval (\d+)% to (\d+)%\)", output)
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


@pytest.mark.notebook
@pytest.mark.parametrize("part", ["clf = pct.load(", "pairs = pct.load("])
def test_labels_and_pairs_have_the_probabilities_of_the_pipeline(labels_and_pairs, part):
    (difference,) = re.findall(r"largest difference to the pipeline: (\S+)", shown_by(labels_and_pairs, part))
    assert float(difference) < 1e-5


@pytest.mark.notebook
def test_each_assigned_label_is_explained(labels_and_pairs):
    output = shown_by(labels_and_pairs, "why = pct.explain(clf")
    assert "explained: angry, praise" in output
    assert output.count("<article>") == 2


@pytest.mark.notebook
def test_both_texts_of_a_pair_are_explained_and_one_alone_if_asked(labels_and_pairs):
    both, second = (shown_by(labels_and_pairs, part) for part in ("pairs = pct.load(", 'remove="second"'))
    assert re.search(r"<mark[^>]*>broken</mark>", both)
    assert re.search(r"<mark[^>]*>refund</mark>", both)
    assert not re.search(r"<mark[^>]*>broken</mark>", second)
    assert re.search(r"<mark[^>]*>refund</mark>", second)


@pytest.mark.notebook
def test_one_service_answers_for_labels_and_pairs(labels_and_pairs):
    output = shown_by(labels_and_pairs, "client.explain(")
    assert "labels: angry, praise" in output
    assert re.search(r"^resolved \(0\.\d+\), (healthy|undecided|pathological)$", output, re.M)


@pytest.mark.parametrize("name", PAGES)
def test_a_notebook_is_kept_without_its_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("any_classifier", ("<td>margin</td>", '<mark class="f4"', "improved: ")),
        ("labels_and_pairs", ("<td>micro_f1</td>", "<article>", "labels: angry, praise")),
    ],
)
def test_a_page_has_the_notebook_s_code_and_outputs_of_it(name, outputs):
    page = (REPOSITORY / "docs" / "how-to" / f"{PAGES[name]}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)\n```$", page, re.M | re.S)
    assert blocks == code_of(read(name)), "make notebook makes the page anew"
    for shown in outputs:
        assert shown in page
