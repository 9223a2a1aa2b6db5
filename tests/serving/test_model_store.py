"""The list of models: read, swapped while requests are at work, and kept when the new one is broken."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pct.onnx.predictor import WEIGHTS
from serving.command import with_unique_ids
from serving.model_store import ModelEntry, ModelStore, read_entries, write_entries


@pytest.fixture
def entries(exported: dict[str, Path]) -> list[ModelEntry]:
    return [ModelEntry(id, str(folder), f"from {id}") for id, folder in exported.items()]


@pytest.fixture
def listed(entries: list[ModelEntry], tmp_path: Path) -> Path:
    path = tmp_path / "models.json"
    write_entries(path, entries)
    return path


def test_a_list_is_read_as_it_was_written(listed, entries):
    assert read_entries(listed) == entries
    assert [f.name for f in listed.parent.iterdir()] == ["models.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": []}', '{"models": [{"id": "a"}]}', '{"models": [1]}'])
def test_what_is_no_list_is_named(text, tmp_path):
    path = tmp_path / "models.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"models\.json"):
        read_entries(path)


def test_ids_must_differ(listed, entries):
    write_entries(listed, [entries[0], entries[0]])
    with pytest.raises(ValueError, match="each with its own id"):
        ModelStore(listed, 1)
    same = [replace(entries[0], id=x) for x in ("a", "b", "a", "a")]
    assert [e.id for e in with_unique_ids(same)] == ["a", "b", "a-2", "a-3"]


def test_a_model_is_found_by_its_id_and_the_first_one_is_the_default(listed):
    store = ModelStore(listed, 1)
    assert store.find(None) is store.find("normal")
    assert store.find("pct").predictor.settings.method == "pct"
    with pytest.raises(ValueError, match="no model is called 'x'; there are normal, pct"):
        store.find("x")


def test_an_exported_folder_alone_will_do(exported):
    store = ModelStore(exported["pct"], 1)
    assert store.find(None).predictor.settings.method == "pct"


def test_a_changed_list_is_taken_up_and_models_that_stay_are_not_loaded_again(listed, entries):
    store = ModelStore(listed, 1)
    before = store.find("pct")
    assert not store.refresh()
    write_entries(listed, [replace(entries[1], version="2")])
    assert store.refresh()
    assert not store.refresh()
    after = store.find(None)
    assert (after.entry.version, after.predictor) == ("2", before.predictor)
    assert before.predictor.predict(["a film"]).shape == (1, 2)


def test_a_folder_that_is_exported_again_is_loaded_again(exported, tmp_path):
    folder = Path(shutil.copytree(exported["normal"], tmp_path / "model"))
    write_entries(tmp_path / "models.json", [ModelEntry("a", str(folder), "here")])
    store = ModelStore(tmp_path / "models.json", 1)
    shutil.rmtree(folder)
    shutil.copytree(exported["pct"], folder, copy_function=shutil.copy)
    assert store.refresh()
    assert store.find("a").predictor.settings.method == "pct"


def test_a_list_that_cannot_be_loaded_leaves_the_models_and_is_told_once(listed, entries, tmp_path, caplog):
    store = ModelStore(listed, 1)
    before = store.models
    broken = Path(shutil.copytree(entries[0].folder, tmp_path / "broken"))
    (broken / WEIGHTS).write_bytes(b"x")
    with caplog.at_level(logging.ERROR, "pct.serving"):
        for bad in ([replace(entries[0], folder=str(broken))], [replace(entries[0], folder=str(tmp_path / "none"))]):
            write_entries(listed, bad)
            assert not store.refresh()
            assert not store.refresh()
        listed.write_text("{")
        assert not store.refresh()
        listed.unlink()
        assert not store.refresh()
    assert store.models == before
    assert len(caplog.records) == 4
    write_entries(listed, entries[1:])
    assert store.refresh()


def test_what_is_told_of_a_model(listed, exported):
    about = ModelStore(listed, 1).find("pct").about()
    assert about["id"] == "pct"
    assert about["labels"] == ["negative", "positive"]
    assert (about["method"], about["architecture"], about["corpus"]) == ("pct", "textcnn", "planted")
    assert json.loads(json.dumps(about)) == about
