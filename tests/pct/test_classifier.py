"""A saved classifier: the same when loaded, whole or not there, never unpickled, clear when damaged."""

import json
import os
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pct
from pct.classifier import pick_device
from tests.pct.small import FAMILIES, small_classifier, small_texts

TEXTS = small_texts(6, seed=7)


@pytest.fixture
def saved(tmp_path):
    return small_classifier("textcnn").save(tmp_path / "model")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_loaded_classifier_is_the_saved_one(family, tmp_path):
    before = small_classifier(family, saliency="l1", max_length=20)
    folder = before.save(tmp_path / "model")
    after = pct.load(folder, "cpu")
    assert (after.classes, after.settings) == (before.classes, before.settings)
    assert np.array_equal(after.predict(TEXTS), before.predict(TEXTS))
    for a, b in zip(after.saliency(TEXTS), before.saliency(TEXTS), strict=True):
        assert np.array_equal(a, b)
    assert isinstance(after, pct.Classifier)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_classifier_is_safetensors_and_json_alone(family, tmp_path):
    folder = small_classifier(family).save(tmp_path / "model")
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".txt"}


def test_a_folder_takes_a_path_as_a_string_and_makes_its_parents(tmp_path):
    folder = small_classifier("lstm").save(str(tmp_path / "a" / "b" / "model"))
    assert pct.load(str(folder)).classes == ["negative", "positive", "neither"]
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_saved_classifier_can_be_read_by_whom_any_new_file_can(saved, tmp_path):
    (tmp_path / "plain").write_text("")
    files = [path for path in saved.rglob("*") if path.is_file()]
    assert saved / "model.safetensors" in files
    assert {path.stat().st_mode for path in files} == {(tmp_path / "plain").stat().st_mode}


def test_saving_again_replaces_the_whole_folder(saved):
    (saved / "stray.txt").write_text("left over")
    small_classifier("lstm").save(saved)
    assert pct.load(saved).model.config()["family"] == "lstm"
    assert not (saved / "stray.txt").exists()


def test_a_save_that_fails_leaves_the_old_model_and_no_litter(saved, monkeypatch):
    expected = pct.load(saved).predict(TEXTS)
    other = small_classifier("textcnn", seed=5)

    def full(folder):
        raise OSError("no space left on device")

    monkeypatch.setattr(other.tokenizer, "save", full)
    with pytest.raises(OSError, match="no space"):
        other.save(saved)
    assert np.array_equal(pct.load(saved).predict(TEXTS), expected)
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_predictions_are_probabilities_in_the_order_of_the_texts():
    classifier = small_classifier("lstm")
    texts = small_texts(300, seed=12)
    actual = classifier.predict(texts)
    assert actual.shape == (300, 3)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual.sum(1), 1, atol=1e-5)
    for place in (0, 1, 150, 299):
        np.testing.assert_allclose(actual[place], classifier.predict([texts[place]])[0], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_strings_and_lists_of_words_are_the_same_texts(family):
    classifier = small_classifier(family)
    words = [text.split() for text in TEXTS]
    assert np.array_equal(classifier.predict(TEXTS), classifier.predict(words))
    for a, b in zip(classifier.saliency(TEXTS), classifier.saliency(words), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("family", FAMILIES)
def test_saliency_has_one_number_a_word_of_the_predicted_class_or_of_the_given_one(family):
    classifier = small_classifier(family)
    actual = classifier.saliency(TEXTS)
    assert [len(row) for row in actual] == [len(text.split()) for text in TEXTS]
    predicted = classifier.predict(TEXTS).argmax(1)
    for a, b in zip(actual, classifier.saliency(TEXTS, list(predicted)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    others = classifier.saliency(TEXTS, list((predicted + 1) % 3))
    assert not all(np.allclose(a, b, rtol=1e-3) for a, b in zip(actual, others, strict=True))


def test_explaining_leaves_the_weights_trainable():
    classifier = small_classifier("textcnn")
    classifier.saliency(TEXTS)
    assert all(p.requires_grad and p.grad is None for p in classifier.model.parameters())


def test_no_texts_give_empty_results():
    classifier = small_classifier("textcnn")
    assert classifier.predict([]).shape == (0, 3)
    assert classifier.saliency([]) == []


def test_a_classifier_is_a_predictor():
    assert isinstance(small_classifier("textcnn"), pct.Predictor)


# --- folders that hold no sound model ---


@pytest.mark.parametrize("missing", ["classifier.json", "model.safetensors"])
def test_a_folder_without_a_part_is_named_with_it(saved, missing):
    (saved / missing).unlink()
    with pytest.raises(FileNotFoundError, match=rf"holds no classifier: {missing} is missing"):
        pct.load(saved)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere: give one"):
        pct.load(tmp_path / "nowhere")


def cut(name, keep=0.6):
    def damage(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return damage


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def change(**parts):
    def damage(folder):
        about = json.loads((folder / "classifier.json").read_text())
        (folder / "classifier.json").write_text(json.dumps(about | parts))

    return damage


def drop(part):
    def damage(folder):
        about = json.loads((folder / "classifier.json").read_text())
        del about[part]
        (folder / "classifier.json").write_text(json.dumps(about))

    return damage


def without_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("dense.bias")
    save_file(tensors, folder / "model.safetensors")


def of_another_shape(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["dense.bias"] = torch.zeros(7)
    save_file(tensors, folder / "model.safetensors")


DAMAGE = {
    "weights cut short": cut("model.safetensors"), "weights nearly whole": cut("model.safetensors", 0.999),
    "no weights in the file": write("model.safetensors", b""),
    "garbage for weights": write("model.safetensors", b"\x00\xff" * 999), "a tensor missing": without_a_tensor,
    "a tensor of another shape": of_another_shape, "configuration cut short": cut("classifier.json"),
    "configuration of another kind": write("classifier.json", b"[1, 2]"),
    "configuration in another encoding": write("classifier.json", b"\xff\xfe\x00"), "another format": change(format=99),
    "no format": drop("format"), "no classes": drop("classes"), "too few classes": change(classes=["negative"]),
    "classes that are no names": change(classes=3), "no settings": drop("settings"),
    "settings out of range": change(settings={"dropout": 3.0}), "unknown settings": change(settings={"colour": "red"}),
    "an unknown family": change(model={"family": "gru"}),
    "a model without its arguments": change(model={"family": "textcnn"}),
    "no vocabulary": lambda folder: (folder / "vocabulary.json").unlink(),
    "a vocabulary cut short": cut("vocabulary.json"),
    "a vocabulary of another size": write("vocabulary.json", b'["film"]'),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_folder_is_a_clear_error(saved, what):
    pct.load(saved)
    DAMAGE[what](saved)
    with pytest.raises(ValueError, match=r"(?s)model is damaged and cannot be loaded \(.+\); save the model again"):
        pct.load(saved)


@pytest.mark.parametrize("name", ["tokenizer", "tokenizer/tokenizer.json"])
def test_a_transformer_without_its_tokenizer_is_a_clear_error(tmp_path, name):
    folder = small_classifier("transformer").save(tmp_path / "model")
    target = folder / name
    shutil.rmtree(target) if target.is_dir() else target.write_bytes(target.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"(?s)damaged and cannot be loaded \(.+\); save the model again"):
        pct.load(folder)


def test_a_tokenizer_with_code_of_its_own_is_refused_and_the_code_is_not_run(tmp_path, monkeypatch):
    folder = small_classifier("transformer").save(tmp_path / "model")
    config = folder / "tokenizer" / "tokenizer_config.json"
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}
    config.write_text(json.dumps(json.loads(config.read_text()) | own))
    (config.parent / "own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nclass Own: pass\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ValueError, match="has code of its own, which is not run"):
        pct.load(folder)
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    broken = small_classifier("textcnn")
    with torch.no_grad():
        broken.model.dense.weight[0, 0] = float("nan")
    for result in (pct.predict, pct.explain):
        with pytest.raises(FloatingPointError, match="not finite"):
            result(broken, TEXTS[:2])
    with pytest.raises(ValueError, match=r"not finite \(dense.weight\)"):
        pct.load(broken.save(tmp_path / "model"))


class Trap:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("make", [pickle.dumps, "torch"])
@pytest.mark.parametrize("name", ["model.safetensors", "classifier.json", "vocabulary.json"])
def test_a_pickle_under_any_name_is_refused_unread(saved, tmp_path, name, make):
    sprung = tmp_path / "sprung"
    if make == "torch":
        torch.save({"weight": Trap(sprung)}, saved / name)
    else:
        (saved / name).write_bytes(make(Trap(sprung)))
    with pytest.raises(ValueError, match="damaged"):
        pct.load(saved)
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl"])
def test_a_folder_with_pickled_weights_alone_is_refused_unread(saved, tmp_path, name):
    sprung = tmp_path / "sprung"
    (saved / "model.safetensors").unlink()
    torch.save({"weight": Trap(sprung)}, saved / name)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        pct.load(saved)
    assert not sprung.exists()


def test_a_trap_is_sprung_by_a_reader_that_unpickles(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))  # noqa: S301  the point of the test
    assert (tmp_path / "sprung").is_dir()


# --- devices ---


def test_a_device_that_torch_does_not_know_is_refused():
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, got 'gpu'"):
        pick_device("gpu")


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"


@pytest.mark.parametrize("uri", ["runs:/0123/model", "models:/pct-planted-textcnn@champion"])
def test_an_mlflow_uri_without_mlflow_says_how_to_get_it(monkeypatch, uri):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)
    with pytest.raises(ImportError, match=r"is in MLflow: pip install 'pct-explain\[tracking\]'"):
        pct.load(uri)
