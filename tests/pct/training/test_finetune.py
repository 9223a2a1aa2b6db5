"""An existing classifier trained further: from its own head, held against itself, handed back to transformers."""

import ast
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import pct
from pct.cli import main
from pct.corpora.splits import align_classes
from pct.metrics.names import CORE_METRICS
from pct.training.finetune import finetune_settings
from pct.training.model_card import check_finetuned, model_card, push_to_hub, save_transformers
from tests.pct.models.families import TEXTS, classifier, tokenizer
from tests.pct.small import same_weights, small_classifier, small_corpus

QUICK = {"epochs": 1, "batch_size": 16, "max_length": 24, "threads": 1, "evaluate_epochs": False, "device": "cpu"}


def wrapped(name="BERT"):
    return pct.wrap(classifier(name, classes=2), tokenizer(name), name)


@pytest.fixture(scope="module")
def finetuned():
    before = wrapped()
    return before, pct.finetune(before, small_corpus(48, 24), progress=False, lr=1e-3, **QUICK)


def test_it_goes_on_from_the_classifier_which_is_left_as_it_is(finetuned):
    before, done = finetuned
    assert same_weights(before.model, wrapped().model)
    assert not same_weights(done.classifier.model, before.model)
    assert (done.classifier.settings.method, done.classifier.settings.margin_bound) == ("removal_margin", 4.0)
    assert done.classifier.classes == before.classes
    cut = pct.Classifier(before.model, before.tokenizer, before.classes, before.settings.replace(max_length=24))
    test, metrics = small_corpus(48, 24).splits["test"], [*CORE_METRICS, "macro_f1", "margin", "win"]
    assert done.change.before.metrics == pct.evaluate(cut, test, metrics=metrics).metrics


@pytest.mark.parametrize("family", ["textcnn", "lstm"])
def test_a_model_of_words_goes_on_by_pct_unless_told(family):
    start = small_classifier(family)
    assert finetune_settings(start, corpus="planted").method == "pct"
    start.settings = start.settings.replace(remove="second")
    assert finetune_settings(start, corpus="planted").remove == "second"
    start.settings = start.settings.replace(max_length=100)
    assert finetune_settings(start, corpus="planted").max_length == 100
    assert finetune_settings(start, corpus="planted", method="removal_margin").method == "removal_margin"
    assert finetune_settings(start, corpus="planted").margin_bound == 2.0
    assert finetune_settings(wrapped(), margin_bound=3.0).margin_bound == 3.0


@pytest.mark.parametrize("own", [
    {"removal": "mask"}, {"integrated_baseline": "mask"}, {"p_important": 0.3, "p_unimportant": 0.2},
    {"p_important": 0.0, "measure_important": 0.2, "measure_unimportant": 0.3}, {"order": "recomputed"},
], ids=str)  # fmt: skip
def test_it_is_explained_and_measured_as_the_original_unless_a_setting_is_given(own):
    start = small_classifier("lstm", **own)
    kept = finetune_settings(start, corpus="planted")
    assert kept.evaluation_options == start.settings.evaluation_options
    assert {name: getattr(kept, name) for name in own} == own
    given = {name: getattr(pct.Settings(measure_important=0.4), name) for name in own} | {"measure_important": 0.4}
    changed = finetune_settings(start, corpus="planted", **given)
    assert {name: getattr(changed, name) for name in given} == given


def test_no_step_leaves_the_model_as_it_was():
    before = wrapped()
    done = pct.finetune(before, small_corpus(48, 24), progress=False, method="normal", lr=1e-30, **QUICK)
    assert done.change.changed == 0
    assert done.change.reasons_against == ["comp-suff did not become significantly larger"]


def test_the_defaults_of_an_encoder_are_those_that_were_measured():
    names = ("method", "epochs", "lr", "batch_size")
    assert [getattr(finetune_settings(wrapped()), name) for name in names] == ["removal_margin", 1, 5e-5, 32]
    given = {"method": "normal", "epochs": "3", "lr": 1e-4, "batch_size": 8}
    assert [getattr(finetune_settings(wrapped(), **given), name) for name in names] == ["normal", 3, 1e-4, 8]
    assert [getattr(finetune_settings(small_classifier("lstm")), name) for name in names] == ["pct", 6, 5e-4, 64]


def test_epochs_are_measured_only_where_the_best_is_chosen_by_that():
    assert not finetune_settings(wrapped()).evaluate_epochs
    assert finetune_settings(wrapped(), best_by="comp-suff").evaluate_epochs
    assert finetune_settings(wrapped(), evaluate_epochs=True).evaluate_epochs


def test_without_texts_it_asks_for_some():
    with pytest.raises(ValueError, match=r"there are no texts: give a training file \(train_file\)"):
        pct.finetune(wrapped(), progress=False)


def test_data_in_memory_is_taken_too():
    splits = small_corpus(48, 24).splits
    names = np.array(["NEGATIVE", "Positive"])
    rows = {k: {"text": splits[k].texts, "label": names[splits[k].labels].tolist()} for k in ("train", "test")}
    done = pct.finetune(wrapped(), rows, progress=False, method="normal", **QUICK)
    np.testing.assert_array_equal(done.change.after.columns["label"], splits["test"].labels)
    assert done.classifier.classes == ["negative", "positive"]


def test_labels_are_matched_to_the_model_s_classes_by_name():
    corpus = small_corpus(48, 24)
    turned = align_classes(["Positive", "Negative"], corpus)
    assert turned.classes == ["Positive", "Negative"]
    np.testing.assert_array_equal(turned.splits["test"].labels, 1 - corpus.splits["test"].labels)
    with pytest.raises(ValueError, match="the texts have the class 'joy', the model has negative, positive"):
        align_classes(["negative", "positive"], dataclasses.replace(corpus, classes=["negative", "joy"]))


def test_labels_are_indices_of_the_model_s_classes_where_the_settings_say_so():
    unnamed = dataclasses.replace(small_corpus(48, 24), classes=["1", "0"])
    own = unnamed.splits["test"].labels
    with pytest.raises(ValueError, match=r"the class '1', .*; labels=indices reads it as an index into that list"):
        align_classes(["LABEL_0", "LABEL_1"], unnamed)
    aligned = align_classes(["LABEL_0", "LABEL_1"], unnamed, "indices")
    np.testing.assert_array_equal(aligned.splits["test"].labels, 1 - own)
    again = align_classes(["LABEL_0", "LABEL_1"], aligned, "indices")
    np.testing.assert_array_equal(again.splits["test"].labels, 1 - own)
    assert align_classes(["1", "0"], unnamed, "indices").splits["test"].labels is own
    rows = [{"text": text, "label": str(i % 2)} for i, text in enumerate(small_corpus(48, 24).splits["train"].texts)]
    done = pct.finetune(wrapped(), {"train": rows, "test": rows}, progress=False, labels="indices", **QUICK)
    assert done.change.before.classes == wrapped().classes
    assert done.change.before.columns["label"][:2].tolist() == [0, 1]


def test_the_result_is_a_folder_of_transformers_with_equal_logits_and_the_table(finetuned, tmp_path, capsys):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    _, done = finetuned
    folder = done.save(tmp_path / "finetuned")
    assert "shards" not in capsys.readouterr().err  # of transformers' own progress bar
    model, words = (x.from_pretrained(folder) for x in (AutoModelForSequenceClassification, AutoTokenizer))
    ours = done.classifier.predict(TEXTS)
    cut = {"truncation": True, "max_length": 24}
    with torch.no_grad():
        theirs = torch.cat([model(**words(t, return_tensors="pt", **cut)).logits for t in TEXTS]).softmax(-1)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    message = pipeline("text-classification", str(folder), device="cpu")(TEXTS, **cut)
    assert [x["label"] for x in message] == [done.classifier.classes[i] for i in ours.argmax(1)]
    np.testing.assert_allclose([x["score"] for x in message], ours.max(1), atol=1e-5)
    np.testing.assert_allclose(pct.load(folder, "cpu").predict(TEXTS[4:5]), ours[4:5], atol=1e-6)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert done.change.markdown() in card


def test_a_textcnn_is_fine_tuned_too(tmp_path):
    before = small_classifier("textcnn", classes=2)
    done = pct.finetune(before, small_corpus(48, 24), progress=False, corpus="", **QUICK)
    folder = done.save(tmp_path / "finetuned")
    np.testing.assert_array_equal(pct.load(folder, "cpu").predict(TEXTS), done.classifier.predict(TEXTS))
    assert "comp-suff" in (folder / "README.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="no model of the transformers library"):
        save_transformers(done.classifier, tmp_path / "other")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds something else"):
        save_transformers(wrapped(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_lies_beside_a_model_is_not_lost(tmp_path):
    folder = save_transformers(wrapped(), tmp_path / "model")
    save_transformers(wrapped(), folder)
    for other in ("checkpoint-500/state.json", "notes.md"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_text("{}")
        with pytest.raises(FileExistsError, match=f"also holds {other.split('/')[0]}, which would be lost"):
            check_finetuned(wrapped(), folder, "elsewhere")
        with pytest.raises(FileExistsError, match="would be lost"):
            save_transformers(wrapped(), folder)
        assert (folder / other).is_file()
        shutil.rmtree(folder / "checkpoint-500", ignore_errors=True)
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "config.json").write_text('{"port": 3000}')
    with pytest.raises(FileExistsError, match="not of transformers"):
        save_transformers(wrapped(), tmp_path / "server")


@pytest.mark.parametrize("reading", [
    {"max_length": 12}, {"max_length": 12, "windows": "stride=4"}, {"words": "spaces"}, {"threshold": 0.2},
], ids=str)  # fmt: skip
def test_a_folder_of_transformers_reads_texts_as_the_classifier_did(tmp_path, reading):
    several = "threshold" in reading
    model = classifier("BERT", classes=2, **({"problem_type": "multi_label_classification"} if several else {}))
    made = pct.wrap(model, tokenizer("BERT"), "BERT", **reading)
    again = pct.load(save_transformers(made, tmp_path / "model"), "cpu")
    assert {name: getattr(again.settings, name) for name in reading} == reading
    text = [" ".join(TEXTS * 4)]
    np.testing.assert_allclose(again.predict(text), made.predict(text), atol=1e-6)
    if reading == {"max_length": 12}:
        import transformers

        saved = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "model"))
        assert saved.model_max_length == 12


def test_a_word_rule_that_only_a_folder_names_is_not_run(tmp_path):
    folder = save_transformers(wrapped(), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["pct"]["words"] = "os:getcwd"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="os:getcwd, which is not trusted"):
        pct.load(folder, "cpu")


def test_the_card_has_no_markup_of_names(tmp_path):
    model = classifier("BERT", classes=2)
    model.config.id2label = {0: "ok\n\n# Heading <img src=x> [click](javascript:x)", 1: "pos|neg"}
    made = pct.wrap(model, tokenizer("BERT"), "BERT")
    card = model_card(made, 'x"); import os; os.system("id")#')
    assert "\n# Heading" not in card
    assert "<img" not in card
    assert "](javascript" not in card
    code = card.split("```python")[1].split("```")[0]
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    assert {ast.unparse(call.func) for call in calls} == {"pipeline", "pct.explain", "pct.load"}


def test_a_folder_continues_only_the_training_that_began_with_the_same_weights(tmp_path):
    data = small_corpus(48, 24)
    first, second = (small_classifier("textcnn", classes=2, seed=seed) for seed in (0, 1))
    done = pct.finetune(first, data, tmp_path / "run", progress=False, corpus="", **QUICK)
    with pytest.raises(ValueError, match="starting weights"):
        pct.finetune(second, data, tmp_path / "run", progress=False, corpus="", **QUICK)
    again = pct.finetune(first, data, tmp_path / "run", progress=False, corpus="", **QUICK)
    assert same_weights(again.classifier.model, done.classifier.model)


@pytest.mark.parametrize("output", ["own", "run/model"])
def test_the_classifier_itself_is_not_overwritten(tmp_path, capsys, output):
    folder = save_transformers(wrapped(), tmp_path / output)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    data = tmp_path / "train.csv"
    data.write_text("text,label\n" + "a film,negative\nthe film,positive\n" * 20)
    model = folder.parent if output == "run/model" else folder
    with pytest.raises(FileExistsError, match="holds the classifier itself, which would be lost; give another folder"):
        check_finetuned(wrapped(), folder, str(model))
    if model == folder:
        assert main(["finetune", str(folder), "--train-file", str(data), "--output", str(folder), "--quiet"]) == 1
        assert "holds the classifier itself" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_it_is_pushed_by_two_calls_of_the_hub_s_client(tmp_path, monkeypatch):
    import huggingface_hub

    calls = []

    class Api:
        def create_repo(self, *arguments, **options):
            calls.append(("create", arguments, options))

        def upload_folder(self, **options):
            calls.append(("upload", (), options))
            return "https://huggingface.co/someone/finetuned/commit/1"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert push_to_hub(tmp_path, "someone/finetuned", private=True).endswith("commit/1")
    assert calls[0] == ("create", ("someone/finetuned",), {"private": True, "exist_ok": True})
    assert calls[1][2]["repo_id"] == "someone/finetuned"
    assert calls[1][2]["folder_path"] == str(tmp_path)


def test_a_hub_that_refuses_is_one_line(tmp_path):
    with pytest.raises(OSError, match=r"not a name could not be pushed to the hub .*`hf auth login`"):
        push_to_hub(tmp_path, "not a name")


@pytest.fixture
def files(tmp_path):
    """A folder of a classifier, and files of rows."""
    folder = tmp_path / "classifier"
    classifier("BERT", classes=2).save_pretrained(folder)
    tokenizer("BERT").save_pretrained(folder)
    paths = {}
    for name, split in small_corpus(48, 24).splits.items():
        paths[name] = tmp_path / f"{name}.jsonl"
        rows = [
            {"text": t, "label": ["negative", "positive"][x]} for t, x in zip(split.texts, split.labels, strict=True)
        ]
        paths[name].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder, [x for k, v in paths.items() for x in (f"--{k}-file", str(v))]


def test_the_command_prints_the_change_and_tells_by_its_exit_code(files, tmp_path, capsys):
    folder, texts = files
    options = [x for k, v in QUICK.items() for x in (f"--{k}", str(v).lower())]
    out, read = tmp_path / "out", tmp_path / "change.json"
    train_file = Path(texts[texts.index("--train-file") + 1])
    train_file.write_text(
        train_file.read_text(encoding="utf-8") + '{"text": " ", "label": "negative"}\n', encoding="utf-8"
    )
    options += ["--on-bad-row", "skip"]
    code = main(["finetune", str(folder), *texts, *options, "--quiet", "--output", str(out), "--json", str(read)])
    message = capsys.readouterr().out
    actual = json.loads(read.read_text(encoding="utf-8"))
    assert code == (0 if actual["improved"] else 3)
    assert ("\nimproved: " in message) == actual["improved"]
    assert "comp-suff" in message
    assert sum(actual["data"]["train"]["rows_skipped"].values()) == 1  # the blank one that was put in
    assert "train: 1 row was skipped: 1 with " in message
    assert (out / "model.safetensors").is_file()


def test_a_trained_encoder_is_exported_to_transformers_by_the_command(tmp_path, capsys):
    from transformers import AutoModelForSequenceClassification

    small_classifier("transformer").save(tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), str(tmp_path / "out"), "--to", "transformers"]) == 0
    exported = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert list(exported.config.id2label.values()) == ["negative", "positive", "neither"]
    assert main(["export", str(tmp_path / "model"), str(tmp_path / "b"), "--to", "transformers", "--int8"]) == 1
    assert "--int8 can be used with --to onnx only" in capsys.readouterr().err
