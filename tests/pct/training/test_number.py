"""Training on numbers: the squared error, the methods, and the way from a file to an exported model."""

import json

import numpy as np
import pytest
import torch

import pct
from pct.cli import main
from pct.corpora.loading import corpus_of
from pct.methods import methods
from pct.methods.base import make_method, pass_originals, supervised_loss
from pct.methods.removal_margin import RemovalMargin
from pct.models.build import model_for
from pct.models.heads import VALUE
from pct.settings import Settings
from pct.text.vocabulary import Vocabulary
from pct.training.own_loop import MethodLoss
from pct.training.prepared import prepare
from pct.training.runs import best_epoch, run
from pct.training.trainer import make_batch
from tests.pct.models.families import of_one_output, tokenizer
from tests.pct.models.test_number import REGRESSION
from tests.pct.number import number_model, number_rows
from tests.pct.small import method_for, small_settings

NUMBERS = {"head": "value", "label_column": "stars"}
NEED_CLASSES = ("entropy", "rationale")


def one_batch(**settings):
    """A small model of a number and a batch of generated texts."""
    chosen = small_settings(**NUMBERS, **settings)
    rows = number_rows(40)
    corpus = corpus_of({"train": rows[:16], "validation": rows[16:], "test": rows[16:]}, chosen)
    prepared = prepare(chosen, corpus)
    from pct.classifier import Classifier
    from pct.models.build import model_for

    torch.manual_seed(0)
    model = Classifier(model_for(chosen, prepared.tokenizer, ["stars"]), prepared.tokenizer, ["stars"], chosen).model
    labels = corpus.splits["train"].labels
    return model.train(), make_batch(prepared.train, labels, np.arange(16), torch.device("cpu"), 1), chosen


def test_the_loss_is_the_mean_squared_error_as_in_transformers():
    _, batch, _ = one_batch()
    logits = torch.randn(16, 1, dtype=torch.float64)
    pairs = zip(logits[:, 0].tolist(), batch.labels.tolist(), strict=True)
    assert float(supervised_loss(logits, batch)) == pytest.approx(sum((f - y) ** 2 for f, y in pairs) / 16)
    model, texts, labels = of_one_output("BERT", **REGRESSION).eval(), ["a good film", "tired"], [4.5, -1.0]
    given = tokenizer("BERT")(texts, padding=True, return_tensors="pt")
    own = float(model(**given, labels=torch.tensor(labels)[:, None]).loss.detach())
    loss = MethodLoss(model, tokenizer("BERT"), method="normal")
    model.eval()
    assert float(loss(loss.collate(texts, labels)).detach()) == pytest.approx(own, rel=1e-5)


def test_labels_are_not_rounded_to_the_precision_of_the_logits():
    _, batch, _ = one_batch()
    labels = batch._replace(labels=torch.full_like(batch.labels, 1234.5))
    outputs = torch.full((16, 1), 1232.0, dtype=torch.bfloat16)
    assert float(supervised_loss(outputs, labels)) == pytest.approx(2.5**2)


def test_a_divergence_is_the_mean_squared_difference():
    first, second = torch.randn(5, 1), torch.randn(5, 1)
    expected = sum((a - b) ** 2 for a, b in zip(first[:, 0].tolist(), second[:, 0].tolist(), strict=True)) / 5
    assert float(VALUE.divergence(first, second)) == pytest.approx(expected, rel=1e-5)
    assert float(VALUE.divergence(first[:0], second[:0])) == 0.0


def test_the_margin_is_on_the_change_of_the_number_in_either_direction():
    """With one word removed from each text, the loop removes the most salient word and measures |z(X) - z(I)|."""
    model, batch, settings = one_batch(method="removal_margin", dropout=0.0, margin_bound=1.5, p_important=0.01)
    step = RemovalMargin(settings)(model, batch)
    saliency = pass_originals(model, batch, settings).saliency
    hinge = []
    for ids, words, scores, n in zip(batch.ids, batch.word_ids, saliency, batch.counts.tolist(), strict=True):
        if n < 2:
            continue
        top = int(scores[:n].argmax())
        texts = [ids[(words > -2)], ids[(words > -2) & (words != top)]]
        with torch.no_grad():
            z = [float(model(one[None], torch.ones_like(one[None], dtype=torch.bool)).logits[0, 0]) for one in texts]
        hinge.append(max(1.5 - abs(z[0] - z[1]), 0.0))
    assert float(step.parts["hinge"]) == pytest.approx(sum(hinge) / len(hinge), abs=1e-5)


@pytest.mark.parametrize("method", [name for name in methods.own if name not in NEED_CLASSES])
def test_every_other_method_gives_a_loss_and_a_gradient(method):
    model, batch, settings = one_batch(method=method)
    step = method_for(model, settings, "textcnn")(model, batch)
    step.loss.backward()
    assert torch.isfinite(step.loss)
    assert float(model.dense.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("method", NEED_CLASSES)
def test_a_method_that_needs_classes_is_refused(method):
    with pytest.raises(ValueError, match=f"method {method} needs the probabilities of classes, and a number has none"):
        make_method(small_settings(method=method, **NUMBERS))


@pytest.mark.parametrize("method", ["normal", "pct", "removal_margin"])
def test_training_learns_the_numbers(method):
    settings = small_settings(**NUMBERS, method=method, epochs=8, lr=5e-3, alpha=0.1)
    records = []
    trained = pct.train(settings, number_rows(400), progress=False, on_epoch=records.append)
    report = pct.evaluate(trained, number_rows(100, seed=1), metrics=["mae", "pearson"], label_column="stars")
    assert trained.classes == ["stars"]
    assert report.pearson > 0.9
    assert report.mae < 0.6
    assert {"train_squared_error", "validation_mae", "validation_rmse", "validation_pearson"} <= set(records[0])


def test_the_best_epoch_has_the_least_error():
    history = [{"validation_mae": x, "validation_pearson": 1 - x} for x in (0.5, 0.2, 0.4)]
    assert best_epoch(history, "mae") == best_epoch(history, "pearson") == 2


def test_the_kind_of_labels_must_be_that_of_the_settings():
    corpus = corpus_of(number_rows(60), Settings(**NUMBERS))
    with pytest.raises(ValueError, match="has a number for each text, the settings one class: set multi_label or head"):
        pct.train(small_settings(), corpus, progress=False)
    with pytest.raises(ValueError, match=r"threshold 0.3 is for several labels"):
        small_settings(threshold=0.3, **NUMBERS)
    with pytest.raises(ValueError, match="metric ir_rate: a number has no class"):
        run(small_settings(extra_metrics="ir_rate", **NUMBERS), corpus=corpus, progress=False)
    with pytest.raises(ValueError, match="corpus planted has classes, not numbers"):
        pct.train(small_settings(corpus="planted", head="value"), progress=False)


def test_finetuning_compares_errors(tmp_path):
    wrapped = pct.wrap(of_one_output("BERT", **REGRESSION), tokenizer("BERT"))
    rows = [
        {"text": f"{word} {i}", "label": value}
        for i in range(12)
        for word, value in (("brilliant film", 3.0), ("tired cut", 1.0))
    ]
    done = pct.finetune(wrapped, rows, progress=False, method="normal", epochs=4, lr=3e-3, batch_size=8)
    assert done.classifier.task.number
    assert done.change.after.mae < done.change.before.mae
    assert {"mae", "comp", "comp-suff", "margin"} <= set(done.change.differences)
    assert "numbers were given" in done.change.table()
    done.save(tmp_path / "saved")
    again = pct.load(tmp_path / "saved")
    np.testing.assert_allclose(again.predict(["tired cut"]), done.classifier.predict(["tired cut"]), atol=1e-5)


@pytest.mark.parametrize("family", ["textcnn", "lstm", "transformer"])
def test_an_exported_model_equals_torch(tmp_path, family):
    from pct.onnx.export import export
    from pct.onnx.predictor import OnnxPredictor
    from tests.pct.small import small_texts

    model = number_model(family, layers=1, max_length=16)
    export(model, tmp_path / "onnx", modified=[])
    exported = OnnxPredictor.load(tmp_path / "onnx", threads=1)
    texts = small_texts(8, seed=7)
    assert exported.task == model.task
    np.testing.assert_allclose(exported.predict(texts), model.predict(texts), rtol=1e-5, atol=1e-4)
    for kind in ("l2", "grad_x_input", "integrated_gradients"):
        ours, theirs = (m.saliency(texts, by=kind) for m in (exported, model))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-3)


def test_from_a_file_to_an_exported_model(tmp_path, capsys):
    """pct train, evaluate, predict, explain, audit and export on files of numbers."""
    train, test, run = tmp_path / "train.jsonl", tmp_path / "test.csv", tmp_path / "run"
    train.write_text("".join(json.dumps(row) + "\n" for row in number_rows(300)))
    rows = number_rows(30, seed=1)
    test.write_text("text,stars\n" + "".join(f"{row['text']},{row['stars']}\n" for row in rows))
    options = ["--train-file", str(train), "--label-column", "stars", "--head", "value", "--epochs", "4", "--quiet"]
    more = ["--lr", "5e-3", "--evaluate-epochs", "false", "--method", "normal", "--max-length", "16"]
    for _ in range(2):  # the second time a finished run is read
        assert main(["train", "--run-dir", str(run), *options, *more]) == 0
        assert "mae" in capsys.readouterr().out
    data = ["--data", str(test)]
    assert main(["evaluate", str(run), *data, "--json", "--metrics", "mae", "comp"]) == 0
    by_torch = json.loads(capsys.readouterr().out)["metrics"]
    assert main(["export", str(run), str(tmp_path / "onnx")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "onnx"), *data, "--json", "--metrics", "mae", "comp"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == pytest.approx(by_torch, abs=1e-3)
    assert main(["predict", str(run), "a good film"]) == 0
    assert capsys.readouterr().out.startswith("stars  1")
    assert main(["explain", str(run), "a good film that was great", "--json"]) == 0
    (explained,) = json.loads(capsys.readouterr().out)
    assert explained["target"] == "stars"
    assert explained["value"] > 10
    for name in ("out.jsonl", "out.parquet", "out.html"):
        assert main(["explain", str(run), *data, "--output", str(tmp_path / name), "--quiet"]) == 0
    for name in ("p.jsonl", "p.parquet", "p.csv"):
        assert main(["predict", str(run), *data, "--output", str(tmp_path / name), "--quiet"]) == 0
    first = json.loads((tmp_path / "p.jsonl").read_text().splitlines()[0])
    assert (list(first), first["gold"]) == (["row", "text", "gold", "value"], rows[0]["stars"])
    assert main(["audit", str(run), *data, "--budget", "cheap", "--quiet", "--output", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").is_file()


@pytest.mark.parametrize("more", [{"head": "sigmoid"}, {"head": "softmax", "multi_label": True}])
def test_a_head_that_is_not_that_of_the_labels_is_refused(more):
    vocabulary = Vocabulary.build([["a", "film"]], 10)
    with pytest.raises(ValueError, match=f"head {more['head']} has no effect on a new head, which is for"):
        model_for(small_settings(**more), vocabulary, ["a", "b"])
