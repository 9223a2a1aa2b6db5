"""What is assumed of a model of the transformers library is checked before any training, in a line with the remedy."""

import json

import numpy as np
import pytest
import torch

import pct
from pct.models.build import make_model
from pct.models.checks import positions
from pct.models.encoder import Transformer
from pct.models.wrapped import Wrapped
from pct.settings import Settings
from pct.training.own_loop import MethodLoss
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer
from tests.pct.small import small_corpus, small_settings

CLASSES = ["negative", "positive", "neither"]


def folder_of(model, name, path):
    model.save_pretrained(path)
    tokenizer(name).save_pretrained(path)
    return str(path)


@pytest.fixture
def with_head(tmp_path):
    """A folder with a classifier of a family, its head included."""
    return lambda name, **changes: folder_of(classifier(name, **changes), name, tmp_path / name)


@pytest.fixture
def bare(tmp_path):
    """A folder with an encoder or decoder of a family, without a head."""
    return lambda name: folder_of(classifier(name).base_model, name, tmp_path / f"bare-{name}")


def untrained(folder, classes=tuple(CLASSES), **settings):
    torch.manual_seed(0)
    return make_model(Settings(model=folder, **{"max_length": 24, **settings}), [], list(classes))[0]


@pytest.mark.parametrize(("name", "limit"), [
    ("BERT", 64), ("RoBERTa", 64), ("MPNet", 64), ("XLM-R", 64), ("GPT-2", 64), ("Llama", 64), ("ModernBERT", 64),
    ("ALBERT", 64), ("T5", None), ("XLNet", None), ("DeBERTa-v2", None),
])  # fmt: skip
def test_a_model_s_positions_are_counted(name, limit):
    assert positions(classifier(name)) == limit


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "GPT-2"])
def test_as_many_tokens_as_positions_work_and_one_more_is_refused(name, with_head):
    folder = with_head(name)
    model = untrained(folder, max_length=64)
    ids = torch.full((1, 64), 9)
    assert torch.isfinite(model(ids, torch.ones_like(ids, dtype=torch.bool)).logits).all()
    with pytest.raises(ValueError, match=r"max_length 65 is more than the 64 positions of .*: set max_length to 64"):
        untrained(folder, max_length=65)
    with pytest.raises(ValueError, match="max_length 65"):
        pct.wrap(classifier(name), tokenizer(name), max_length=65)


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "DeBERTa-v2"])
def test_an_encoder_gets_a_fresh_head_at_its_first_token(name, bare):
    assert isinstance(untrained(bare(name)), Transformer)


@pytest.mark.parametrize("name", ["GPT-2", "Qwen3", "XLNet", "T5"])
def test_what_the_first_token_cannot_see_gets_the_head_of_its_architecture(name, bare):
    model = untrained(bare(name))
    assert isinstance(model, Wrapped)
    one, other = (tokenizer(name)(x, return_tensors="pt")["input_ids"] for x in ("fine film joy", "fine film bad"))
    with torch.no_grad():
        logits = [model.eval()(x, torch.ones_like(x, dtype=torch.bool)).logits for x in (one, other)]
    assert not torch.allclose(*logits)


def test_a_fine_tuned_head_is_kept(with_head):
    folder = with_head("BERT")
    model = untrained(folder)
    torch.testing.assert_close(model.dense.weight, classifier("BERT").classifier.weight)
    assert model.model.config.id2label == dict(enumerate(CLASSES))


def test_its_outputs_follow_the_order_of_the_corpus_classes(with_head):
    model = untrained(with_head("BERT"), ["Neither", "Negative", "Positive"])
    own = classifier("BERT").classifier
    torch.testing.assert_close(model.dense.weight, own.weight[[2, 0, 1]])
    torch.testing.assert_close(model.dense.bias, own.bias[[2, 0, 1]])
    assert list(model.model.config.id2label.values()) == ["Neither", "Negative", "Positive"]


def test_names_that_say_nothing_take_those_of_the_corpus(with_head, caplog):
    folder = with_head("BERT", classes=2)
    made = classifier("BERT", classes=2)
    made.config.id2label, made.config.label2id = {0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": 0, "LABEL_1": 1}
    made.save_pretrained(folder)
    model = untrained(folder, ["bad", "good"])
    assert list(model.model.config.id2label.values()) == ["bad", "good"]
    assert "names its classes LABEL_0, LABEL_1: they are read as bad, good" in caplog.text


@pytest.mark.parametrize("classes", [["negative", "positive"], ["a", "b", "c"]])
def test_a_head_for_other_classes_is_refused_and_can_be_made_fresh(classes, with_head):
    folder = with_head("BERT")
    with pytest.raises(ValueError, match=r"has a head for the classes negative, .*set fresh_head"):
        untrained(folder, classes)
    model = untrained(folder, classes, fresh_head=True)
    assert isinstance(model, Transformer)
    assert model.dense.out_features == len(classes)


def test_a_folder_without_its_tokenizer_is_refused(tmp_path):
    classifier("BERT").save_pretrained(tmp_path)
    with pytest.raises((ValueError, OSError), match="tokenizer"):
        untrained(str(tmp_path))
    with pytest.raises((ValueError, OSError), match="tokenizer"):
        pct.load(tmp_path)


def test_a_tokenizer_that_is_larger_than_the_embeddings_is_refused(tmp_path):
    classifier("BERT", vocab_size=100).save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"token ids up to \d+, the model 100 embeddings: .*resize_token_embeddings"):
        pct.load(tmp_path)


def test_a_tokenizer_that_is_much_smaller_than_the_embeddings_is_refused(tmp_path):
    classifier("BERT", vocab_size=400).save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"token ids up to 159, the model 400 embeddings: they do not belong together"):
        pct.load(tmp_path)
    pct.wrap(classifier("BERT", vocab_size=176), tokenizer("BERT"))  # a table that was padded to a round number


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_float32_on_a_cpu_in_memory_and_from_a_folder(dtype, tmp_path, caplog):
    model = classifier("BERT").to(dtype)
    wrapped = pct.wrap(model, tokenizer("BERT"), name="halved")
    assert [r.message for r in caplog.records] == [
        "the weights of halved are in half precision: a copy in float32 is used on the CPU"
    ]
    assert {p.dtype for p in model.parameters()} == {dtype}  # the caller's model is not changed
    model.save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    caplog.clear()
    loaded = pct.load(tmp_path, "cpu")
    assert "are in half precision: they are read as float32 on the CPU" in caplog.text
    expected = pct.wrap(model.float(), tokenizer("BERT")).predict(TEXTS)
    for made in (wrapped, loaded):
        np.testing.assert_allclose(made.predict(TEXTS), expected, atol=1e-6)


def test_a_training_loop_on_a_cpu_with_weights_of_half_precision_is_refused():
    with pytest.raises(ValueError, match=r"half precision \(bert.* is torch.float16\), .*: call model.float\(\) first"):
        MethodLoss(classifier("BERT").half(), tokenizer("BERT"), method="pct")


def test_a_quantised_model_is_refused_on_a_cpu(tmp_path):
    classifier("BERT").save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    quantized = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}
    (tmp_path / "config.json").write_text(json.dumps(about | quantized))
    with pytest.raises(ValueError, match=r"is quantised \(bitsandbytes\), which needs a GPU: give a copy with float"):
        pct.load(tmp_path, "cpu")


@pytest.mark.parametrize("names", [None, {}, {"0": "a", "1": "b", "2": "c"}, {0: "a", 1: "a", 2: "b"}])
def test_classes_without_names_of_their_own_are_refused(names):
    model = classifier("BERT")
    model.config.id2label = names
    with pytest.raises(ValueError, match=r"does not name its classes, .*: set it as in model.config.id2label = "):
        pct.wrap(model, tokenizer("BERT"))


def test_fewer_names_than_outputs_are_refused():
    model = classifier("BERT")
    model.config.id2label = {0: "a", 1: "b"}
    with pytest.raises(ValueError, match="does not give a text one logit for each of 2 classes"):
        pct.wrap(model, tokenizer("BERT"))


@pytest.mark.parametrize("task", ["TokenClassification", "QuestionAnswering", "MaskedLM"])
def test_a_model_for_another_task_is_refused(task):
    import transformers

    model = getattr(transformers, f"BertFor{task}")(classifier("BERT", classes=2).config)
    with pytest.raises(ValueError, match="it is no sequence classifier; give a model of AutoModelForSequenceClass"):
        pct.wrap(model, tokenizer("BERT"))


@pytest.mark.parametrize("task", ["token-classification", "fill-mask", "zero-shot-classification"])
def test_a_pipeline_for_another_task_is_refused(task):
    import transformers

    kind = {"token-classification": "BertForTokenClassification", "fill-mask": "BertForMaskedLM"}
    kind = getattr(transformers, kind.get(task, "BertForSequenceClassification"))
    made = transformers.pipeline(task, kind(classifier("BERT").config), tokenizer=tokenizer("BERT"), device="cpu")
    with pytest.raises(ValueError, match=f"a pipeline for {task} does not classify texts: give one for text-class"):
        pct.wrap(made)


@pytest.mark.parametrize("given", [len, "someone/reviews", torch.nn.Linear(2, 2)])
def test_what_is_no_model_is_refused(given):
    with pytest.raises(TypeError, match=r"is no model of the transformers library; pct.predictor_from takes any func"):
        pct.wrap(given, tokenizer("BERT"))


def test_a_model_in_training_is_read_without_its_dropout():
    model = classifier("BERT").train()
    made = pct.wrap(model, tokenizer("BERT"))
    np.testing.assert_array_equal(made.predict(TEXTS), pct.wrap(classifier("BERT"), tokenizer("BERT")).predict(TEXTS))


def test_a_slow_tokenizer_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ValueError, match="Slow has no word map"):
        pct.wrap(classifier("BERT"), Slow())


def test_a_model_alone_is_asked_for_its_tokenizer():
    with pytest.raises(TypeError, match=r"wrap\(model, tokenizer\)"):
        pct.wrap(classifier("BERT"))


def test_weights_that_are_not_finite_are_refused():
    model = classifier("BERT")
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.weight[3, 4] = float("nan")
    with pytest.raises(ValueError, match=r"not finite \(bert.encoder.layer.1.output.dense.weight\)"):
        pct.wrap(model, tokenizer("BERT"))


def test_padding_that_changes_the_result_is_refused():
    model = classifier("BERT")
    whole = model.bert.forward
    model.bert.forward = lambda *a, attention_mask=None, **k: whole(*a, **k)  # looks at the padding too
    with pytest.raises(ValueError, match="gives a text another result when it is padded"):
        pct.wrap(model, tokenizer("BERT"))


def test_a_head_that_lost_weights_is_refused(with_head, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = with_head("BERT")
    weights = load_file(f"{folder}/model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, f"{folder}/model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks weights of its own architecture \(classifier.weight\)"):
        pct.load(folder)


def test_an_encoder_without_a_head_is_no_classifier(bare):
    with pytest.raises(ValueError, match="has no classification head"):
        pct.load(bare("BERT"))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_of_training_moves_every_family_s_head(name, with_head):
    folder = with_head(name, classes=2)
    settings = small_settings(model=folder, method="pct", epochs=1, batch_size=16, max_length=16, lr=1e-3)
    trained = pct.train(settings, small_corpus(16, 16), progress=False)
    assert trained.classes == ["negative", "positive"]
    assert not torch.equal(trained.model.dense.weight, untrained(folder, CLASSES[:2]).dense.weight)
    assert np.isfinite(trained.predict(TEXTS)).all()


def test_a_pipeline_is_wrapped_with_its_own_tokenizer():
    from transformers import pipeline

    made = pipeline("text-classification", model=classifier("BERT"), tokenizer=tokenizer("BERT"), device="cpu")
    ours = pct.wrap(made)
    said = made(TEXTS)
    found = ours.predict(TEXTS)
    assert [x["label"] for x in said] == [ours.classes[i] for i in found.argmax(1)]
    np.testing.assert_allclose([x["score"] for x in said], found.max(1), atol=1e-5)
