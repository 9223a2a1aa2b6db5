"""A classifier of the transformers library is served from its own folder."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from serving import model_sources
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.limits import Limits
from serving.model_sources import resolve
from serving.model_store import ServedModel
from serving.schema import ExplainRequest

pytest.importorskip("transformers")
import huggingface_hub

from tests.audits import small_audit
from tests.pct.exported import traced_once
from tests.pct.models.families import classifier, tokenizer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["Despite its slow start, it's brilliant.", "dull"]


@pytest.fixture
def on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a small classifier of a family into an empty cache of the hub's client, as if it had been fetched before."""
    cache = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))  # for a process below this one
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))

    def put(name: str, family: str) -> None:
        repository = cache / f"models--{name.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(COMMIT)
        classifier(family).save_pretrained(repository / "snapshots" / COMMIT)
        tokenizer(family).save_pretrained(repository / "snapshots" / COMMIT)

    return put


def test_a_name_of_the_hub_is_loaded_as_its_folder_is(on_the_hub, tmp_path):
    on_the_hub("someone/reviews", "RoBERTa")
    loaded = pct.load("someone/reviews", "cpu")
    wanted = pct.wrap(classifier("RoBERTa"), tokenizer("RoBERTa"))
    np.testing.assert_allclose(loaded.predict(TEXTS), wanted.predict(TEXTS), atol=1e-6)
    assert loaded.settings.model == "someone/reviews"
    with pytest.raises(FileNotFoundError, match="someone/other holds no classifier: there is no such folder here"):
        pct.load("someone/other", "cpu")


@pytest.fixture
def exported_as(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was exported, in the place of an export: a folder with the settings that it would have."""
    asked: list[str] = []

    def export(source: str, folder: Path, head: str = "") -> Path:
        if not folder.exists():
            asked.append(source)
            folder.mkdir(parents=True)
            settings = pct.load(source, "cpu", head).settings.to_dict()
            (folder / "classifier.json").write_text(json.dumps({"settings": settings}))
        return folder

    monkeypatch.setattr(model_sources, "_export", export)
    return asked


def test_a_name_of_the_hub_is_exported_once(on_the_hub, exported_as, tmp_path):
    on_the_hub("someone/reviews", "GPT-2")
    entry = resolve("someone/reviews", tmp_path / "cache")
    assert (entry.id, entry.source) == ("reviews", "someone/reviews")
    assert resolve("someone/reviews", tmp_path / "cache") == entry
    assert exported_as == ["someone/reviews"]
    with pytest.raises(FileNotFoundError, match=r"there is no model someone/other: give a folder, .* on the hub"):
        resolve("someone/other", tmp_path / "cache")


def test_weights_that_lie_in_several_files_are_found_and_told_apart(exported_as, tmp_path):
    folder = tmp_path / "model"
    classifier("BERT").save_pretrained(folder, max_shard_size="8KB")
    tokenizer("BERT").save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    first = resolve(str(folder), tmp_path / "cache")
    os.utime(max(folder.glob("*.safetensors")), ns=(1, 1))
    assert resolve(str(folder), tmp_path / "cache").folder != first.folder


@pytest.fixture
def any_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of an export: a folder with settings that are the same for every source."""

    def export(source: str, folder: Path, head: str = "") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "classifier.json").write_text(json.dumps({"settings": pct.Settings(model="mine").to_dict()}))
        return folder

    monkeypatch.setattr(model_sources, "_export", export)


@pytest.mark.parametrize("weights", ["model.safetensors", "adapter_model.safetensors", "model/model.safetensors"])
def test_a_classifier_is_exported_again_when_one_of_its_files_or_pct_has_changed(
    weights, any_export, tmp_path, monkeypatch
):
    source, own = tmp_path / "source", (tmp_path / "source" / weights).parent
    own.mkdir(parents=True)
    for name in (Path(weights).name, "config.json", "tokenizer.json", "vocab.txt"):
        (own / name).write_text("{}")

    def folder() -> str:
        return resolve(str(source), tmp_path / "cache").folder

    first = folder()
    audit = small_audit("l2").to_json()
    (own / "audit.json").write_text(audit)
    assert folder() == first
    folders = {first}
    for name in (Path(weights).name, "config.json", "tokenizer.json", "vocab.txt"):
        (own / name).write_text('{"id2label": {}}')
        folders.add(folder())
    monkeypatch.setattr(pct, "__version__", "99")
    folders.add(folder())
    assert len(folders) == 6


@pytest.mark.slow
def test_a_name_of_the_hub_is_served(on_the_hub, tmp_path):
    on_the_hub("someone/reviews", "GPT-2")
    entry = resolve("someone/reviews", tmp_path / "cache")
    wanted = pct.load("someone/reviews", "cpu").predict(TEXTS)
    np.testing.assert_allclose(OnnxPredictor.load(entry.folder, 1).predict(TEXTS), wanted, atol=1e-4)


def test_a_folder_of_transformers_is_exported_and_answers_as_it_does(tmp_path, monkeypatch):
    """In this process: that it is done in one of its own is tested with the registry."""
    monkeypatch.setattr(
        model_sources, "_export", lambda source, folder, _: export(pct.load(source, "cpu"), folder, modified=[]).folder
    )
    classifier("BERT", num_hidden_layers=1).save_pretrained(tmp_path / "model")
    tokenizer("BERT").save_pretrained(tmp_path / "model")
    with traced_once():
        entry = resolve(str(tmp_path / "model"), tmp_path / "cache")
    served = ServedModel(entry, OnnxPredictor.load(entry.folder, 1), (0, 0))
    texts = read_texts(TEXTS, Limits(), served.predictor.word_rule)
    found = PredictJob(served).run(texts, math.inf)
    expected = pct.load(tmp_path / "model", "cpu").predict(TEXTS)
    np.testing.assert_allclose([list(p["probabilities"].values()) for p in found], expected, atol=1e-4)
    assert list(found[0]["probabilities"]) == ["negative", "positive", "neither"]
    why = ExplainJob.of(ExplainRequest(texts=TEXTS), served, Limits()).run(texts, math.inf)[0][0]
    assert [w["word"] for w in why["words"]][-2:] == ["brilliant", "."]
    assert served.about()["method"]


def test_a_head_and_a_threshold_are_given_at_the_start(exported_as, tmp_path):
    """A classifier whose configuration does not state its outputs is served without an export before."""
    folder = tmp_path / "model"
    classifier("BERT").save_pretrained(folder)
    tokenizer("BERT").save_pretrained(folder)
    plain = resolve(str(folder), tmp_path / "cache")
    entry = resolve(str(folder), tmp_path / "cache", "sigmoid", 0.3)
    assert entry.folder != plain.folder
    assert (entry.threshold, plain.threshold) == (0.3, None)
    saved = [json.loads((Path(e.folder) / "classifier.json").read_text())["settings"] for e in (plain, entry)]
    assert [one["multi_label"] for one in saved] == [False, True]
    with pytest.raises(ValueError, match="head sigmoid: models:/reviews/1 is a saved classifier"):
        resolve("models:/reviews/1", tmp_path / "cache", "sigmoid")


def test_the_threshold_of_an_entry_is_that_of_its_predictor(tmp_path):
    from serving.model_store import ModelEntry, ModelStore, write_entries
    from tests.pct.several import several_classifier

    export(several_classifier("textcnn", max_length=16), tmp_path / "onnx", modified=[])
    listed = tmp_path / "models.json"
    thresholds = {"a": None, "b": 0.3}
    write_entries(listed, [ModelEntry(id, str(tmp_path / "onnx"), id, threshold=x) for id, x in thresholds.items()])
    store = ModelStore(listed, 1)
    assert [served.predictor.task.threshold for served in store.models] == [0.5, 0.3]
