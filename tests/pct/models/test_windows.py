"""Texts beyond a model's length, read in windows: compared with transformers' own model, one window at a time."""

import json

import numpy as np
import pytest
import torch

import pct
from pct.metrics.evaluation import evaluate
from pct.models.base import Features
from pct.models.windows import Windows
from pct.settings import Settings
from pct.text.words import split_all
from tests.pct.models import families
from tests.pct.models.families import TEXTS, tokenizer

LENGTH, STRIDE = 14, 5
LONG = [" ".join(TEXTS[:2]), *TEXTS[1:]]
ROWS = [{"text": text, "label": ["negative", "positive", "neither"][i % 3]} for i, text in enumerate(LONG * 4)]
# a frame of two tokens, of one before or after, of none; left padding, token types, a decoder
READ = ["BERT", "RoBERTa", "DeBERTa-v2", "XLNet", "GPT-2", "Llama", "T5", "BART"]


def windowed(family="BERT", stride=STRIDE, **settings):
    settings = {"max_length": LENGTH, "windows": f"stride={stride}"} | settings
    return pct.wrap(families.classifier(family), tokenizer(family), **settings)


def logits(classifier, texts=LONG):
    tokens = classifier.tokens(split_all(texts))
    ids, words = tokens.rows(np.arange(len(tokens)))
    with torch.no_grad():
        return classifier.model(torch.from_numpy(ids), torch.from_numpy(words > -2)).logits.numpy()


def frame_of(words):
    """The special tokens before and after a text, by the tokenizer's own mask."""
    special = words("the film", return_special_tokens_mask=True)["special_tokens_mask"]
    inner = [i for i, x in enumerate(special) if not x]
    return inner[0], len(special) - 1 - inner[-1]


def slow_logits(family, text, stride=STRIDE):
    """The definition, window by window."""
    model, words = families.classifier(family), tokenizer(family)
    whole = words(text)
    before, after = frame_of(words)
    ids = whole["input_ids"]
    types = whole.get("token_type_ids", [0] * len(ids))
    inner = list(range(before, len(ids) - after))
    capacity = LENGTH - before - after
    seen, total, start = 0, torch.zeros(model.config.num_labels, dtype=torch.float64), 0
    while seen < len(inner):
        positions = [*range(before), *inner[start : start + capacity], *range(len(ids) - after, len(ids))]
        given = {"input_ids": torch.tensor([[ids[i] for i in positions]])}
        if "token_type_ids" in whole:
            given["token_type_ids"] = torch.tensor([[types[i] for i in positions]])
        end = min(start + capacity, len(inner))
        with torch.no_grad():
            total += (end - seen) * model(**given).logits[0].double()
        seen, start = end, start + stride
    return (total / len(inner)).numpy()


@pytest.mark.parametrize("family", READ)
def test_logits_are_the_mean_over_windows_weighted_by_new_tokens(family):
    expected = np.stack([slow_logits(family, text) for text in LONG])
    np.testing.assert_allclose(logits(windowed(family)), expected, rtol=1e-4, atol=1e-4)


def test_without_overlap_every_token_is_in_one_window():
    stride = LENGTH - 2
    expected = np.stack([slow_logits("BERT", text, stride) for text in LONG])
    np.testing.assert_allclose(logits(windowed(stride=stride)), expected, rtol=1e-4, atol=1e-4)


def test_texts_of_one_window_have_the_logits_of_the_model_without_windows_bit_for_bit():
    plain = windowed(windows="")
    np.testing.assert_array_equal(logits(windowed(), ["fine", "a fine film"]), logits(plain, ["fine", "a fine film"]))


def test_the_gradient_is_that_of_finite_differences():
    classifier = windowed()
    model = classifier.model.double()
    tokens = classifier.tokens(split_all(LONG[:1]))
    ids, words = tokens.rows(np.arange(1))
    mask = torch.from_numpy(words > -2)
    embeddings = model.embed(torch.from_numpy(ids)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.encode(embeddings, mask).logits[0, 1], embeddings)
    direction = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        ends = [model.encode(embeddings + e * direction, mask).logits[0, 1] for e in (1e-5, -1e-5)]
    assert float((gradient * direction).sum()) == pytest.approx(float(ends[0] - ends[1]) / 2e-5, rel=1e-5)
    assert (gradient.norm(dim=-1)[0] > 0).all()


def test_a_reduced_text_is_read_like_the_text_without_the_words():
    """Deleting words of WordPiece texts moves the windows, as tokenising the rest anew does."""
    classifier = windowed(saliency="occlusion")
    (explained,) = pct.explain(classifier, LONG[:1], max_steps=3)
    removed = set(explained.important.removed)
    rest = " ".join(word for i, word in enumerate(explained.words) if i not in removed)
    confidence = float(classifier.predict([rest])[0, explained.label])
    assert explained.important.confidences[3] == pytest.approx(confidence, abs=1e-5)


def test_every_word_of_a_long_text_has_a_saliency():
    (explained,) = pct.explain(windowed(saliency="l2"), LONG[:1])
    (cut,) = pct.explain(windowed(windows="", saliency="l2"), LONG[:1])
    assert (explained.truncated, cut.truncated > 0) == (0, True)
    assert len(explained.words) == len(cut.words) + cut.truncated
    assert (explained.saliency > 0).all()


def test_the_number_of_windows_is_bounded_and_the_rest_is_cut():
    two = windowed(windows=f"stride={STRIDE},most=2")
    (explained,) = pct.explain(two, LONG[:1])
    assert two.tokens(split_all(LONG[:1])).lengths[0] == LENGTH + STRIDE
    assert explained.truncated > 0
    assert explained.notes == [
        f"windows of {LENGTH} tokens, stride {STRIDE}", f"cut: {explained.truncated} words beyond the model's length"
    ]  # fmt: skip


def test_results_name_the_windows():
    classifier, name = windowed(), f"windows of {LENGTH} tokens, stride {STRIDE}"
    (explained,) = pct.explain(classifier, LONG[:1])
    (predicted,) = pct.predict(classifier, LONG[:1])
    report = evaluate(classifier, (LONG, [0] * len(LONG)), metrics=["acc", "comp"])
    assert {explained.windows, predicted.windows, report.windows} == {name}
    assert {explained.to_dict()["windows"], predicted.to_dict()["windows"]} == {name}
    assert json.loads(report.to_json())["windows"] == name
    assert f"texts read in {name}" in report.table()
    assert name in explained.to_html()
    assert type(explained).from_dict(explained.to_dict()).windows == name
    audit = pct.audit(classifier, (LONG, [0] * len(LONG)), budget="cheap", saliencies=["l2"])
    assert audit.facts["windows"] == name
    assert name in audit.to_html()


def test_without_windows_results_do_not_mention_them():
    classifier = windowed(windows="")
    (explained,) = pct.explain(classifier, LONG[:1])
    assert "windows" not in explained.to_dict()
    assert "windows" not in pct.predict(classifier, LONG[:1])[0].to_dict()


def test_a_saved_classifier_keeps_its_windows_and_loading_sets_others(tmp_path):
    classifier = windowed()
    classifier.save(tmp_path / "model")
    again = pct.load(tmp_path / "model")
    assert again.model.text_windows == classifier.model.text_windows == Windows(LENGTH, STRIDE, 1, 1)
    np.testing.assert_allclose(again.predict(LONG), classifier.predict(LONG), atol=1e-6)
    assert pct.load(tmp_path / "model", windows="stride=8").settings.reading == f"windows of {LENGTH} tokens, stride 8"


def test_a_classifier_of_transformers_is_loaded_with_windows(tmp_path):
    families.classifier("BERT", max_position_embeddings=LENGTH).save_pretrained(tmp_path / "own")
    tokenizer("BERT").save_pretrained(tmp_path / "own")
    classifier = pct.load(tmp_path / "own", windows=f"stride={STRIDE}")
    assert classifier.model.text_windows == Windows(LENGTH, STRIDE, 1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows": "128"}, "windows is NAME=VALUE,..., as stride=128; got '128'"),
        ({"windows": "stride=x"}, "windows is stride=128 or stride=128,most=16, in whole numbers; got 'stride=x'"),
        ({"windows": "stride=8,least=1"}, "in whole numbers; got 'stride=8,least=1'"),
        ({"windows": "stride=64"}, "a stride of 1 to 63 tokens"),
        ({"windows": "stride=0"}, "a stride of 1 to 63 tokens"),
        ({"windows": "stride=8,most=0"}, "at least one window"),
        ({"windows": "stride=8", "model": "lstm"}, "not with the model lstm"),
        ({"windows": "stride=8", "compile": True}, "not with compile"),
    ],
)
def test_windows_that_cannot_be_used_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**{"model": "bert", **changes})


def test_a_stride_beyond_the_inner_tokens_is_refused():
    with pytest.raises(ValueError, match="the stride 13 is more than the 12 tokens that a window holds"):
        windowed(stride=LENGTH - 1)


def test_export_and_attention_are_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    from pct.onnx.export import export

    with pytest.raises(ValueError, match=f"reads windows of {LENGTH} tokens, stride {STRIDE}, which a graph cannot"):
        export(windowed(), tmp_path / "exported")
    with pytest.raises(ValueError, match="a text read in windows has several matrices of attention"):
        windowed().saliency(LONG[:1], by="attention")


@pytest.mark.parametrize("method", ["normal", "pct", "removal_margin"])
def test_training_reads_windows(method):
    classifier = windowed()
    before = classifier.predict(LONG)
    done = pct.finetune(classifier, ROWS, progress=False, method=method, epochs=1, lr=1e-3, evaluate_epochs=False)
    assert done.classifier.settings.reading == classifier.settings.reading
    assert done.classifier.model.text_windows == classifier.model.text_windows
    np.testing.assert_array_equal(classifier.predict(LONG), before)
    assert np.abs(done.classifier.predict(LONG) - before).max() > 0


def test_an_adapter_is_trained_on_windows():
    pytest.importorskip("peft")
    done = pct.finetune(windowed(), ROWS, progress=False, method="normal", epochs=1, lora="r=2")
    assert done.classifier.model.text_windows == Windows(LENGTH, STRIDE, 1, 1)


def test_finetuning_with_other_windows_leaves_the_original():
    classifier = windowed()
    pct.finetune(classifier, ROWS, progress=False, method="normal", epochs=1, max_length=10)
    assert classifier.model.text_windows == Windows(LENGTH, STRIDE, 1, 1)


def test_the_command_line_reads_windows(tmp_path, capsys):
    from pct.cli import main

    families.classifier("BERT", max_position_embeddings=LENGTH).save_pretrained(tmp_path / "own")
    tokenizer("BERT").save_pretrained(tmp_path / "own")
    assert main(["explain", str(tmp_path / "own"), LONG[0], "--windows", f"stride={STRIDE}"]) == 0
    assert f"(windows of {LENGTH} tokens, stride {STRIDE})" in capsys.readouterr().out


def test_windows_are_weighted_by_new_tokens_also_where_the_last_is_short():
    """Eleven inner tokens in windows of four, every three tokens: 4, 3, 3 and 1 new ones."""
    read = []

    def features(embeddings, mask):
        read.append((embeddings[..., 0].long() * mask).tolist())
        return Features(embeddings[:, 1], embeddings[:, 1])  # that of a window's first inner token

    tokens = torch.arange(13.0)[None, :, None]
    pooled = Windows(6, 3, 1, 1).read(features, tokens, torch.ones(1, 13, dtype=torch.bool)).pooled
    assert read == [[[0, 1, 2, 3, 4, 12], [0, 4, 5, 6, 7, 12], [0, 7, 8, 9, 10, 12], [0, 10, 11, 12, 0, 0]]]
    assert float(pooled) == pytest.approx((4 * 1 + 3 * 4 + 3 * 7 + 1 * 10) / 11)
