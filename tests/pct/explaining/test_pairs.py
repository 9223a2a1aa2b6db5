"""Pairs of texts explained, measured and read from tables: both sides together, or one with the other as context."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import pct
from pct.cli import main
from pct.corpora.splits import text_columns, texts_of_columns
from pct.explaining.explanation import Explanation
from pct.metrics.rationale import marks_of_document
from pct.output.html import words_html
from pct.output.records import words_frame
from pct.output.terminal import render
from pct.text.words import split
from tests.pct.models.families import TEXTS, classifier, tokenizer

PAIRS = [(TEXTS[0], "fine film"), ("fine film", "tired, goofy, it's 3.5 hours"), ("work of joy", "the film's bad!")]
LABELS = ["positive", "negative", "neither"]


@pytest.fixture(scope="module")
def model():
    return pct.wrap(classifier("BERT"), tokenizer("BERT"), "BERT")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return str(model.save(tmp_path_factory.mktemp("pairs") / "model"))


def without(pair: tuple[str, str], removed: set[int]) -> tuple[str, str]:
    """A pair without some of the words of both texts, as strings; WordPiece tokenises it as the remaining tokens."""
    document = split(pair)
    left = [[], []]
    for i, word in enumerate(document):
        if i not in removed:
            left[i >= document.first_words].append(word)
    return " ".join(left[0]), " ".join(left[1])


def test_the_curves_are_the_predictions_of_the_pairs_without_their_words(model):
    for pair, one in zip(PAIRS, pct.explain(model, PAIRS, saliency="l2"), strict=True):
        assert one.words == list(split(pair))
        assert (one.text, one.text_pair) == pair
        removed: set[int] = set()
        for word, confidence in zip(one.important.removed, one.important.confidences[1:], strict=True):
            removed.add(word)
            reduced = without(pair, removed)
            if all(reduced):
                assert model.predict([reduced])[0, one.label] == pytest.approx(confidence, abs=1e-5)


@pytest.mark.parametrize("remove", ["first", "second"])
@pytest.mark.parametrize("saliency", ["l2", "occlusion", "lime"])
def test_of_one_side_only_its_words_are_ranked_and_removed(model, remove, saliency):
    for pair, one in zip(PAIRS, pct.explain(model, PAIRS, saliency=saliency, remove=remove), strict=True):
        own = split(pair[remove == "second"])
        assert one.words == list(own)
        assert one.spans == own.spans
        assert one.first_words == (len(own) if remove == "first" else 0)
        assert len(one.important.removed) == min(len(own) - 1, 15)
    whole = pct.explain(model, PAIRS, saliency="l2")
    for one, both in zip(pct.explain(model, PAIRS, saliency="l2", remove=remove), whole, strict=True):
        side = both.sides[remove == "second"].words
        np.testing.assert_allclose(one.saliency, both.saliency[side], rtol=1e-5)
        assert one.confidence == pytest.approx(both.confidence, abs=1e-6)


def test_the_setting_of_a_model_says_whose_words_are_removed_and_a_call_may_say_otherwise(model, folder):
    own = pct.load(folder)
    own.settings = own.settings.replace(remove="second")
    assert [len(x) for x in own.saliency(PAIRS)] == [len(split(b)) for _, b in PAIRS]
    (one,) = pct.explain(own, PAIRS[:1], remove="first")
    assert one.words == list(split(PAIRS[0][0]))
    (both,) = pct.explain(own, PAIRS[:1], remove="both")
    assert both.words == list(split(PAIRS[0]))
    with pytest.raises(ValueError, match="remove must be one of both, first, second, got 'left'"):
        pct.explain(model, PAIRS, remove="left")
    with pytest.raises(ValueError, match="remove second: no word of 'fine' may be removed; give pairs, or"):
        pct.explain(model, [PAIRS[0], "fine"], remove="second")


def test_an_explanation_names_the_text_of_each_word_in_json_and_of_a_single_text_does_not(model):
    pair, single = pct.explain(model, [PAIRS[0], "fine film"])
    answer = json.loads(json.dumps(pair.to_dict()))
    assert (answer["text"], answer["text_pair"]) == PAIRS[0]
    for word in answer["words"]:
        assert answer[word["text"]][word["start"] : word["end"]] == word["word"]
    assert [word["text"] for word in answer["words"]] == ["text"] * 10 + ["text_pair"] * 2
    assert Explanation.from_dict(answer).to_dict() == pair.to_dict()
    assert "text_pair" not in single.to_dict()
    assert "text" not in single.to_dict()["words"][0]


def test_both_texts_stand_under_their_names(model):
    pair, single = pct.explain(model, [PAIRS[0], "fine film"])
    lines = render(pair, colour=False).splitlines()
    assert any(line.startswith("     text  Despite") for line in lines)
    assert any(line.startswith("text_pair  fine") for line in lines)
    html = words_html(pair)
    assert html.count("<p ") == 2
    assert "<small>text</small>" in html
    assert "<small>text_pair</small>" in html
    assert words_html(single).count("<p ") == 1
    assert "<small>" not in words_html(single)
    assert words_frame(pair)["text"].tolist() == ["text"] * 10 + ["text_pair"] * 2
    assert pair.plot() is not None
    (context,) = pct.explain(model, PAIRS[:1], remove="second")
    assert "Despite its slow start, the film is brilliant." in words_html(context)
    assert any(line == f"     text  {TEXTS[0]}" for line in render(context, colour=False).splitlines())


def tables():
    rows = [{"text": a, "text_pair": b, "label": label} for (a, b), label in zip(PAIRS, LABELS, strict=True)]
    frame = pd.DataFrame(rows)
    import datasets

    return {
        "rows": rows, "frame": frame, "columns": frame.to_dict("list"), "pairs": (PAIRS, LABELS),
        "dataset": datasets.Dataset.from_pandas(frame),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["rows", "frame", "columns", "pairs", "dataset"])
def test_pairs_are_read_from_whatever_holds_them(model, kind):
    data = tables()[kind]
    wanted = pct.evaluate(model, (PAIRS, LABELS), metrics=["acc", "comp"])
    assert pct.evaluate(model, data, metrics=["acc", "comp"]).metrics == wanted.metrics
    if kind != "pairs":
        np.testing.assert_array_equal(model.predict(data), model.predict(PAIRS))


def test_another_column_may_have_the_second_texts(model):
    frame = tables()["frame"].rename(columns={"text": "premise", "text_pair": "hypothesis"})
    given = {"text_column": "premise", "text_pair_column": "hypothesis", "metrics": ["f_x"]}
    assert pct.evaluate(model, frame, **given).metrics == pct.evaluate(model, (PAIRS, LABELS), metrics=["f_x"]).metrics
    with pytest.raises(
        ValueError, match="has no column 'second', it has premise, hypothesis, label; set text_pair_col"
    ):
        pct.evaluate(model, frame, **{**given, "text_pair_column": "second"})
    with pytest.raises(ValueError, match="row 1: column 'text_pair' must be a text with words"):
        pct.evaluate(model, [{"text": "a", "text_pair": "", "label": "positive"}])


def test_a_report_on_one_side_counts_its_words(model):
    report = pct.evaluate(model, (PAIRS, LABELS), remove="second")
    assert report.columns["n"].tolist() == [len(split(b)) for _, b in PAIRS]


def test_marks_of_a_pair_are_those_of_the_space_separated_words_of_both_texts(model):
    assert marks_of_document([0, 1, 0, 1], split(("a film.", "is fine")), 0) == [0, 1, 1, 0, 1]
    rows = [{"text": "a film.", "text_pair": "is fine", "label": "positive", "rationale": [0, 1, 0, 1]}]
    assert np.isfinite(pct.evaluate(model, rows, metrics=["rationale_f1"], saliency="l2").metrics["rationale_f1"])
    with pytest.raises(ValueError, match="one for each of 4 words"):
        pct.evaluate(model, [{**rows[0], "rationale": [0, 1]}])


def test_numbers_of_the_tokens_of_a_pair_are_those_of_its_words(model):
    tokens = tokenizer("BERT").convert_ids_to_tokens(tokenizer("BERT")(*PAIRS[1])["input_ids"])
    given = [SimpleNamespace(values=np.arange(len(tokens), dtype=float), data=tokens)]
    assert pct.evaluate(model, (PAIRS[1:2], ["positive"]), metrics=["comp"], saliency=given).saliency == "given"


def test_an_audit_measures_pairs_and_one_side_of_them(model):
    audits = [
        pct.audit(model, (PAIRS, LABELS), ["l2"], removals=["delete"], remove=remove) for remove in (None, "second")
    ]
    assert audits[0].rows[0].metrics["comp"] != audits[1].rows[0].metrics["comp"]
    shown = [Explanation.from_dict(x) for x in audits[1].examples]
    assert all(one.text_pair is not None and one.first_words == 0 for one in shown)


def test_a_function_gets_pairs_as_tuples_without_the_removed_words():
    seen = []

    def probabilities(texts):
        seen.extend(texts)
        first = [len(t[0].split()) / (1 + len(" ".join(t).split())) if isinstance(t, tuple) else 0.5 for t in texts]
        return np.stack([first, 1 - np.array(first)], 1)

    counting = pct.predictor_from(probabilities, ["a", "b"])
    (one,) = pct.explain(counting, [("good film", "it is")], remove="second")
    assert one.words == ["it", "is"]
    assert {"good film"} == {first for first, _ in seen}
    assert {"it is", "it", "is"} <= {second for _, second in seen}
    seen.clear()
    counting.predict(["alone"])
    assert seen == ["alone"]


def test_the_number_of_a_pair_has_both_texts():
    lengths = pct.predictor_from(
        lambda pairs: [[float(len(a) - len(b))] for a, b in pairs], ["difference"], head="value"
    )
    predictions = pct.predict(lengths, [("good film", "it is")])
    (one,) = predictions
    assert (one.value, one.text, one.text_pair) == (4.0, "good film", "it is")
    assert predictions.to_pandas()["text_pair"].tolist() == ["it is"]


def test_columns_of_texts_give_the_texts_back():
    for texts in (PAIRS, ["a", "b"], ["a", ("b", "c")]):
        assert texts_of_columns(text_columns(texts)) == list(texts)
    assert list(text_columns(["a", "b"])) == ["text"]


def test_the_commands_take_pairs(folder, tmp_path, capsys):
    second = ["--text-pair", PAIRS[0][1]]
    assert main(["predict", folder, PAIRS[0][0], *second]) == 0
    assert capsys.readouterr().out.endswith(f"{TEXTS[0]}  |  fine film\n")
    assert main(["explain", folder, PAIRS[0][0], *second, "--remove", "second", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert [word["word"] for word in answer["words"]] == ["fine", "film"]
    assert main(["predict", folder, "a", "b", *second]) == 1
    assert "2 texts need as many --text-pair, got 1" in capsys.readouterr().err
    data = tmp_path / "pairs.csv"
    with data.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["premise", "hypothesis", "label"])
        lines.writerows([a, b, label] for (a, b), label in zip(PAIRS, LABELS, strict=True))
    reading = ["--data", str(data), "--text-column", "premise", "--text-pair-column", "hypothesis"]
    for kind in ("csv", "jsonl", "parquet"):
        assert main(["predict", folder, *reading, "--output", str(tmp_path / f"out.{kind}")]) == 0
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["text"], row["text_pair"]) for row in table] == PAIRS
    assert pd.read_csv(tmp_path / "out.csv")["text_pair"].tolist() == [b for _, b in PAIRS]
    for kind in ("html", "parquet"):
        assert main(["explain", folder, *reading, "--output", str(tmp_path / f"explained.{kind}")]) == 0
    row = pq.read_table(tmp_path / "explained.parquet").to_pylist()[0]
    assert (row["text_pair"], row["first_words"], len(row["words"])) == ("fine film", 10, 12)
    capsys.readouterr()
    assert main(["evaluate", folder, *reading, "--remove", "first", "--metrics", "comp", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == 3


def test_zero_shot_explains_why_a_text_entails_each_label(tmp_path, capsys):
    names = {0: "contradiction", 1: "neutral", 2: "ENTAILMENT"}
    own = classifier("BERT", id2label=names, label2id={name: i for i, name in names.items()})
    folder = str(pct.wrap(own, tokenizer("BERT"), "nli").save(tmp_path / "nli"))
    assert main(["explain", folder, "a film of joy", "--zero-shot", "sports, film", "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [a["text_pair"] for a in answers] == ["This example is sports.", "This example is film."]
    assert all(a["target"] == "ENTAILMENT" for a in answers)
    assert [w["word"] for w in answers[0]["words"]] == ["a", "film", "of", "joy"]
    given = tokenizer("BERT")("a film of joy", "This example is film.", return_tensors="pt")
    probability = own(**given).logits.softmax(-1)[0, 2]
    assert answers[1]["target_confidence"] == pytest.approx(float(probability), abs=1e-5)
    # a line in front ranks the labels, and a single text without them is noted
    assert main(["explain", folder, "a film of joy", "--zero-shot", "sports, film"]) == 0
    captured = capsys.readouterr()
    confidences = zip((answer["target_confidence"] for answer in answers), ["sports", "film"], strict=True)
    scores = sorted(confidences, reverse=True)
    assert captured.out.startswith(", ".join(f"{label} {score:.3f}" for score, label in scores) + "  a film of joy\n")
    assert captured.err == ""
    assert main(["predict", folder, "a film of joy"]) == 0
    assert "note: this model was made for pairs of texts, and these are single" in capsys.readouterr().err


def test_zero_shot_needs_an_entailment_model(folder, capsys):
    assert main(["explain", folder, "a film", "--zero-shot", "sports"]) == 1
    assert "zero-shot needs a model with a class entailment, and this one has negative" in capsys.readouterr().err
    assert main(["explain", folder, "a film", "--zero-shot", "sports", "--text-pair", "b"]) == 1
    assert "leave --text-pair and --target out" in capsys.readouterr().err
