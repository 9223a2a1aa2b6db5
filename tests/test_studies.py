"""The studies: cells are trained and measured once, and tables are made of their values."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.studies import by_text, encoders, finetune, methods, rationales
from pct import evaluate, load
from pct.corpora.loading import read_splits
from pct.settings import Settings
from pct.training.runs import run
from tests.pct.models.families import classifier
from tests.pct.small import small_model
from tests.pct.toy import Scale

QUICK = Settings(
    corpus="planted", model="textcnn", method="normal", epochs=1, limit=40, batch_size=16, evaluate_epochs=False,
    restore_best=False, device="cpu",
)  # fmt: skip


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The folders of models and of values: a model trained normally, and further by two methods."""
    # a TextCNN has no frozen gradient
    conditions = {name: one._replace(saliency="l2", texts=20) for name, one in finetune.CONDITIONS.items()}
    monkeypatch.setattr(finetune, "CONDITIONS", conditions)
    values = tmp_path / "values"
    values.mkdir()
    for name in ("normal", "removal_margin"):
        settings = QUICK.replace(method=finetune.VARIANTS[name]["method"])
        finetune.cell(tmp_path / "models", values, settings, name, start=QUICK)
    return tmp_path / "models", values


def test_a_cell_is_measured_under_each_condition_and_trained_once(measured, monkeypatch):
    models, values = measured
    runs = finetune.runs_of(values, "ft-removal_margin")
    assert list(runs) == [0]
    assert all(len(margins) == 20 for margins in by_text.values(runs, "mask", "margin").values())
    assert {path.name for path in models.iterdir()} == {"planted-normal-0", "ft-normal-0", "ft-removal_margin-0"}
    monkeypatch.setattr(finetune, "train", None)
    monkeypatch.setattr(by_text, "evaluate", None)
    finetune.cell(models, values, QUICK, "removal_margin", start=QUICK)


def test_the_table_has_means_and_changes_with_their_intervals(measured):
    _, values = measured
    lines = list(finetune.table(values, ["normal", "removal_margin", "unirex"]))
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| normal", "| removal_margin"]
    assert "[" in lines[-1]
    assert len({line.count("|") for line in lines}) == 1


def test_a_model_of_another_method_is_trained_further(measured):
    models, values = measured
    masked = QUICK.replace(method="masked")
    for name in ("normal", "removal_margin"):
        settings = QUICK.replace(method=finetune.VARIANTS[name]["method"])
        finetune.cell(models, values, settings, name, start=masked, conditions=["l2"], after="masked")
    assert (models / "planted-masked-0" / "trained").is_file()
    assert (models / "ft_masked-removal_margin-0" / "trained").is_file()
    rows = list(finetune.table(values, ["normal", "removal_margin"], after="masked"))[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| normal", "| removal_margin"]
    plain = list(finetune.table(values, ["normal", "removal_margin"]))[2:]
    assert rows[0] != plain[0]


def test_a_further_condition_is_added_to_the_values_of_a_model(measured, monkeypatch):
    models, values = measured
    monkeypatch.setattr(finetune, "train", None)
    before = finetune.runs_of(values, "ft-normal")
    for name in ("normal", "removal_margin"):
        settings = QUICK.replace(method=finetune.VARIANTS[name]["method"])
        finetune.cell(models, values, settings, name, start=QUICK, conditions=(*finetune.USUAL, "normalised"))
    after = finetune.runs_of(values, "ft-normal")
    assert set(after[0]) - set(before[0]) == {
        f"normalised/{metric}" for metric in ("naopc_comp", "naopc_suff", "tau_loo")
    }
    assert all((before[0][name] == after[0][name]).all() for name in before[0])
    head, _, *rows = finetune.table(values, ["normal", "removal_margin"])
    assert "| naopc | tau_loo |" in head
    assert len({row.count("|") for row in rows}) == 1


def test_a_cell_is_the_mean_or_the_paired_change() -> None:
    runs = {seed: {"l2/comp": np.linspace(0, 1, 50), "l2/suff": np.linspace(0, 1, 50) - 0.1} for seed in range(3)}
    of_seeds = by_text.values(runs, "l2", "comp")
    assert by_text.mean(of_seeds) == ".500"
    assert by_text.mean(by_text.values(runs, "l2", "comp-suff")) == ".100"
    assert by_text.mean(by_text.values(runs, "mask", "comp")) == by_text.NONE
    less = {seed: values - 0.25 for seed, values in of_seeds.items() if seed}
    assert by_text.change(of_seeds, less) == "−.250 [−.250, −.250]"
    assert by_text.change(of_seeds, {}) == by_text.NONE


def test_the_values_of_a_finished_condition_are_kept(tmp_path, monkeypatch):
    done = []

    def stops(*_, **how):
        if done:
            raise KeyboardInterrupt
        done.append(how)
        return evaluate(Scale(), (["good bad the"], [1]), metrics=["comp"])

    monkeypatch.setattr(by_text, "evaluate", stops)
    conditions = {name: by_text.Condition("l2", "delete", ("comp",)) for name in ("first", "second")}
    with pytest.raises(KeyboardInterrupt):
        by_text.measure(tmp_path / "cell.npz", conditions, lambda: (None, None, {}))
    assert list(by_text.read(tmp_path / "cell.npz")) == ["first/comp"]


def test_numbers_lose_the_zero_before_the_point_alone():
    assert by_text.without_zeros("0.5 [-0.25, 20.5] 10.0") == ".5 [-.25, 20.5] 10.0"


def test_nothing_is_dropped_without_dropout():
    # attention of torch gets its share as a number: no module of it runs
    model = classifier("BERT", classes=2).train()
    ids = torch.arange(12)[None]
    passes = [model(input_ids=ids).logits for _ in range(2)]
    assert not torch.equal(*passes)
    with encoders.no_dropout():
        model.train()
        assert torch.equal(*(model(input_ids=ids).logits for _ in range(2)))


def test_a_representation_may_be_the_mean_of_the_tokens():
    model = small_model("transformer")
    model.eval()
    ids = torch.arange(12)[None]
    mask = torch.ones_like(ids, dtype=torch.bool)
    first = model(ids, mask)
    with encoders.mean_of_tokens():
        mean = model(ids, mask)
    assert torch.equal(first.logits, mean.logits)
    assert not torch.allclose(first.representation, mean.representation)


def test_methods_are_compared_with_the_first_of_their_family(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(methods, "CONDITIONS", {"l2": methods.CONDITIONS["l2"]})
    monkeypatch.setattr(methods, "COLUMNS", {"margin": ("l2", "margin")})
    folders = {}
    for method in ("normal", "entropy"):
        folders[method] = tmp_path / method
        run(QUICK.replace(method=method, measure_limit=30), folders[method], progress=False)
    arguments = [str(tmp_path / "kept"), *(f"TextCNN, {name}={folder}" for name, folder in folders.items())]
    methods.main(arguments)
    table = capsys.readouterr().out.splitlines()[-4:]
    assert [row.split(" | ")[:2] for row in table[2:]] == [["| TextCNN, normal", "1"], ["| TextCNN, entropy", "1"]]
    assert "[" in table[3]
    monkeypatch.setattr(by_text, "evaluate", None)
    methods.main(arguments)
    assert capsys.readouterr().out.splitlines() == table


def test_the_sentences_that_no_model_was_trained_on_are_those_that_no_training_text_equals(data_dir: Path) -> None:
    texts = read_splits(Settings(corpus="sst_rationales")).splits["test"].texts
    selected = rationales.not_in_training(texts)
    with gzip.open(data_dir / "mr" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        training = [re.sub(r"[\W_]+", "", json.loads(line)["text"].lower()) for line in file]
    equal = [re.sub(r"[\W_]+", "", text.lower()) in training for text in texts]
    assert selected.tolist() == [not same for same in equal]
    assert (len(texts), int(selected.sum())) == (259, 86)


def test_agreement_with_people_is_measured_on_their_sentences(measured, monkeypatch, data_dir: Path) -> None:
    models, values = measured
    monkeypatch.setattr(finetune, "train", None)
    finetune.cell(models, values, QUICK.replace(method="normal"), "normal", start=QUICK, conditions=["people"])
    measured_values = finetune.runs_of(values, "ft-normal")[0]["people/rationale_auprc"]
    report = evaluate(
        load(models / "ft-normal-0" / "model"), rationales.sentences(), limit=20, metrics=["rationale_auprc"]
    )
    assert measured_values == pytest.approx(report.columns["rationale_auprc"], abs=1e-5)
    lines = list(finetune.table(values, ["normal"], columns=["AUPRC", "AUPRC, frozen"]))
    assert "| AUPRC |" in lines[0]
    assert "frozen" not in lines[0]
