"""MLflow's model and evaluator on pairs of texts."""

import mlflow
import numpy as np
import pandas as pd
import pytest

import pct
from pct.corpora.splits import Split
from pct.metrics.evaluation import evaluate
from pipelines.logged_model import register_classifier
from pipelines.mlflow_runs import start_run
from tests.pct.exported import pair_classifier, traced_once

PAIRS = [("a brilliant film", "it is fine"), ("a bore", "it isn't bad"), ("great fun", "dull"), ("dull", "a bore")]
LABELS = [0, 1, 2, 1]


def test_a_registered_classifier_reads_pairs_and_is_measured_on_them(monkeypatch):
    monkeypatch.setattr("pct.onnx.export.DEFAULT_MODIFIED", ())
    clf = pair_classifier()
    texts = Split(PAIRS, np.array(LABELS))
    wanted = evaluate(clf, texts)
    with traced_once():
        registered = register_classifier(start_run("pairs", "pairs"), "pairs", clf, texts, wanted)
    model = mlflow.pyfunc.load_model(registered.uri)
    frame = pd.DataFrame({"text": [a for a, _ in PAIRS], "text_pair": [b for _, b in PAIRS]})
    answered = model.predict(frame)
    assert answered["confidence"].tolist() == pytest.approx([p.confidence for p in pct.predict(clf, PAIRS)], abs=1e-5)
    single = model.predict(frame[["text"]])
    assert single["confidence"].tolist() == pytest.approx(clf.predict(frame["text"]).max(1).tolist(), abs=1e-5)
    with mlflow.start_run():
        result = mlflow.models.evaluate(
            registered.uri, frame.assign(label=[clf.classes[i] for i in LABELS]), targets="label",
            model_type="classifier", evaluators="pct", evaluator_config={"remove": "second"},
        )  # fmt: skip
    second = pct.evaluate(clf, texts, remove="second")
    assert result.metrics["evaluation/comp"] == pytest.approx(second.comp, abs=1e-5)
    assert second.comp != wanted.comp
