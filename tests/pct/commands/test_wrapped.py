"""Every command takes the folder of a transformers classifier: a decoder's, padded on the left, and RoBERTa's."""

import copy
import csv
import json
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.cli import main
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import small_corpus

TEXT = "Despite its slow start, the film is brilliant."
QUICK = [
    "--epochs", "1", "--batch-size", "16", "--max-length", "24", "--threads", "1", "--device", "cpu", "--quiet",
    "--evaluate-epochs", "false",
]  # fmt: skip


@pytest.fixture(scope="module", params=["GPT-2", "RoBERTa"])
def place(request, tmp_path_factory):
    """A folder with `model`, a transformers classifier, and train.csv, validation.csv, test.csv."""
    root = tmp_path_factory.mktemp(request.param)
    words = copy.deepcopy(tokenizer(request.param))
    words.padding_side = "left" if request.param == "GPT-2" else "right"
    classifier(request.param, classes=2).save_pretrained(root / "model")
    words.save_pretrained(root / "model")
    for name, split in small_corpus(48, 24).splits.items():
        with (root / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = zip(split.texts, (["negative", "positive"][x] for x in split.labels), strict=True)
            csv.writer(file).writerows([("text", "label"), *rows])
    return root


def files(place):
    return [x for k in ("train", "validation", "test") for x in (f"--{k}-file", str(place / f"{k}.csv"))]


def of_the_test_file(place):
    with (place / "test.csv").open(encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def test_predict(place, tmp_path, capsys):
    model, out = pct.load(place / "model", "cpu"), tmp_path / "out.jsonl"
    assert main(["predict", str(place / "model"), TEXT, "fine"]) == 0
    actual = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    best = model.predict([TEXT, "fine"])
    assert [line[0] for line in actual] == [model.classes[i] for i in best.argmax(1)]
    assert main(["predict", str(place / "model"), "--data", str(place / "test.csv"), "--output", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    wanted = model.predict(of_the_test_file(place))
    np.testing.assert_allclose([r["confidence"] for r in rows], wanted.max(1), atol=1e-5)


def test_explain(place, tmp_path, capsys):
    assert main(["explain", str(place / "model"), TEXT]) == 0
    assert "brilliant" in capsys.readouterr().out
    out = tmp_path / "page.html"
    assert main(["explain", str(place / "model"), "--data", str(place / "test.csv"), "--output", str(out)]) == 0
    assert out.read_text(encoding="utf-8").count("<article") == 24


def test_evaluate(place, capsys):
    asked = ["--data", str(place / "test.csv"), "--metrics", "usual", "margin", "separation", "--json"]
    assert main(["evaluate", str(place / "model"), *asked]) == 0
    actual = json.loads(capsys.readouterr().out)["metrics"]
    assert actual["acc"] == pct.evaluate(pct.load(place / "model", "cpu"), place / "test.csv", metrics=["acc"]).acc
    assert {"comp", "margin", "separation"} <= set(actual)


def test_evaluate_texts_without_labels(place, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("a fine film\na dull film\n")
    asked = ["evaluate", str(place / "model"), "--data", str(tmp_path / "texts.txt")]
    assert main([*asked, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert "comp" in metrics
    assert "acc" not in metrics
    assert main([*asked, "--label-column", "y"]) == 1
    assert "no column 'y', it has text; set --label-column" in capsys.readouterr().err


def test_finetune_and_what_it_wrote(place, tmp_path, capsys):
    code = main(["finetune", str(place / "model"), *files(place), *QUICK, "--output", str(tmp_path / "finetuned")])
    assert code in (0, 3)
    assert "improved: " in capsys.readouterr().out
    assert np.isfinite(pct.load(tmp_path / "finetuned", "cpu").predict([TEXT])).all()


def test_train_and_compare_go_on_from_its_head(place, tmp_path, capsys):
    model = ["--corpus", "files", *files(place), *QUICK]
    assert main(["train", "--model", str(place / "model"), *model, "--run-dir", str(tmp_path / "run")]) == 0
    trained, given = pct.load(tmp_path / "run", "cpu"), pct.load(place / "model", "cpu")
    weights = [x.model.dense.weight.detach().numpy() for x in (trained, given)]
    np.testing.assert_allclose(*weights, atol=1e-2)
    assert not np.array_equal(*weights)
    both = ["--methods", "normal", "pct", "--seeds", "0", "--runs", str(tmp_path / "runs"), "--no-report"]
    assert main(["compare", *model, "--models", str(place / "model"), *both]) == 0
    assert "| files | model | pct | 1 |" in capsys.readouterr().out


def test_export_to_transformers(place, tmp_path):
    assert main(["export", str(place / "model"), str(tmp_path / "out"), "--to", "transformers"]) == 0
    ours, theirs = (pct.load(x, "cpu").predict([TEXT]) for x in (tmp_path / "out", place / "model"))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_its_graphs_are_evaluated_explained_and_predicted_with(place, tmp_path, capsys):
    out, data = str(tmp_path / "exported"), str(place / "test.csv")
    assert main(["export", str(place / "model"), out]) == 0
    assert main(["evaluate", out, "--data", data]) == 0
    assert main(["explain", out, TEXT]) == 0
    capsys.readouterr()
    message = []
    for model in (out, str(place / "model")):
        assert main(["predict", model, TEXT, "fine"]) == 0
        message.append(capsys.readouterr().out)
    assert message[0] == message[1]


@pytest.mark.slow
def test_run_tracks_and_registers_it(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    asked = ["--model", str(place / "model"), "--corpus", "files", *files(place), *QUICK]
    assert main(["run", *asked, "--run-dir", str(tmp_path / "run")]) == 0
    assert "models:/pct-files-model" in capsys.readouterr().out
    assert Path(tmp_path / "run" / "report.json").is_file()
