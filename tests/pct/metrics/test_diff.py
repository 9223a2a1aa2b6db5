"""Two models on the same texts, by one call and by the command; their classes may have another order."""

import copy
import json

import numpy as np
import pytest
import torch

import pct
from pct import cli
from pct.classifier import Classifier
from pct.corpora.splits import Split
from pct.metrics.change import compare_reports
from tests.pct import toy
from tests.pct.several import several_classifier, several_rows
from tests.pct.toy import Scale
from tests.project import REPOSITORY

FIXTURES = REPOSITORY / "tests" / "fixtures" / "v0.1.0"
TEXTS = ["the good bad the slow superb", "fine dreadful the good slow", "bad bad the slow", "the superb good fine"]
LABELS = np.array([1, 0, 0, 1])
NAMES = ["positive", "negative", "negative", "positive"]
SPLIT = Split(TEXTS, LABELS)


class Turned(Scale):
    """Its classes have the other order."""

    def __init__(self, weights=None):
        super().__init__(weights)
        self.classes = self.classes[::-1]

    def forward(self, ids, mask):
        return super().forward(ids, mask)[:, ::-1].copy()


# no sum of them is zero, where the order of the classes would decide
WEIGHTS = {word: weight + 0.01 * i for i, (word, weight) in enumerate(toy.WEIGHTS.items(), 1)}
LOUDER = {word: 3 * weight for word, weight in WEIGHTS.items()}


def with_turned_classes(model):
    """The same classifier, with its last layer's rows in the other order."""
    turned = copy.deepcopy(model.model)
    with torch.no_grad():
        for values in (turned.dense.weight, turned.dense.bias):
            values.copy_(values.flip(0))
    return Classifier(turned, model.tokenizer, model.classes[::-1], model.settings)


def test_texts_of_an_iterator_are_measured_by_both():
    rows = [{"text": text, "label": name} for text, name in zip(TEXTS, NAMES, strict=True)]
    change = pct.diff(Scale(), Scale(LOUDER), iter(rows))
    assert change.to_dict() == pct.diff(Scale(), Scale(LOUDER), SPLIT).to_dict()


def test_without_accuracy_nothing_is_called_improved():
    change = pct.diff(Scale(), Scale(LOUDER), SPLIT, metrics=["comp", "suff", "margin"])
    assert "accuracy was not measured" in change.verdict


def test_it_is_the_change_of_two_evaluations():
    before, after = Scale(), Scale(LOUDER)
    change = pct.diff(before, after, SPLIT, removal="delete")
    names = ["acc", "macro_f1", *(name for name in change.before.metrics if name not in ("acc", "macro_f1"))]
    expected = compare_reports(*(pct.evaluate(one, SPLIT, metrics=names) for one in (before, after)))
    assert change.to_dict() == expected.to_dict()
    assert change.differences["comp"].value != 0
    assert {"margin", "win"} <= set(change.differences)


@pytest.mark.parametrize("data", [SPLIT, {"text": TEXTS, "label": NAMES}])
def test_classes_in_another_order_are_the_same_classes(data):
    expected = pct.diff(Scale(WEIGHTS), Scale(LOUDER), data)
    assert pct.diff(Scale(WEIGHTS), Turned(LOUDER), data).to_dict() == expected.to_dict()
    same = pct.diff(Scale(WEIGHTS), Turned(WEIGHTS), data)
    assert (same.changed, same.repaired, same.broken) == (0, 0, 0)
    assert all(x.value == 0 for x in same.differences.values() if np.isfinite(x.value))


def test_several_labels_in_another_order_are_the_same_labels():
    model = several_classifier("textcnn")
    rows = [{"text": row["text"], "label": model.classes[: len(row["label"])]} for row in several_rows(20)]
    change = pct.diff(model, with_turned_classes(model), rows)
    assert change.changed == 0
    assert change.before.texts == 20
    for name, x in change.differences.items():
        assert x.value == pytest.approx(0, abs=1e-6), name


def test_models_of_other_classes_or_tasks_are_refused():
    other = Scale()
    other.classes = ["negative", "neutral"]
    with pytest.raises(ValueError, match="different classes: negative, positive, and negative, neutral"):
        pct.diff(Scale(), other, SPLIT)
    with pytest.raises(ValueError, match="has one class for each text, the second several labels"):
        pct.diff(Scale(), several_classifier("textcnn"), SPLIT)


def test_the_command_prints_the_change_and_its_exit_code_says_whether_it_is_one_for_the_better(tmp_path, capsys):
    data = tmp_path / "reviews.csv"
    data.write_text("\n".join(["text,label", *map(",".join, zip(TEXTS, NAMES, strict=True)), ",positive"]))
    before, after = str(FIXTURES / "run-textcnn"), str(FIXTURES / "exported-lstm")
    command = ["diff", before, after, "--data", str(data), "--removal", "mask", "--on-bad-row", "skip"]
    assert cli.main([*command, "--json"]) == 3
    printed = json.loads(capsys.readouterr().out)
    assert printed["texts"] == 4
    rows = {"text": TEXTS, "label": NAMES}
    assert printed["metrics"]["acc"]["before"] == pct.evaluate(pct.load(before, "cpu"), rows, removal="mask").acc
    assert not printed["improved"]
    assert printed["data"] == {"rows_skipped": {"no text": 1}, "labels_as_indices": 0}
    assert cli.main(command) == 3
    table = capsys.readouterr().out
    assert table.startswith(f"{before} before, {after} after, on {data}\nmetric ")
    assert "not improved: " in table
    assert cli.main([*command[:3], "--data", str(tmp_path / "none.csv")]) == 1
