"""Exported graphs of pair classifiers: transformers' own logits, torch's saliency, token types included."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.onnx.export import export
from pct.onnx.predictor import CONFIG, OnnxPredictor
from pct.text.words import split_all
from tests.pct.exported import exported, exported_pairs
from tests.pct.models.families import classifier, tokenizer
from tests.pct.models.test_pairs import PAIRS, by_transformers

TYPED = "BERT"
SLOW = [pytest.param(x, marks=pytest.mark.slow) for x in ("ELECTRA", "ALBERT", "RoBERTa", "XLNet", "BART", "GPT-2")]


@pytest.mark.parametrize("name", [TYPED, *SLOW])
def test_a_graph_has_transformers_logits_and_torchs_saliency_of_pairs(name, tmp_path):
    layers = {"num_hidden_layers": 1} if name == TYPED else {}
    clf = pct.wrap(classifier(name, **layers), tokenizer(name), name)
    folder = exported_pairs() if name == TYPED else export(clf, tmp_path / "exported", modified=[]).folder
    predictor = OnnxPredictor.load(folder, threads=1)
    tokens = predictor.tokens(split_all(PAIRS))
    wanted = by_transformers(name, PAIRS, **layers)
    for rows in (np.arange(len(PAIRS)), *([i] for i in range(len(PAIRS)))):
        ids, words = tokens.rows(np.array(rows))
        logits = predictor.run_forward(ids, words > -2)["logits"]
        np.testing.assert_allclose(logits, wanted[rows], atol=1e-5 * max(1, np.abs(wanted).max()))
    for by in ("l2", "grad_x_input", "integrated_gradients"):
        for ours, theirs in zip(predictor.saliency(PAIRS, by=by), clf.saliency(PAIRS, by=by), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-3 * max(1, np.abs(theirs).max()))


def test_a_folder_of_an_older_version_reads_single_texts_alone(tmp_path):
    folder = Path(shutil.copytree(exported_pairs(), tmp_path / "old"))
    about = json.loads((folder / CONFIG).read_text())
    before = OnnxPredictor.load(folder).predict(["fine"])
    (folder / CONFIG).write_text(json.dumps({k: v for k, v in about.items() if k != "pairs"}))
    old = OnnxPredictor.load(folder)
    np.testing.assert_array_equal(old.predict(["fine"]), before)
    with pytest.raises(ValueError, match="this exported model does not read pairs of texts; export"):
        old.predict([("fine", "film")])


def test_an_exported_word_model_refuses_pairs():
    with pytest.raises(ValueError, match="textcnn and lstm read one text, not a pair"):
        OnnxPredictor.load(exported("textcnn")).predict([("a", "b")])
