"""The study of fine-tuning: its cells are trained and measured once, and its table is made of them."""

from __future__ import annotations

import pytest

from benchmarks.studies import finetune
from pct.settings import Settings

QUICK = Settings(
    corpus="planted", model="textcnn", method="normal", epochs=1, limit=40, batch_size=16, evaluate_epochs=False,
    restore_best=False, device="cpu",
)  # fmt: skip


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """A folder with a model trained normally, and this model trained further by two methods."""
    # a TextCNN has no frozen gradient
    conditions = {name: ("l2", removal, 20) for name, (_, removal, _) in finetune.CONDITIONS.items()}
    monkeypatch.setattr(finetune, "CONDITIONS", conditions)
    base = tmp_path / "base-normal-0"
    finetune.cell(base, QUICK, texts=20)
    for name in ("normal", "removal_margin"):
        settings = QUICK.replace(method=finetune.VARIANTS[name]["method"])
        finetune.cell(tmp_path / f"ft-{name}-0", settings, base, texts=20)
    return tmp_path


def test_a_cell_is_measured_under_each_condition_and_made_once(cells, monkeypatch):
    runs = finetune.read(cells, "ft-removal_margin")
    assert list(runs) == [0]
    assert all(len(values) == 20 for values in finetune.values(runs, "mask", "margin").values())
    monkeypatch.setattr(finetune, "train", None)
    monkeypatch.setattr(finetune, "evaluate", None)
    finetune.cell(cells / "base-normal-0", QUICK)


def test_the_table_has_means_and_changes_with_their_intervals(cells):
    lines = list(finetune.table(cells, ["normal", "removal_margin", "unirex"]))
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| (before)", "| normal", "| removal_margin"]
    assert "[" in lines[-1]
    assert len({line.count("|") for line in lines}) == 1
