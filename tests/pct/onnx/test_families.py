"""Graphs of the families of the transformers library against torch; the reason where there is none."""

from __future__ import annotations

import numpy as np
import pytest

import pct
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_a_graph_that_agrees_with_torch_or_a_reason(name, tmp_path):
    made = pct.wrap(classifier(name), tokenizer(name), name, max_length=48)
    if FAMILIES[name].no_graph:
        with pytest.raises(ValueError, match=r"differs from torch|cannot be written"):
            export(made, tmp_path / "exported")
        assert not (tmp_path / "exported").exists()
        return
    export(made, tmp_path / "exported")
    predictor = OnnxPredictor.load(tmp_path / "exported", threads=1)
    np.testing.assert_allclose(predictor.predict(TEXTS), made.predict(TEXTS), atol=1e-4)
    for ours, theirs in zip(predictor.saliency(TEXTS), made.saliency(TEXTS), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * max(1, theirs.max()))
