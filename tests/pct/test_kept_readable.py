"""What version 0.1.0 wrote stays readable: run folders and exported folders, each with the numbers of that day."""

import json
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import COMPANIONS
from pct.opening import open_model
from pct.training.runs import load_run

KEPT = Path(__file__).parents[1] / "fixtures" / "v0.1.0"
TRUTH = json.loads((KEPT / "truth.json").read_text(encoding="utf-8"))
MODELS = ("textcnn", "lstm", "bert")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["run", "exported"])
def test_a_folder_of_version_0_1_0_predicts_and_explains_as_it_did(model, kind):
    predictor, then = open_model(str(KEPT / f"{kind}-{model}"), "cpu"), TRUTH[f"run-{model}"]
    assert np.allclose(predictor.predict(TRUTH["texts"]), then["probabilities"], atol=1e-5)
    for now, before in zip(predictor.saliency(TRUTH["texts"]), then["saliency"], strict=True):
        assert np.allclose(now, before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_a_run_of_version_0_1_0_is_read_whole(model):
    run = load_run(KEPT / f"run-{model}")
    assert run.settings.method == "pct"
    assert run.test.metrics == pytest.approx(TRUTH[f"run-{model}"]["metrics"])
    assert {"comp-suff", "ur-ir", "i_var-u_var"} == set(run.test.gaps)
    assert len(run.test.columns["text"]) == 48
    assert len(run.history) == run.settings.epochs


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_version_0_1_0_is_measured_as_it_was(model):
    run = load_run(KEPT / f"run-{model}")
    texts, labels = list(run.test.columns["text"]), [int(x) for x in run.test.columns["label"]]
    again = pct.evaluate(pct.load(KEPT / f"run-{model}", "cpu"), (texts, labels))
    both = again.metrics.keys() & run.test.metrics.keys()  # it knew no macro F1
    assert {*CORE_METRICS, *COMPANIONS} <= both
    for name in both:
        assert again.metrics[name] == pytest.approx(run.test.metrics[name], rel=1e-3, abs=1e-4), name
