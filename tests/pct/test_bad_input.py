"""What people really send: empty, tiny, huge, in any script, broken. Each has a defined result or a clear error."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pct
from pct.cli import main
from pct.corpora.splits import Split
from pct.text.words import split
from tests.pct.small import FAMILIES, small_classifier, small_corpus, small_settings

ODD = {
    "one word": "film",
    "one letter": "a",
    "ten thousand words": "film joy " * 5_000,
    "one word of ten thousand letters": "a" * 10_000,
    "emoji": "🙂 🎬🍿 film 👩‍👩‍👧 ❤️ 🇫🇷",
    "right to left": "هذا فيلم رائع جدا וגם בעברית",
    "both ways": "the film \u202eevol\u202c هو joy",
    "no spaces between words": "この映画は素晴らしい 电影很好看",
    "combining marks": "e\u0301 \u0301 Z\u0351\u0343\u034falgo",
    "NUL and controls": "a\x00b \x00 \x07bell \x1b[31mred film",
    "invisible words": "\u200b \ufeff film \u2060",
    "lone surrogates": "\ud800 film \udfff a\udc00b",
    "a surrogate pair in halves": "\ud83d\ude42 film",
    "private and unassigned": "\ue000 \uffff \U0010ffff film",
    "special tokens": "[CLS] film [SEP] [PAD] [MASK] <s> </s>",
    "odd spaces": "\u00a0film\u2003is\u3000a\u2028joy\x85\x1c",
    "markup": "<script>alert('film')</script> <br /><br />",
    "format strings": "{0} {film} %s %n $(joy)",
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("what", ODD)
def test_an_odd_text_has_a_defined_result(family, what):
    classifier = small_classifier(family)
    text = ODD[what]
    actual = classifier.predict([text, "film"])
    assert np.isfinite(actual).all()
    np.testing.assert_allclose(actual.sum(1), 1, atol=1e-5)
    (saliency,) = classifier.saliency([text])
    document = split(text)
    assert 1 <= len(saliency) <= min(len(document), 64)
    assert np.isfinite(saliency).all()
    (explained,) = pct.explain(classifier, [text])
    # an encoder's tokenizer may have no token for a word that cannot be seen
    assert len(explained.words) + explained.truncated <= len(document)
    assert [explained.text[a:b] for a, b in explained.spans] == explained.words
    assert len(explained.known) == len(saliency) == len(explained.words)
    assert len(explained.important.removed) == min(15, len(explained.words) - 1)
    json.dumps(explained.to_dict(), ensure_ascii=False).encode("utf-8")
    report = pct.evaluate(classifier, ([text, "a film of joy"], [0, 1]))
    assert np.isfinite(list(report.metrics.values())).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_all_odd_texts_in_one_call_have_the_results_that_each_has_alone(family):
    classifier = small_classifier(family)
    texts = list(ODD.values())
    together = classifier.predict(texts)
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_allclose(row, classifier.predict([text])[0], atol=1e-5)


@pytest.mark.parametrize("call", ["predict", "saliency", "explain", "evaluate"])
@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000", [], [""]])
def test_an_empty_text_is_refused_with_its_place(call, text):
    classifier = small_classifier("textcnn")
    calls = {
        "predict": lambda: classifier.predict(["film", text]),
        "saliency": lambda: classifier.saliency(["film", text]),
        "explain": lambda: pct.explain(classifier, ["film", text]),
        "evaluate": lambda: pct.evaluate(classifier, (["film", text], [0, 1])),
    }
    place = r"row 2: column 'text' must be a text" if call == "evaluate" else "text 1: a text needs at least one word"
    with pytest.raises(ValueError, match=place):
        calls[call]()


@pytest.mark.parametrize("texts", ["film", b"film", [b"film"], [None], [["film", 3]], [3.0]], ids=repr)
def test_what_is_no_list_of_texts_is_refused(texts):
    with pytest.raises(TypeError, match="text"):
        small_classifier("textcnn").predict(texts)


@pytest.mark.parametrize(("classes", "message"), [
    ([3], r"label 3 is outside the model's classes 0\.\.2"), ([-1], "label -1 is outside"), ([], "1 texts need 1"),
    ([0, 1], "1 texts need 1"), ([[0]], "1 texts need 1"),
])  # fmt: skip
def test_a_class_that_the_model_lacks_is_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        small_classifier("textcnn").saliency(["film joy"], classes)


def with_training(**changes):
    corpus = small_corpus(32, 8)
    train = dataclasses.replace(corpus.splits["train"], **changes)
    return dataclasses.replace(corpus, splits=dict(corpus.splits) | {"train": train})


def test_odd_texts_can_be_trained_on_and_saved(tmp_path):
    texts = list(ODD.values())
    split = Split(texts, np.arange(len(texts)) % 2)
    corpus = dataclasses.replace(small_corpus(32, 8), splits=dict.fromkeys(("train", "validation", "test"), split))
    trained = pct.train(small_settings(epochs=1, evaluate_epochs=True), corpus, tmp_path, progress=False)
    loaded = pct.load(tmp_path / "model")
    assert (loaded.predict(texts) == trained.predict(texts)).all()


@pytest.mark.parametrize("model", ["textcnn", "lstm"])
@pytest.mark.parametrize("method", ["normal", "entropy", "pct"])
def test_texts_of_one_word_can_be_trained_on(model, method):
    texts = [("good", "bad")[i % 2] for i in range(32)]
    corpus = with_training(texts=texts, labels=np.arange(32) % 2, rationale=None, shortcut=None)
    trained = pct.train(small_settings(model=model, method=method, epochs=1), corpus, progress=False)
    assert np.isfinite(trained.predict(["good", "bad"])).all()


def test_an_empty_training_text_is_refused_with_its_place():
    corpus = small_corpus(32, 8)
    texts = [*corpus.splits["train"].texts[:-1], " "]
    with pytest.raises(ValueError, match="text 31: a text needs at least one word"):
        pct.train(small_settings(epochs=1), with_training(texts=texts), progress=False)


@pytest.mark.parametrize("value", [2, -1])
def test_a_training_label_outside_the_classes_is_refused(value):
    labels = small_corpus(32, 8).splits["train"].labels.copy()
    labels[5] = value
    with pytest.raises(ValueError, match=rf"label {value} is outside"):
        pct.train(small_settings(epochs=1), with_training(labels=labels), progress=False)


def test_lone_surrogates_in_a_jsonl_file_are_trained_on(tmp_path):
    """JSON can carry them as escapes, UTF-8 cannot: they must not stop a run at the moment when it is saved."""
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"fine \ud800 film {i}", "label": i % 2} for i in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")
    files = {f"{k}_file": str(path) for k in ("train", "validation", "test")}
    settings = small_settings(corpus="files", epochs=1, **files)
    trained = pct.train(settings, run_dir=tmp_path / "run", progress=False)
    assert pct.load(tmp_path / "run" / "model").classes == trained.classes == ["0", "1"]


@pytest.mark.parametrize("texts", [
    "a film", b"a film", None, 3, Path("a film"), np.array("a film"), {"text": "a film"},
    [b"a film"], [None], [3], [float("nan")], [Path("a")], np.array([["a", "film"]]), [["a", None]],
    [""], [" "], [[]], pd.Series(["a film", None]), pd.DataFrame({"x": ["a"], "y": ["b"]}),
], ids=repr)  # fmt: skip
def test_what_is_no_list_of_texts_is_told_in_a_line(texts):
    classifier = small_classifier("textcnn")
    for ask in (classifier.predict, classifier.saliency, lambda given: pct.explain(classifier, given)):
        with pytest.raises((ValueError, TypeError), match="text") as told:
            ask(texts)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("texts", [
    ["a film", "joy"], ("a film", "joy"), np.array(["a film", "joy"]), np.array(["a film", "joy"], object),
    pd.Series(["a film", "joy"]), pd.Categorical(["a film", "joy"]), pd.DataFrame({"text": ["a film", "joy"], "n": 1}),
    pd.DataFrame({"review": ["a film", "joy"]}), {"text": ["a film", "joy"]}, [{"text": "a film"}, {"text": "joy"}],
], ids=lambda texts: type(texts).__name__)  # fmt: skip
def test_whatever_holds_texts_is_read_alike(texts):
    classifier = small_classifier("textcnn")
    np.testing.assert_array_equal(classifier.predict(texts), classifier.predict(["a film", "joy"]))
    np.testing.assert_array_equal(classifier.predict(x for x in ["a film", "joy"]), classifier.predict(texts))


@pytest.mark.parametrize(("texts", "message"), [
    ([("A man", "is", "fed.")], "text 0: .*'A man' has white space in it.*a pair of texts as a tuple of two"),
    (["fine", ["a film", "of joy"]], "text 1: .*'a film' has white space in it"),
    ([{"text": "a", "text_pair": ""}], "text 0: a text needs at least one word"),
    ([{"text_pair": "a"}], "text 0 has no 'text'"),
    ([{"text": "a"}, {"text": "a", "hypothesis": "b"}], "text 1 has the unknown key 'hypothesis'"),
    (["a film", {"text": "a", "x": 1}], "text 1 has the unknown key 'x'"),
    ([{"review": "a film"}], "text 0 has the unknown key 'review'"),
    ([{"label": 1}], "text 0 has no 'text': give a text as a string, or as"),
])  # fmt: skip
def test_a_row_that_is_no_text_or_has_an_unknown_key_is_refused_and_named(texts, message):
    classifier = small_classifier("textcnn")
    for ask in (classifier.predict, classifier.saliency, lambda given: pct.explain(classifier, given)):
        with pytest.raises(ValueError, match=message):
            ask(texts)


def test_a_row_may_have_its_label_and_its_rationale():
    rows = [{"text": "a film of joy", "label": 1, "rationale": [0, 0, 0, 1]}]
    classifier = small_classifier("textcnn")
    np.testing.assert_array_equal(classifier.predict(rows), classifier.predict(["a film of joy"]))


@pytest.mark.parametrize("classes", [["positive"], [1.5], [True], [None], [-1], [3], 1, [1, 0]], ids=str)
def test_a_class_that_is_no_index_is_not_explained(classes):
    with pytest.raises(ValueError, match="class"):
        pct.explain(small_classifier("textcnn", classes=3), ["a film"], classes=classes)


def test_one_metric_may_be_asked_for_by_its_name_alone():
    report = pct.evaluate(small_classifier("textcnn"), (["a film of joy"], [0]), metrics="comp")
    assert set(report.metrics) == {"comp"}


@pytest.mark.parametrize("command", [["predict"], ["explain"]])
def test_control_characters_of_a_text_are_spelled_in_a_terminal(command, tmp_path, capsys):
    folder = small_classifier("textcnn").save(tmp_path / "model")
    assert main([*command, str(folder), "\x1b]0;owned\x07 film \x1b[2J joy"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown.replace("\x1b[48;5;", "").replace("\x1b[30m", "").replace("\x1b[0m", "")
    assert r"\x1b" in shown


@pytest.mark.parametrize(("options", "message"), [
    ({"target": 1.0}, "a target must be the name or the index of a class"), ({"max_steps": 2.5}, "max_steps .* 2.5"),
    ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
])  # fmt: skip
def test_an_option_of_another_type_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        pct.explain(small_classifier("textcnn"), ["a film"], **options)


@pytest.mark.parametrize("call", [
    lambda: pct.diff("a", "b", (["film"], [0])), lambda: pct.finetune("folder", (["film"], [0])),
    lambda: pct.finetune(pct.predictor_from(lambda texts: np.ones((len(texts), 2)) / 2, ["a", "b"]), (["a"], [0])),
])  # fmt: skip
def test_what_is_no_model_is_named(call):
    with pytest.raises(TypeError, match=r"give pct\.load"):
        call()


@pytest.mark.parametrize("option", [{"on_bad_row": "ignore"}, {"labels": "index"}])
@pytest.mark.parametrize("measure", [pct.evaluate, pct.audit])
def test_a_way_of_reading_that_does_not_exist_is_named(measure, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} must be one of .*, got '{option[name]}'"):
        measure(small_classifier("textcnn"), (["a film"], [0]), **option)
