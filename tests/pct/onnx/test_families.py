"""Graphs of the families of the transformers library against torch; the reason where there is none."""

import re

import numpy as np
import pytest

import pct
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from pct.saliency import make_saliency
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_a_graph_that_agrees_with_torch_or_a_reason(name, tmp_path):
    louder = {"initializer_factor": 3.0} if name == "T5" else {}  # else its graph differs too little to be refused
    clf = pct.wrap(classifier(name, **louder), tokenizer(name), name, max_length=48)
    if FAMILIES[name].no_graph:
        with pytest.raises(ValueError, match=r"differs from torch|cannot be written"):
            export(clf, tmp_path / "exported")
        assert not (tmp_path / "exported").exists()
        return
    export(clf, tmp_path / "exported")
    predictor = OnnxPredictor.load(tmp_path / "exported", threads=1)
    np.testing.assert_allclose(predictor.predict(TEXTS), clf.predict(TEXTS), atol=1e-4)
    for ours, theirs in zip(predictor.saliency(TEXTS), clf.saliency(TEXTS), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * max(1, theirs.max()))
    saliency = make_saliency("frozen_grad_x_input", clf.settings)
    try:
        saliency.check(clf)
    except ValueError as problem:
        with pytest.raises(ValueError, match=re.escape(str(problem))):
            saliency.check(predictor)
        return
    frozen = [model.saliency(TEXTS, by="frozen_grad_x_input") for model in (predictor, clf)]
    for ours, theirs in zip(*frozen, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1, np.abs(theirs).max()))
