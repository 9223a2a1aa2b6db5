"""Exported models against torch: numbers, metrics, explanations; what an export refuses and what it leaves behind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import pct
from pct.classifier import Classifier
from pct.corpora.splits import Split
from pct.explaining.predictor import Predictor
from pct.models import Features, TextModel
from pct.models.textcnn import TextCNN
from pct.onnx import check as onnx_check
from pct.onnx import export as onnx_export
from pct.onnx.check import sample_texts, spearman
from pct.onnx.export import export
from pct.onnx.graphs import build_graphs
from pct.onnx.predictor import PLAIN, OnnxPredictor
from pct.saliency.gradients import saliency
from pct.settings import Settings
from pct.text.vocabulary import Vocabulary
from tests.pct.exported import MODELS, classifier, exported, traced_once
from tests.pct.small import LEXICON, small_classifier, small_texts

ROOT = Path(__file__).parents[3]
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


@pytest.fixture(params=MODELS)
def pair(request):
    """A classifier by torch, and the same by ONNX Runtime."""
    return classifier(request.param), OnnxPredictor.load(exported(request.param), threads=1)


@pytest.fixture
def folder(tmp_path):
    """A copy of an exported TextCNN, to be damaged."""
    return Path(shutil.copytree(exported("textcnn"), tmp_path / "model"))


# the same numbers


def test_an_exported_model_is_a_predictor_with_the_same_probabilities(pair):
    by_torch, by_onnx = pair
    texts = small_texts(40, seed=1)
    assert isinstance(by_onnx, Predictor)
    assert by_onnx.classes == by_torch.classes
    np.testing.assert_allclose(by_onnx.predict(texts), by_torch.predict(texts), **CLOSE)


@pytest.mark.parametrize("kind", PLAIN)
def test_each_saliency_is_torchs_for_the_predicted_and_for_a_given_class(pair, kind):
    by_torch, by_onnx = pair
    texts = small_texts(30, seed=2)
    ids, words = by_torch.tokens([t.split() for t in texts]).rows(np.arange(30))
    for classes in (None, np.arange(30) % 3):
        chosen = None if classes is None else torch.from_numpy(classes)
        _, expected = saliency(by_torch.model, torch.from_numpy(ids), torch.from_numpy(words), chosen, kind)
        probabilities, found = by_onnx.with_saliency(kind).explain_rows(ids, words, classes)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
        np.testing.assert_allclose(probabilities, by_torch.predict(texts), **CLOSE)


@pytest.mark.parametrize("model", ["textcnn", "lstm", "bert"])
def test_integrated_gradients_come_from_the_same_graph(model):
    by_torch, by_onnx = classifier(model), OnnxPredictor.load(exported(model), threads=1)
    texts = small_texts(8, seed=3)
    other = Classifier(
        by_torch.model, by_torch.tokenizer, by_torch.classes, by_torch.settings.replace(saliency="integrated_gradients")
    )
    for ours, theirs in zip(
        by_onnx.with_saliency("integrated_gradients").saliency(texts), other.saliency(texts), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("of", ["log_odds", "probability", "logit"])
@pytest.mark.parametrize("family", ["textcnn", "lstm"])
def test_what_is_differentiated_is_the_settings_choice(family, of, tmp_path):
    by_torch = small_classifier(family, classes=4, saliency_of=of, max_length=16)
    by_onnx = OnnxPredictor.load(export(by_torch, tmp_path / of).folder, threads=1)
    texts = small_texts(20, seed=4)
    for ours, theirs in zip(by_onnx.saliency(texts), by_torch.saliency(texts), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_word_of_several_sub_words_has_one_saliency():
    by_torch, by_onnx = classifier("bert"), OnnxPredictor.load(exported("bert"), threads=1)
    texts = ["unfathomable ridiculousness ethereal leigh's", "unfathomable"]
    ours, theirs = by_onnx.saliency(texts), by_torch.saliency(texts)
    assert [len(x) for x in ours] == [4, 1]
    assert (by_onnx.tokens([t.split() for t in texts]).lengths > [6, 3]).all()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_padding_changes_nothing(pair):
    _, by_onnx = pair
    texts = small_texts(12, seed=5)
    tokens = by_onnx.tokens([t.split() for t in texts])
    ids, words = tokens.rows(np.arange(len(texts)))
    ids, words = np.pad(ids, ((0, 0), (0, 5))), np.pad(words, ((0, 0), (0, 5)), constant_values=-2)
    probabilities, scores = by_onnx.explain_rows(ids, words, None)
    for i, n in enumerate(tokens.counts):
        alone, its = by_onnx.explain_rows(*tokens.rows(np.array([i])), None)
        np.testing.assert_allclose(probabilities[i], alone[0], **CLOSE)
        np.testing.assert_allclose(scores[i, :n], its[0], rtol=1e-4, atol=1e-5)
        assert (scores[i, n:] == 0).all()


def test_any_shape_runs_from_one_word_on(pair):
    by_torch, by_onnx = pair
    for count, longest in ((1, 1), (1, 4), (2, 1), (3, 11), (64, 7)):
        texts = [" ".join(LEXICON[: 1 + i % longest]) for i in range(count)]
        np.testing.assert_allclose(by_onnx.predict(texts), by_torch.predict(texts), **CLOSE)


def test_no_texts_give_no_rows(pair):
    _, by_onnx = pair
    assert by_onnx.predict([]).shape == (0, 3)
    assert by_onnx.saliency([]) == []
    none = np.zeros((0, 4), np.int64)
    probabilities, scores = by_onnx.explain_rows(none, none, None)
    assert (probabilities.shape, len(scores)) == ((0, 3), 0)


def test_a_repeated_word_shares_its_saliency_as_in_torch():
    by_torch, by_onnx = classifier("textcnn"), OnnxPredictor.load(exported("textcnn"), threads=1)
    texts = ["film " * 9, "the film the film the film", "work"]
    for ours, theirs in zip(by_onnx.saliency(texts), by_torch.saliency(texts), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


# the same measurements


@pytest.mark.parametrize("order", ["static", "recomputed"])
def test_the_eight_metrics_equal_torchs(pair, order):
    by_torch, by_onnx = pair
    count = 24 if order == "static" else 10
    data = (small_texts(count, seed=6, longest=9), np.arange(count) % 3)
    ours, theirs = (pct.evaluate(x, data, 0.2, 0.2, order) for x in (by_onnx, by_torch))
    for name, value in theirs.metrics.items():
        assert ours.metrics[name] == pytest.approx(value, rel=1e-4, abs=1e-5, nan_ok=True), name


def test_every_control_of_each_text_equals_torchs(pair):
    data = (small_texts(10, seed=8, longest=9), [0] * 10)
    ours, theirs = (pct.evaluate(x, data, 0.2, 0.2, metrics=["all"]) for x in pair)
    assert {"margin", "win", "naopc_comp", "tau_loo", "separation"} <= set(theirs.columns)
    for name, column in theirs.columns.items():
        np.testing.assert_allclose(ours.columns[name], column, rtol=0, atol=1e-5, err_msg=name)


def test_explanations_equal_torchs(pair):
    texts = small_texts(6, seed=7)
    explained = [pct.explain(model, texts, saliency="l2") for model in pair]
    for theirs, ours in zip(*explained, strict=True):
        assert (ours.words, ours.label, ours.label_name) == (theirs.words, theirs.label, theirs.label_name)
        for side in ("important", "unimportant"):
            a, b = getattr(ours, side), getattr(theirs, side)
            assert (a.removed, a.flips_at) == (b.removed, b.flips_at)
            np.testing.assert_allclose(a.confidences, b.confidences, rtol=1e-4)


WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "datasets", "onnx", "safetensors", "pandas"):
    sys.modules[name] = None  # importing it raises
import pct
from pct.onnx.predictor import OnnxPredictor
model = OnnxPredictor.load(sys.argv[1], threads=1)
texts = ["the film is a work of astonishing delicacy", "goofy", "tired goofy script"]
print(model.predict(texts).tolist())
print([x.tolist() for x in model.saliency(texts)])
print([e.important.removed for e in pct.explain(model, texts)])
print(pct.evaluate(model, (texts, [0, 1, 2])).to_json())
for name in [*model.gradient_saliencies, "occlusion", "lime", "random"]:
    assert model.with_saliency(name).saliency(texts)[0].any(), name
loaded = {name.split(".")[0] for name, module in sys.modules.items() if module is not None}
assert not loaded & {"torch", "transformers", "onnx", "sklearn", "scipy"}, loaded
"""


def test_an_exported_model_predicts_explains_and_is_evaluated_without_torch(pair):
    by_torch, _ = pair
    place = exported(by_torch.settings.model)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(place)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    texts = ["the film is a work of astonishing delicacy", "goofy", "tired goofy script"]
    found = json.loads(done.stdout.splitlines()[0])
    np.testing.assert_allclose(found, by_torch.predict(texts), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["distilbert", "roberta", "electra", "albert"])
def test_other_encoders_are_exported_too(model):
    by_torch, by_onnx = classifier(model), OnnxPredictor.load(exported(model), threads=1)
    texts = small_texts(20, seed=8)
    np.testing.assert_allclose(by_onnx.predict(texts), by_torch.predict(texts), **CLOSE)
    for ours, theirs in zip(by_onnx.saliency(texts), by_torch.saliency(texts), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


# what is written


def test_the_folder_holds_graphs_weights_words_and_figures_and_no_pickle(pair):
    by_torch, by_onnx = pair
    place = exported(by_torch.settings.model)
    names = {str(f.relative_to(place)) for f in place.rglob("*") if f.is_file()}
    graphs = {"model.onnx", "forward.onnx", "weights.bin", "classifier.json"}
    vocabulary = {"vocabulary.json"}
    tokenizer = {"tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"}
    modified = {"frozen.onnx", "gim.onnx"} if by_torch.settings.model == "bert" else set()
    assert names == graphs | modified | (tokenizer if by_torch.settings.model == "bert" else vocabulary)
    figures = by_onnx.about["agreement"]
    assert figures["texts"] == 256
    for name in ("logits", "representation", "forward_logits", *(f"saliency_{k}" for k in PLAIN)):
        assert 0 <= figures[name]["difference"] <= 1e-4 * max(1, figures[name]["largest"])
        assert figures[name]["largest"] > 0


def test_all_graphs_are_valid_and_share_one_file_of_weights(pair):
    by_torch, _ = pair
    place = exported(by_torch.settings.model)
    for name in sorted(path.name for path in place.glob("*.onnx")):
        onnx.checker.check_model(str(place / name), full_check=True)
        shapes = [[d.dim_param for d in i.type.tensor_type.shape.dim] for i in onnx.load(place / name).graph.input[:2]]
        assert shapes == [["batch", "length"]] * 2
        assert b"stack_trace" not in (place / name).read_bytes()  # no paths of the machine that exported it
    parameters = sum(p.numel() for p in by_torch.model.parameters()) * 4
    # a family may keep a matrix of its own for the way back, but none twice for two graphs, and no table twice
    assert (place / "weights.bin").stat().st_size < 1.6 * parameters + 60 * 4096


def test_exporting_leaves_the_classifier_as_it_was(pair):
    by_torch, _ = pair
    exported(by_torch.settings.model)
    assert not by_torch.model.training
    assert all(p.requires_grad and p.grad is None for p in by_torch.model.parameters())
    if hasattr(by_torch.model, "encoder"):
        assert by_torch.model.encoder.config._attn_implementation == "sdpa"


def test_exporting_again_gives_the_same_bytes(tmp_path):
    again = export(classifier("lstm"), tmp_path / "again").folder
    for name in ("model.onnx", "forward.onnx", "weights.bin"):
        assert (again / name).read_bytes() == (exported("lstm") / name).read_bytes()


def test_an_exported_model_is_replaced_and_nothing_else_is(tmp_path):
    first = export(small_classifier("textcnn", seed=1, max_length=8), tmp_path / "model").folder
    before = (first / "weights.bin").read_bytes()
    export(small_classifier("textcnn", seed=2, max_length=8), tmp_path / "model")
    assert (first / "weights.bin").read_bytes() != before
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"papers holds something else and no model.onnx; give a new folder"):
        export(classifier("textcnn"), tmp_path / "papers")
    with pytest.raises(FileExistsError, match=r"thesis.txt is a file; give a folder"):
        export(classifier("textcnn"), tmp_path / "papers" / "thesis.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "papers"]


def _with_other_weights(by_how_much):
    def build(model, *rest):
        graphs = build_graphs(model, *rest)
        for graph in graphs:
            for tensor in graph.graph.initializer:
                if tensor.name == "dense":
                    changed = onnx.numpy_helper.to_array(tensor) + np.float32(by_how_much)
                    tensor.raw_data = changed.tobytes()
        return graphs

    return build


@pytest.mark.parametrize("family", ["textcnn", "lstm"])
def test_a_graph_that_differs_is_refused_and_leaves_nothing_behind(family, tmp_path, monkeypatch):
    import pct.onnx.graphs

    kept = export(classifier(family), tmp_path / "kept").folder
    before = (kept / "weights.bin").read_bytes()
    monkeypatch.setattr(pct.onnx.graphs, "build_graphs", _with_other_weights(0.01))
    for name in ("new", "kept"):
        with pytest.raises(ValueError, match=r"differs from torch's by .* nothing was written"):
            export(classifier(family), tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept"]
    assert (kept / "weights.bin").read_bytes() == before


def test_a_graph_that_gives_nan_is_refused(tmp_path, monkeypatch):
    import pct.onnx.graphs

    monkeypatch.setattr(pct.onnx.graphs, "build_graphs", _with_other_weights(np.nan))
    with pytest.raises(ValueError, match=r"differs from torch's by nan"):
        export(classifier("lstm"), tmp_path / "new")


def test_other_tokens_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Vocabulary, "load", classmethod(lambda cls, folder: cls([*LEXICON[1:], LEXICON[0]])))
    with pytest.raises(ValueError, match="the saved tokenizer gives other ids"):
        export(classifier("textcnn"), tmp_path / "new")


def test_windows_that_are_equal_but_for_rounding_are_no_reason_to_refuse(tmp_path, monkeypatch):
    """Two words with the same embedding but for the last bits: the first wins the maximum in torch, the second in the
    graph."""
    import pct.onnx.graphs

    torch.manual_seed(0)
    model = TextCNN(6, 2, width=4, windows=(1,), filters=1)
    with torch.no_grad():
        model.convolutions[0].weight.fill_(1.0)
        model.convolutions[0].bias.zero_()
        model.embedding.weight[2:] = torch.tensor([1.0, 1.0, 0.5, 0.2])[:, None]

    def lean(to):
        with torch.no_grad():
            model.embedding.weight[2] = 1 + 5e-7 * to

    def build(*arguments):
        lean(-1)
        made = build_graphs(*arguments)
        lean(1)
        return made

    lean(1)
    twins = Classifier(model, Vocabulary(["first", "second", "third", "fourth"]), ["a", "b"], Settings(max_length=8))
    texts = [["first", "third", "second"], ["second", "third", "first"], *[["third", "fourth", "first"]] * 60]
    monkeypatch.setattr(pct.onnx.graphs, "build_graphs", build)
    monkeypatch.setattr(onnx_check, "sample_texts", lambda classifier: texts)
    assert export(twins, tmp_path / "model").agreement["nudged"] == 2
    for name, value in {"PERTURBATIONS": 0, "MAX_PERTURBED_SHARE": 0.01}.items():
        with monkeypatch.context() as stricter:
            stricter.setattr(onnx_check, name, value)
            with pytest.raises(ValueError, match="the graph's saliency_l2 differs"):
                export(twins, tmp_path / "other")


def test_the_texts_of_the_check_are_of_every_length_and_the_same_each_time(pair):
    by_torch, _ = pair
    texts = sample_texts(by_torch)
    sizes = {len(t) for t in texts}
    assert len(texts) == 256
    assert {1, 2} <= sizes
    assert max(sizes) > by_torch.settings.max_length
    assert texts == sample_texts(by_torch)
    known = by_torch.tokens(texts).ids
    assert len(np.unique(known)) > 15


@pytest.mark.parametrize("max_length", [300, 2**20])
def test_a_model_of_long_texts_is_compared_on_few_of_them(max_length):
    classifier = small_classifier("textcnn", max_length=max_length)
    lengths = [len(text) for text in sample_texts(classifier)]
    assert sorted(lengths)[-4:] == [min(max_length, 512) + 8] * 4
    assert sorted(lengths)[-5] <= 64 + 8


def test_a_model_without_a_graph_is_named(tmp_path):
    class Mean(TextModel):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(9, 4)
            self.dropout, self.dense = torch.nn.Dropout(0), torch.nn.Linear(4, 3)

        def embed(self, ids):
            return self.table(ids)

        def features(self, embeddings, mask):
            return Features(embeddings.mean(1), embeddings.mean(1))

        def config(self):
            return {"family": "mean"}

    small = classifier("textcnn")
    with pytest.raises(ValueError, match="no ONNX graph for a Mean; export textcnn, lstm or a transformer"):
        export(Classifier(Mean(), small.tokenizer, small.classes, small.settings), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_table_of_embeddings_that_scales_them_is_exported_as_it_answers(tmp_path):
    class Scaled(torch.nn.Embedding):
        def forward(self, ids):
            return 2 * super().forward(ids)

    small = small_classifier("transformer", layers=1, max_length=24)
    encoder = small.model.encoder
    encoder.set_input_embeddings(Scaled(*encoder.get_input_embeddings().weight.shape))
    with traced_once():
        exported = OnnxPredictor.load(export(small, tmp_path / "new", modified=()).folder)
    texts = small_texts(6)
    np.testing.assert_allclose(exported.predict(texts), small.predict(texts), atol=1e-4)


def test_an_encoder_whose_embeddings_are_no_table_is_named(tmp_path):
    class Hashed(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.width = width

        def forward(self, ids):
            return torch.sin(ids[..., None] * torch.arange(1.0, self.width + 1))

    small = small_classifier("transformer", max_length=8)
    encoder = small.model.encoder
    encoder.set_input_embeddings(Hashed(encoder.get_input_embeddings().weight.shape[1]))
    with pytest.raises(ValueError, match="BertModel has a Hashed for its word embeddings"):
        export(small, tmp_path / "new")


def test_exporting_without_onnx_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pct.onnx.graphs", None)
    with pytest.raises(ImportError, match=r"pip install 'pct-explain\[export\]'"):
        export(classifier("textcnn"), tmp_path / "new")


# int8


@pytest.fixture(scope="module")
def rounded(tmp_path_factory):
    """A TextCNN in int8, its cost measured on texts whose labels are what it predicts."""
    by_torch = classifier("textcnn")
    texts = small_texts(60, seed=9)
    data = Split(texts, by_torch.predict(texts).argmax(1))
    return export(by_torch, tmp_path_factory.mktemp("int8") / "model", quantize=True, data=data)


def test_int8_states_what_it_costs(rounded):
    about = json.loads((rounded.folder / "classifier.json").read_text())
    assert about["weights"] == "int8"
    assert about["int8"] == rounded.int8
    assert rounded.int8["texts"] == 60
    assert rounded.int8["accuracy_float32"] == 1.0
    assert rounded.int8["accuracy_int8"] == rounded.int8["same_class"]
    assert 0.5 < rounded.int8["same_class"] <= 1
    for kind in PLAIN:
        assert 0.5 < rounded.int8["rank_agreement"][kind] < 1
    assert "accuracy_int8" in rounded.table()
    assert "int8" not in OnnxPredictor.load(exported("textcnn")).about


def test_int8_weights_are_int8_and_agree_with_the_figures(rounded):
    tensors = onnx.load(rounded.folder / "forward.onnx", load_external_data=False).graph.initializer
    assert any(t.data_type == onnx.TensorProto.INT8 for t in tensors)
    by_torch, by_onnx = classifier("textcnn"), OnnxPredictor.load(rounded.folder, threads=1)
    texts = small_texts(60, seed=9)
    same = by_onnx.predict(texts).argmax(1) == by_torch.predict(texts).argmax(1)
    assert same.mean() == pytest.approx(rounded.int8["same_class"])
    before = OnnxPredictor.load(exported("textcnn"), threads=1)
    pairs = zip(by_onnx.saliency(texts, by_torch.predict(texts).argmax(1)), before.saliency(texts), strict=True)
    ranks = [spearman(a, b) for a, b in pairs]
    assert np.nanmean(ranks) == pytest.approx(rounded.int8["rank_agreement"]["l2"], abs=1e-6)


def test_int8_needs_texts_with_labels(tmp_path, monkeypatch):
    def missing(settings):
        raise FileNotFoundError("corpus mr is not here")

    monkeypatch.setattr(onnx_export, "load_splits", missing)
    with pytest.raises(ValueError, match=r"int8 is measured on labelled texts.*corpus mr is not here.*give texts"):
        export(classifier("textcnn"), tmp_path / "new", quantize=True)
    assert not list(tmp_path.iterdir())


def test_rank_agreement_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 6, (2, 12)).astype(float)  # many ties
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(spearman(np.ones(5), rng.random(5)))
    assert np.isnan(spearman(rng.random(2), rng.random(2)))


# loading


def test_a_folder_without_an_exported_model_is_named_with_the_remedy(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"classifier.json is missing; create it with `pct export MODEL"):
        OnnxPredictor.load(tmp_path)
    classifier("textcnn").save(tmp_path / "torch")
    with pytest.raises(FileNotFoundError, match=r"model\.onnx is missing"):
        OnnxPredictor.load(tmp_path / "torch")
    (folder / "weights.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights\.bin is missing"):
        OnnxPredictor.load(folder)


def test_a_damaged_folder_is_named(folder):
    def damaged(name, content):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"is damaged and cannot be loaded .* export the model again"):
            OnnxPredictor.load(folder)
        (folder / name).write_bytes(before)

    about = json.loads((folder / "classifier.json").read_text())
    damaged("classifier.json", b"{")
    damaged("classifier.json", json.dumps(about | {"format": 99}).encode())
    damaged("classifier.json", json.dumps({k: v for k, v in about.items() if k != "classes"}).encode())
    damaged("model.onnx", b"")
    damaged("forward.onnx", (folder / "forward.onnx").read_bytes()[:200])
    damaged("weights.bin", (folder / "weights.bin").read_bytes()[:100])
    damaged("vocabulary.json", b"[1")
    assert OnnxPredictor.load(folder).classes == about["classes"]


def test_a_number_of_threads_below_zero_is_named(folder):
    with pytest.raises(ValueError, match="threads must be >= 0, got -1"):
        OnnxPredictor.load(folder, threads=-1)


def test_an_unknown_saliency_is_named(folder):
    with pytest.raises(ValueError, match=r"saliency must be one of l2, l1, .* got 'beauty'"):
        OnnxPredictor.load(folder).with_saliency("beauty")


def test_onnx_runtimes_telemetry_is_off_before_it_is_imported() -> None:
    code = """
import os, sys
class Seen:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Seen())
import pct.onnx.predictor
try:
    pct.onnx.predictor.OnnxPredictor.load("nowhere")
except FileNotFoundError:
    pass
"""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "1"


def test_a_graph_says_what_goes_in_and_what_comes_out(tmp_path: Path) -> None:
    model = small_classifier("textcnn")
    export(model, tmp_path / "exported")
    for name in ("model.onnx", "forward.onnx"):
        graph = onnx.load(tmp_path / "exported" / name, load_external_data=False)
        said = {p.key: p.value for p in graph.metadata_props}
        assert json.loads(said["classes"]) == model.classes
        assert said["max_length"] == str(model.settings.max_length)
        assert "text classifier" in graph.doc_string
        for value in (*graph.graph.input, *graph.graph.output):
            described = value.doc_string.partition(")")[0].strip("(").split(",")
            assert len([x for x in described if x]) == len(value.type.tensor_type.shape.dim), value.name
