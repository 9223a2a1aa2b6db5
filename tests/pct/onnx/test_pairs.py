"""Exported graphs of pair classifiers: transformers' own logits, torch's saliency, token types included."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pct
from pct.onnx.export import export
from pct.onnx.predictor import CONFIG, OnnxPredictor
from pct.text.words import split_all
from tests.pct.models.families import classifier, tokenizer
from tests.pct.models.test_pairs import PAIRS, by_transformers
from tests.pct.small import small_classifier

TYPED = "BERT"
SLOW = [pytest.param(x, marks=pytest.mark.slow) for x in ("ELECTRA", "ALBERT", "RoBERTa", "XLNet", "BART", "GPT-2")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of an exported pair classifier by family; each is exported once."""
    folders = {}

    def of(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name) / "exported"
            export(pct.wrap(classifier(name), tokenizer(name), name, max_length=48), folders[name], modified=[])
        return folders[name]

    return of


@pytest.mark.parametrize("name", [TYPED, *SLOW])
def test_a_graph_has_transformers_logits_and_torchs_saliency_of_pairs(name, exported):
    clf = pct.wrap(classifier(name), tokenizer(name), name, max_length=48)
    predictor = OnnxPredictor.load(exported(name), threads=1)
    tokens = predictor.tokens(split_all(PAIRS))
    wanted = by_transformers(name, PAIRS, max_length=48)
    for rows in (np.arange(len(PAIRS)), *([i] for i in range(len(PAIRS)))):
        ids, words = tokens.rows(np.array(rows))
        logits = predictor.run_forward(ids, words > -2)["logits"]
        np.testing.assert_allclose(logits, wanted[rows], atol=1e-5 * max(1, np.abs(wanted).max()))
    for by in ("l2", "grad_x_input", "integrated_gradients"):
        for ours, theirs in zip(predictor.saliency(PAIRS, by=by), clf.saliency(PAIRS, by=by), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-3 * max(1, np.abs(theirs).max()))


def test_a_folder_of_an_older_version_reads_single_texts_alone(exported, tmp_path):
    folder = exported(TYPED)
    about = json.loads((folder / CONFIG).read_text())
    before = OnnxPredictor.load(folder).predict(["fine"])
    try:
        (folder / CONFIG).write_text(json.dumps({k: v for k, v in about.items() if k != "pairs"}))
        old = OnnxPredictor.load(folder)
    finally:
        (folder / CONFIG).write_text(json.dumps(about))
    np.testing.assert_array_equal(old.predict(["fine"]), before)
    with pytest.raises(ValueError, match="this exported model does not read pairs of texts; export"):
        old.predict([("fine", "film")])


def test_an_exported_word_model_refuses_pairs(tmp_path):
    export(small_classifier("textcnn"), tmp_path / "model")
    with pytest.raises(ValueError, match="textcnn and lstm read one text, not a pair"):
        OnnxPredictor.load(tmp_path / "model").predict([("a", "b")])
