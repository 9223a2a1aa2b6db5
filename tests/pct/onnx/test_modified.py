"""Saliencies of an exported folder beside the plain gradient's: modified gradients, integrated gradients, those of
forward passes alone; graphs that are opened late; the reason where a saliency is not there."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import pct
import pct.onnx.graphs
from pct.classifier import Classifier
from pct.corpora.splits import Split
from pct.explaining.predictor import Attributes
from pct.models.heads import SIGMOID, SOFTMAX
from pct.onnx.export import export
from pct.onnx.graphs import Graphs
from pct.onnx.predictor import OnnxPredictor
from pct.onnx.sessions import Sessions
from pct.saliency import gradients, make_saliency
from pct.saliency.gradients import saliency as torch_saliency
from pct.tasks import ONE_CLASS, SeveralLabels
from tests.pct.exported import MODIFIED, classifier, exported
from tests.pct.small import small_classifier, small_texts

KEPT = Path(__file__).parents[2] / "fixtures" / "v0.1.0"
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def bert():
    """A BERT by torch, and the same by ONNX Runtime."""
    return classifier("bert"), OnnxPredictor.load(exported("bert"), threads=1)


@pytest.fixture
def folder(tmp_path):
    """A copy of the exported BERT, to be changed."""
    return Path(shutil.copytree(exported("bert"), tmp_path / "model"))


@pytest.fixture
def plain(folder):
    """A BERT that was exported without modified gradients."""
    for name in ("frozen.onnx", "gim.onnx"):
        (folder / name).unlink()
    return folder


def rows_of(by_torch, count=30):
    return by_torch.tokens([text.split() for text in small_texts(count, seed=2)]).rows(np.arange(count))


# modified gradients


@pytest.mark.parametrize("name", MODIFIED)
@pytest.mark.parametrize("classes", [None, np.arange(30) % 3])
def test_a_modified_gradient_is_torchs(bert, name, classes):
    by_torch, by_onnx = bert
    ids, words = rows_of(by_torch)
    chosen = None if classes is None else torch.from_numpy(classes)
    _, expected = torch_saliency(by_torch.model, torch.from_numpy(ids), torch.from_numpy(words), chosen, name)
    probabilities, scores = by_onnx.with_saliency(name).explain_rows(ids, words, classes)
    assert scores.shape == expected.shape
    np.testing.assert_allclose(scores, expected.numpy(), **CLOSE)
    np.testing.assert_allclose(probabilities, by_torch.forward(ids, words > -2), **CLOSE)


@pytest.mark.parametrize("name", MODIFIED)
def test_a_modified_gradient_leaves_the_logits_as_they_are(bert, name):
    by_torch, by_onnx = bert
    ids, words = rows_of(by_torch)
    logits = by_onnx.run_modified(name, ids, words, None)["logits"]
    np.testing.assert_allclose(logits, by_onnx.run_forward(ids, words > -2)["logits"], **CLOSE)


def test_modified_gradients_differ_from_the_plain_one(bert):
    _, by_onnx = bert
    plain, *modified = (by_onnx.saliency(small_texts(10), by=name) for name in ("grad_x_input", *MODIFIED))
    for scores in modified:
        assert max(np.abs(a - b).max() for a, b in zip(plain, scores, strict=True)) > 0.01


@pytest.mark.parametrize("name", [*MODIFIED, "occlusion"])
def test_explanations_and_metrics_by_another_saliency_equal_torchs(bert, name):
    by_torch, by_onnx = bert
    settings = by_torch.settings.replace(saliency=name, explain_by=name)
    other = Classifier(by_torch.model, by_torch.tokenizer, by_torch.classes, settings)
    texts = small_texts(8, seed=6)
    for ours, theirs in zip(pct.explain(by_onnx.with_saliency(name), texts), pct.explain(other, texts), strict=True):
        assert ours.saliency_name == theirs.saliency_name == name
        np.testing.assert_allclose(ours.saliency, theirs.saliency, **CLOSE)
        assert ours.important.removed == theirs.important.removed
    data = (texts, np.arange(8) % 3)
    ours, theirs = (pct.evaluate(x, data, 0.2, 0.2).metrics for x in (by_onnx.with_saliency(name), other))
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, rel=1e-4, abs=1e-5, nan_ok=True), key


def test_an_exported_model_is_explained_by_what_suits_its_family_where_the_folder_holds_it(plain):
    expected = {exported("bert"): "frozen_grad_x_input", plain: "l2", exported("textcnn"): "grad_x_input"}
    for folder, name in expected.items():
        (explanation,) = pct.explain(OnnxPredictor.load(folder, threads=1), ["the film"])
        assert explanation.saliency_name == name


# forward passes alone


@pytest.mark.parametrize("name", ["occlusion", "lime", "kernel_shap", "random"])
def test_a_saliency_of_forward_passes_equals_torchs(bert, name):
    by_torch, by_onnx = bert
    ids, words = rows_of(by_torch, 8)
    other = Classifier(by_torch.model, by_torch.tokenizer, by_torch.classes, by_torch.settings.replace(saliency=name))
    for ours, theirs in zip(
        by_onnx.with_saliency(name).explain_rows(ids, words, None), other.explain_rows(ids, words, None), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_predictor_with_another_saliency_leaves_the_first_as_it_was(bert):
    _, by_onnx = bert
    texts = small_texts(4)
    before = by_onnx.saliency(texts)
    assert by_onnx.with_saliency("gim").saliency_kind == "gim"
    assert by_onnx.saliency_kind == "l2"
    for a, b in zip(before, by_onnx.saliency(texts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_exported_model_attributes(bert):
    assert isinstance(bert[1], Attributes)


# integrated gradients


@pytest.mark.parametrize("of", ["log_odds", "probability", "logit"])
def test_the_class_score_in_numpy_is_torchs(of):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 20, (50, 4)).astype(np.float32)
    classes = rng.integers(0, 4, 50)
    expected = SOFTMAX.score(torch.from_numpy(logits), torch.from_numpy(classes), of).numpy()
    np.testing.assert_allclose(ONE_CLASS.score(logits, classes, of), expected, rtol=1e-5, atol=1e-6)
    expected = SIGMOID.score(torch.from_numpy(logits), torch.from_numpy(classes), of).numpy()
    np.testing.assert_allclose(SeveralLabels().score(logits, classes, of), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 16])
@pytest.mark.parametrize("model", ["textcnn", "lstm", "bert"])
def test_integrated_gradients_double_their_steps_as_in_torch(model, steps):
    """One step leaves a large error, so that some texts need more; by one text alone or by all together."""
    by_torch, by_onnx = classifier(model), OnnxPredictor.load(exported(model), threads=1)
    settings = by_torch.settings.replace(integrated_steps=steps)
    path = make_saliency("integrated_gradients", settings)
    ids, words = rows_of(by_torch, 12)
    _, expected = path.attribute(by_torch.model, torch.from_numpy(ids), torch.from_numpy(words), None)
    probabilities, scores = by_onnx.attribute_rows(path, ids, words, None)
    if steps == 1:
        middle = by_onnx.run_gradient(ids, words, probabilities.argmax(1), ["saliency_grad_x_input"], 0.5)
        once = middle["saliency_grad_x_input"][:, : scores.shape[1]]
        doubled = (np.abs(once - scores).max(1) > 1e-3).sum()
        assert doubled > 0
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-3, atol=1e-5)
    _, alone = by_onnx.attribute_rows(path, ids[3:4], words[3:4], None)
    np.testing.assert_allclose(alone[0], scores[3, : alone.shape[1]], rtol=1e-3, atol=1e-5)


def test_the_path_of_an_older_folder_moves_special_tokens_too_in_as_many_steps_as_were_set():
    by_torch, by_onnx = pct.load(KEPT / "run-bert", "cpu"), OnnxPredictor.load(KEPT / "exported-bert", threads=1)
    texts = json.loads((KEPT / "truth.json").read_text())["texts"]
    by_onnx = by_onnx.with_saliency("integrated_gradients")
    for text, ours in zip(texts, by_onnx.saliency(texts), strict=True):
        ids, words = (torch.from_numpy(x) for x in by_torch.tokens([text.split()]).rows(np.arange(1)))
        whole = by_torch.model.embed(ids).detach()
        label = int(by_torch.predict([text]).argmax())
        total = torch.zeros_like(whole)
        for step in range(16):
            point = (whole * (step + 0.5) / 16).requires_grad_(True)
            logits = by_torch.model.encode(point, words > -2).logits
            score = SOFTMAX.score(logits, torch.tensor([label])).sum()
            total += torch.autograd.grad(score, point)[0] / 16
        expected = gradients.sum_by_word((total * whole).sum(-1), words)[0].numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-5)


def test_a_folder_of_version_0_1_0_still_explains_by_what_it_holds():
    truth = json.loads((KEPT / "truth.json").read_text())
    by_onnx = OnnxPredictor.load(KEPT / "exported-bert", threads=1)
    assert by_onnx.gradient_saliencies == ["l2", "l1", "grad_x_input", "integrated_gradients"]
    for now, before in zip(by_onnx.saliency(truth["texts"], by="l2"), truth["run-bert"]["saliency"], strict=True):
        np.testing.assert_allclose(now, before, rtol=1e-3, atol=1e-4)
    assert by_onnx.with_saliency("occlusion").saliency(truth["texts"])[0].any()
    with pytest.raises(ValueError, match=r"not gim; run `pct export MODEL FOLDER --saliencies gim`"):
        by_onnx.with_saliency("gim")


# graphs that are opened late


def test_a_modified_gradients_graph_is_opened_once_when_threads_first_need_it(bert, monkeypatch):
    by_torch, _ = bert
    opened = []
    start = Sessions._start
    monkeypatch.setattr(Sessions, "_start", lambda self, path: (opened.append(path.name), start(self, path))[1])
    by_onnx = OnnxPredictor.load(exported("bert"), threads=1)
    assert opened == ["forward.onnx", "model.onnx"]
    ids, words = rows_of(by_torch)
    barrier, results = threading.Barrier(8), [None] * 8

    def ask(number):
        barrier.wait()
        results[number] = by_onnx.with_saliency(MODIFIED[number % 2]).explain_rows(ids, words, None)[1]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == ["forward.onnx", "frozen.onnx", "gim.onnx", "model.onnx"]
    for number, name in enumerate(MODIFIED):
        alone = bert[1].with_saliency(name).explain_rows(ids, words, None)[1]
        for scores in results[number::2]:
            np.testing.assert_array_equal(scores, alone)


def test_a_damaged_graph_is_named_when_it_is_first_needed(folder):
    (folder / "gim.onnx").write_bytes((folder / "gim.onnx").read_bytes()[:200])
    by_onnx = OnnxPredictor.load(folder, threads=1)
    assert by_onnx.saliency(["the film"], by="frozen_grad_x_input")
    with pytest.raises(ValueError, match=r"gim\.onnx is damaged and cannot be loaded .* export the model again"):
        by_onnx.saliency(["the film"], by="gim")


def test_a_folder_that_was_replaced_meanwhile_is_not_read_into_an_older_model(folder):
    by_onnx = OnnxPredictor.load(folder, threads=1)
    shutil.rmtree(folder)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"frozen\.onnx was changed or removed .*; load the folder again"):
            by_onnx.saliency(["the film"], by="frozen_grad_x_input")
        shutil.copytree(exported("bert"), folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
    assert by_onnx.saliency(["the film"])
    assert OnnxPredictor.load(folder, threads=1).saliency(["the film"], by="frozen_grad_x_input")


# the reason where there is none


@pytest.mark.parametrize("name", ["smooth_grad", "attention", "rollout"])
def test_a_gradient_that_no_folder_holds_is_refused_with_what_it_does_hold(bert, name):
    with pytest.raises(
        ValueError, match=rf"holds l2, .*, gim, not {name}: `pct export` has no graph of it; explain the torch model"
    ):
        bert[1].with_saliency(name)
    with pytest.raises(ValueError, match=f"not {name}"):
        bert[1].saliency(["the film"], by=name)


def test_a_gradient_that_was_not_exported_is_refused_with_the_command_that_does_it(plain):
    by_onnx = OnnxPredictor.load(plain, threads=1)
    held = r"this exported folder holds l2, l1, grad_x_input, integrated_gradients, not gim"
    with pytest.raises(ValueError, match=held + r"; run `pct export MODEL FOLDER --saliencies gim`"):
        by_onnx.with_saliency("gim")


@pytest.mark.parametrize("name", MODIFIED)
def test_a_gradient_that_the_model_does_not_have_is_refused_with_the_reason(name, tmp_path):
    by_onnx = OnnxPredictor.load(exported("textcnn"), threads=1)
    with pytest.raises(ValueError, match=rf"{name} needs an encoder or decoder .* for a TextCNN use grad_x_input"):
        by_onnx.with_saliency(name)
    with pytest.raises(ValueError, match=rf"{name} needs an encoder or decoder"):
        export(classifier("textcnn"), tmp_path / "new", modified=[name])
    assert not list(tmp_path.iterdir())


def test_a_graph_of_its_own_is_for_modified_gradients_alone(tmp_path):
    with pytest.raises(ValueError, match="graph of their own are frozen_grad_x_input, gim; got 'l2'"):
        export(classifier("textcnn"), tmp_path / "new", modified=["l2"])


def test_another_output_than_the_graphs_is_refused(bert):
    _, by_onnx = bert
    other = make_saliency("l2", by_onnx.settings.replace(saliency_of="logit"))
    with pytest.raises(ValueError, match="saliency_of logit: the exported graphs explain log_odds"):
        other.check(by_onnx)


def test_another_baseline_than_zero_is_refused(bert, tmp_path):
    folder = Path(shutil.copytree(exported("textcnn"), tmp_path / "model"))
    about = json.loads((folder / "classifier.json").read_text())
    about["settings"] |= {"integrated_baseline": "mask", "saliency": "integrated_gradients"}
    (folder / "classifier.json").write_text(json.dumps(about))
    by_onnx = OnnxPredictor.load(folder, threads=1)
    with pytest.raises(ValueError, match=r"integrated_baseline mask: .* starts at zero; use baseline zero"):
        by_onnx.explain_rows(np.array([[2, 3]]), np.array([[0, 1]]), None)


# what an export does with graphs that are wrong


def _exported_graphs(monkeypatch, change=0.0):
    """Exports take the graphs of the exported BERT, those of modified gradients with a weight changed."""
    folder = exported("bert")

    def changed(model, name, *rest):
        graph = onnx.load(folder / {"frozen_grad_x_input": "frozen.onnx", "gim": "gim.onnx"}[name])
        tensor = next(t for t in graph.graph.initializer if t.name == "embedding")
        tensor.raw_data = (onnx.numpy_helper.to_array(tensor) * np.float32(1 + change)).tobytes()
        return graph

    plain = Graphs(onnx.load(folder / "model.onnx"), onnx.load(folder / "forward.onnx"))
    monkeypatch.setattr(pct.onnx.graphs, "build_graphs", lambda *rest: plain)
    monkeypatch.setattr(pct.onnx.graphs, "build_saliency_graph", changed)


def test_a_modified_gradient_that_differs_from_torch_is_left_out_with_the_reason(tmp_path, monkeypatch):
    _exported_graphs(monkeypatch, 0.01)
    made = export(classifier("bert"), tmp_path / "model")
    reason = made.left_out["frozen_grad_x_input"]
    assert "differs from torch's by" in reason
    assert reason in made.table()
    assert not (made.folder / "frozen.onnx").exists()
    by_onnx = OnnxPredictor.load(made.folder, threads=1)
    assert by_onnx.saliency(["the film"])
    with pytest.raises(ValueError, match=r"differs from torch's by .* was not written"):
        by_onnx.with_saliency("frozen_grad_x_input")


def test_one_that_was_asked_for_and_differs_is_refused(tmp_path, monkeypatch):
    _exported_graphs(monkeypatch, 0.01)
    with pytest.raises(ValueError, match=r"differs from torch's by .* gim was not written"):
        export(classifier("bert"), tmp_path / "model", modified=["gim"])
    assert not list(tmp_path.iterdir())


def test_the_models_own_saliency_is_exported_unasked(tmp_path, monkeypatch):
    _exported_graphs(monkeypatch)
    by_torch = classifier("bert")
    own = Classifier(by_torch.model, by_torch.tokenizer, by_torch.classes, by_torch.settings.replace(saliency="gim"))
    made = export(own, tmp_path / "model")
    for name in MODIFIED:
        assert made.agreement[f"saliency_{name}"]["difference"] < 1e-5
    by_onnx = OnnxPredictor.load(made.folder, threads=1)
    assert by_onnx.saliency_kind == "gim"
    for ours, theirs in zip(by_onnx.saliency(small_texts(6)), own.saliency(small_texts(6)), strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_int8_rounds_the_graphs_of_modified_gradients_too(tmp_path, monkeypatch):
    _exported_graphs(monkeypatch)
    by_torch = classifier("bert")
    texts = small_texts(30, seed=9)
    made = export(by_torch, tmp_path / "model", True, Split(texts, by_torch.predict(texts).argmax(1)), MODIFIED)
    for name, file in zip(MODIFIED, ("frozen.onnx", "gim.onnx"), strict=True):
        tensors = onnx.load(made.folder / file, load_external_data=False).graph.initializer
        assert any(t.data_type == onnx.TensorProto.INT8 for t in tensors)
        assert 0.3 < made.int8["rank_agreement"][name] <= 1
    assert (made.folder / "weights.bin").stat().st_size < 0.6 * (exported("bert") / "weights.bin").stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("of", ["probability", "logit"])
def test_a_modified_gradient_is_of_what_the_settings_choose(of, tmp_path):
    by_torch = small_classifier("transformer", classes=3, saliency_of=of, max_length=16)
    by_onnx = OnnxPredictor.load(export(by_torch, tmp_path / of, modified=MODIFIED).folder, threads=1)
    for name in MODIFIED:
        texts = small_texts(10, seed=4)
        for ours, theirs in zip(by_onnx.saliency(texts, by=name), by_torch.saliency(texts, by=name), strict=True):
            np.testing.assert_allclose(ours, theirs, **CLOSE)
