"""Training on texts with several labels: the loss, every method, and the way from a file to an exported model."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pct
from pct.cli import main
from pct.corpora.loading import corpus_of
from pct.methods import methods
from pct.methods.base import supervised_loss
from pct.methods.losses import mean_entropy
from pct.models.heads import SIGMOID
from pct.models.pretrained import load_untrained
from pct.settings import Settings
from pct.training.batches import class_weights
from pct.training.own_loop import MethodLoss
from pct.training.prepared import prepare
from pct.training.trainer import make_batch
from tests.pct.models.families import TEXTS, classifier, tokenizer
from tests.pct.several import LABELS, several_rows
from tests.pct.small import method_for, small_settings


def one_batch(settings, rows=16):
    """A model of the settings and a batch of generated texts, the first without labels."""
    data = several_rows(rows + 20)
    data[0]["label"] = []
    corpus = corpus_of({"train": data[:rows], "validation": data[rows:], "test": data[rows:]}, settings)
    prepared = prepare(settings, corpus)
    from pct.classifier import Classifier
    from pct.models.build import model_for

    torch.manual_seed(0)
    model = Classifier(model_for(settings, prepared.tokenizer, LABELS), prepared.tokenizer, LABELS, settings).model
    labels = corpus.splits["train"].labels
    return model.train(), make_batch(prepared.train, labels, np.arange(rows), torch.device("cpu"), 1)


def test_the_supervised_loss_is_the_mean_binary_cross_entropy():
    _, batch = one_batch(small_settings(multi_label=True))
    logits = torch.randn(16, 3, dtype=torch.float64)
    expected = 0.0
    for row, labels in zip(logits.tolist(), batch.labels.tolist(), strict=True):
        for z, own in zip(row, labels, strict=True):
            p = 1 / (1 + np.exp(-z))
            expected -= np.log(p if own else 1 - p) / 48
    assert float(supervised_loss(logits, batch)) == pytest.approx(expected)
    assert float(supervised_loss(logits, batch)) == pytest.approx(
        float(F.binary_cross_entropy_with_logits(logits, batch.labels.double()))
    )


def test_the_loss_is_that_of_transformers():
    model = classifier("BERT", problem_type="multi_label_classification")
    loss = MethodLoss(model, tokenizer("BERT"), method="normal")
    labels = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    batch = loss.collate(TEXTS[:3], labels)
    model.eval()  # without dropout
    with torch.no_grad():
        ours = float(loss(batch))
        theirs = float(model(**loss.inputs(TEXTS[:3]), labels=torch.tensor(labels, dtype=torch.float)).loss)
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_entropy_and_divergence_are_those_of_each_label():
    z, other = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    entropy = divergence = 0.0
    for row, second in zip(z.sigmoid().tolist(), other.sigmoid().tolist(), strict=True):
        for p, q in zip(row, second, strict=True):
            entropy -= (p * np.log(p) + (1 - p) * np.log(1 - p)) / 12
            divergence += (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))) / 12
    assert float(mean_entropy(z, SIGMOID)) == pytest.approx(entropy)
    assert float(SIGMOID.divergence(z, other)) == pytest.approx(divergence)


def test_a_label_that_every_text_has_is_learned_with_balanced_weights():
    labels = np.array([[1, 0], [1, 1], [1, 0]], bool)
    weights = class_weights(Settings(class_weights="balanced", multi_label=True), labels, 2, torch.device("cpu"))
    assert weights.tolist() == [1.0, 2.0]


def test_balanced_weights_make_the_texts_with_a_label_count_as_much_as_those_without():
    labels = np.array([[1, 0], [0, 0], [0, 0], [1, 0]], bool)
    weights = class_weights(Settings(class_weights="balanced", multi_label=True), labels, 2, torch.device("cpu"))
    assert weights.tolist() == [1.0, 1.0]
    weights = class_weights(Settings(class_weights="balanced", multi_label=True), labels[:3], 2, torch.device("cpu"))
    assert weights.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("model", ["textcnn", "lstm"])
@pytest.mark.parametrize("method", list(methods.own))
def test_every_method_takes_a_step(model, method):
    network, batch = one_batch(small_settings(model=model, method=method, multi_label=True))
    if method == "rationale":
        marks = torch.zeros(16, int(batch.counts.max()), dtype=torch.bool)
        marks[:, 0] = True
        batch = batch._replace(rationale=marks)
    step = method_for(network, small_settings(model=model, method=method, multi_label=True), model)(network, batch)
    step.loss.backward()
    gradient = network.dense.weight.grad
    assert torch.isfinite(step.loss)
    assert torch.isfinite(gradient).all()
    assert float(gradient.abs().sum()) > 0
    assert float(step.parts["cross_entropy"]) == pytest.approx(np.log(2), abs=0.3)


@pytest.mark.parametrize("method", ["normal", "pct", "removal_margin"])
def test_training_learns_the_labels(method):
    settings = small_settings(method=method, multi_label=True, epochs=6, lr=2e-2, best_by="macro_f1", alpha=0.1)
    trained = pct.train(settings, several_rows(400), progress=False)
    report = pct.evaluate(trained, several_rows(100, seed=1), metrics=["acc", "micro_f1", "macro_f1"])
    assert report.micro_f1 > 0.9
    assert report.acc > 0.7


def test_the_kind_of_labels_must_be_that_of_the_settings():
    rows = several_rows(60)
    corpus = corpus_of(rows, Settings(multi_label=True))
    with pytest.raises(ValueError, match="has several labels for each text, the settings one class: set"):
        pct.train(small_settings(), corpus, progress=False)
    with pytest.raises(ValueError, match="has one class for each text, the settings several labels"):
        pct.train(small_settings(corpus="planted", multi_label=True), progress=False)


def test_finetuning_compares_the_means_of_each_text(tmp_path):
    trained = pct.train(small_settings(multi_label=True, epochs=1), several_rows(200), progress=False)
    texts, labels = zip(*((row["text"], row["label"]) for row in several_rows(200, seed=2)), strict=True)
    done = pct.finetune(trained, (list(texts), list(labels)), progress=False, method="normal", epochs=2, lr=5e-3)
    assert done.classifier.task.several
    assert done.change.before.of_pairs
    assert done.save(tmp_path / "saved").is_dir()
    assert done.change.to_dict()["texts"] == done.change.before.texts
    assert {"acc", "comp", "comp-suff", "margin"} <= set(done.change.differences)


def test_a_head_of_another_kind_is_refused(tmp_path):
    model, words = classifier("BERT"), tokenizer("BERT")
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    names = list(model.config.id2label.values())
    rows = [{"text": text, "label": names[: i % 3]} for i, text in enumerate(TEXTS * 5)]
    settings = small_settings(model=str(tmp_path), multi_label=True, epochs=1, method="normal")
    with pytest.raises(
        ValueError, match=r"has a head for one class for each text, the corpus has several labels: set fresh_head"
    ):
        pct.train(settings, rows, progress=False)
    trained = pct.train(settings.replace(fresh_head=True), rows, progress=False)
    assert trained.task.several


@pytest.mark.parametrize(("name", "more"), [("RoBERTa", {"lora": "r=2"}), ("Llama", {})])
@pytest.mark.parametrize("classes", [["x", "y", "z"], ["x", "y"]])
def test_a_fresh_head_has_new_weights_also_in_the_architecture_s_own_head(name, more, classes, tmp_path):
    own = classifier(name)
    own.save_pretrained(tmp_path)
    tokenizer(name).save_pretrained(tmp_path)
    settings = small_settings(model=str(tmp_path), fresh_head=True, max_length=32, **more)
    model = load_untrained(settings, classes).model
    assert list(model.config.id2label.values()) == classes
    before = own.state_dict()
    for key, weight in model.state_dict().items():
        if key.startswith(own.base_model_prefix):
            torch.testing.assert_close(weight, before[key])
        elif weight.shape == before[key].shape and "bias" not in key:
            assert not torch.equal(weight, before[key]), key


def test_from_a_file_to_an_exported_model(tmp_path, capsys):
    """pct train, evaluate, predict, explain, audit and export on files of several labels."""
    train, test = tmp_path / "train.jsonl", tmp_path / "test.csv"
    train.write_text("".join(json.dumps(row) + "\n" for row in several_rows(300)))
    rows = several_rows(40, seed=1)
    test.write_text("text,label\n" + "".join(f"{row['text']},{'|'.join(row['label'])}\n" for row in rows))
    run = tmp_path / "run"
    options = ["--train-file", str(train), "--multi-label", "--epochs", "3", "--lr", "3e-2", "--quiet"]
    more = ["--evaluate-epochs", "false", "--method", "normal", "--max-length", "16"]
    assert main(["train", "--run-dir", str(run), *options, *more]) == 0
    assert "explained pairs of a text and a label" in capsys.readouterr().out
    assert main(["train", "--run-dir", str(run), *options, *more]) == 0  # a finished run is read
    assert "explained pairs" in capsys.readouterr().out
    data = ["--data", str(test), "--label-separator", "|"]
    assert main(["evaluate", str(run), *data, "--json", "--metrics", "acc", "micro_f1", "comp"]) == 0
    by_torch = json.loads(capsys.readouterr().out)
    assert by_torch["metrics"]["micro_f1"] > 0.8
    assert main(["export", str(run), str(tmp_path / "onnx")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "onnx"), *data, "--json", "--metrics", "acc", "micro_f1", "comp"]) == 0
    by_onnx = json.loads(capsys.readouterr().out)
    for name, value in by_torch["metrics"].items():
        assert by_onnx["metrics"][name] == pytest.approx(value, abs=1e-4)
    text = "this was awful and the soup of joy"
    assert main(["predict", str(run), text]) == 0
    assert "angry" in capsys.readouterr().out
    assert main(["explain", str(run), text, "--json", "--threshold", "0.4", "--target", "food,angry"]) == 0
    explanations = json.loads(capsys.readouterr().out)
    assert [(e["target"], e["threshold"]) for e in explanations] == [("angry", 0.4), ("food", 0.4)]
    assert main(["explain", str(run), text]) == 0
    assert "food  " in capsys.readouterr().out
    for name in ("out.jsonl", "out.parquet", "out.html"):
        assert main(["explain", str(run), *data, "--output", str(tmp_path / name), "--quiet"]) == 0
    for name in ("p.jsonl", "p.parquet", "p.csv"):
        assert main(["predict", str(run), *data, "--output", str(tmp_path / name), "--quiet"]) == 0
    (first, *others) = map(json.loads, (tmp_path / "p.jsonl").read_text().splitlines())
    assert len(others) == 39
    assert first["gold"] == rows[0]["label"]
    assert set(first["labels"]) == {name for name in LABELS if first[f"p_{name}"] >= 0.5}
    (explained, *_) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert explained["gold"] == rows[0]["label"]
    assert main(["audit", str(run), *data, "--budget", "cheap", "--quiet", "--output", str(tmp_path / "a.html")]) == 0
    assert "best" in capsys.readouterr().out or (tmp_path / "a.html").is_file()
