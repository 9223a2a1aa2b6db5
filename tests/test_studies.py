"""The study of encoders: its cells are trained and measured once, and its table is made of their values."""

import pytest

from benchmarks.studies import finetune
from pct.settings import Settings

QUICK = Settings(
    corpus="planted", model="textcnn", method="normal", epochs=1, limit=40, batch_size=16, evaluate_epochs=False,
    restore_best=False, device="cpu",
)  # fmt: skip


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The folders of models and of values: a model trained normally, and further by two methods."""
    # a TextCNN has no frozen gradient
    conditions = {name: ("l2", removal, 20) for name, (_, removal, _) in finetune.CONDITIONS.items()}
    monkeypatch.setattr(finetune, "CONDITIONS", conditions)
    values = tmp_path / "values"
    values.mkdir()
    for name in ("normal", "removal_margin"):
        settings = QUICK.replace(method=finetune.VARIANTS[name]["method"])
        finetune.cell(tmp_path / "models", values, settings, name, start=QUICK)
    return tmp_path / "models", values


def test_a_cell_is_measured_under_each_condition_and_trained_once(measured, monkeypatch):
    models, values = measured
    runs = finetune.read(values, "ft-removal_margin")
    assert list(runs) == [0]
    assert all(len(margins) == 20 for margins in finetune.values(runs, "mask", "margin").values())
    assert {path.name for path in models.iterdir()} == {"planted-normal-0", "ft-normal-0", "ft-removal_margin-0"}
    monkeypatch.setattr(finetune, "train", None)
    monkeypatch.setattr(finetune, "evaluate", None)
    finetune.cell(models, values, QUICK, "removal_margin", start=QUICK)


def test_the_table_has_means_and_changes_with_their_intervals(measured):
    _, values = measured
    lines = list(finetune.table(values, ["normal", "removal_margin", "unirex"]))
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| normal", "| removal_margin"]
    assert "[" in lines[-1]
    assert len({line.count("|") for line in lines}) == 1
