"""A classifier of the transformers library is served from its own folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.onnx.predictor import OnnxPredictor
from serving.answers import ExplainJob, PredictJob, read_texts
from serving.limits import Limits
from serving.model_sources import resolve
from serving.model_store import ServedModel
from serving.schema import ExplainRequest

pytest.importorskip("transformers")
from tests.pct.models.families import classifier, tokenizer

TEXTS = ["Despite its slow start, it's brilliant.", "dull"]


def test_a_folder_of_transformers_is_exported_and_answers_as_it_does(tmp_path: Path) -> None:
    classifier("BERT").save_pretrained(tmp_path / "model")
    tokenizer("BERT").save_pretrained(tmp_path / "model")
    entry = resolve(str(tmp_path / "model"), tmp_path / "cache")
    served = ServedModel(entry, OnnxPredictor.load(entry.folder, 1), (0, 0))
    texts = read_texts(TEXTS, Limits(), served.predictor.word_rule)
    found = PredictJob(served).run(texts, math.inf)
    expected = pct.load(tmp_path / "model", "cpu").predict(TEXTS)
    np.testing.assert_allclose([list(p["probabilities"].values()) for p in found], expected, atol=1e-4)
    assert list(found[0]["probabilities"]) == ["negative", "positive", "neither"]
    why = ExplainJob.of(ExplainRequest(texts=TEXTS), served, Limits()).run(texts, math.inf)[0]
    assert [w["word"] for w in why["words"]][-2:] == ["brilliant", "."]
    assert served.about()["method"]
