"""What the caller gave is afterwards what it was; what it says of itself is honoured, or refused."""

import copy
import random

import numpy as np
import pytest
import torch
from transformers import TextClassificationPipeline, pipeline

import pct
from pct.text.subwords import SubWords
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer

LONG = [" ".join(TEXTS), " ".join(reversed(TEXTS))]


def by_transformers(model, words, texts, **cut):
    """Probabilities of each text alone."""
    with torch.no_grad():
        logits = [model(**words(t, return_tensors="pt", truncation=True, **cut)).logits for t in texts]
    return np.concatenate([x.softmax(-1).numpy() for x in logits])


def state(model, words):
    """All of a model and its tokenizer that looking at them could change."""
    backend = words.backend_tokenizer
    return (
        [(name, m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()],
        [(name, p.requires_grad, p.grad, p.data_ptr(), p.device) for name, p in model.named_parameters()],
        [(name, b.data_ptr()) for name, b in model.named_buffers()],
        model.config.to_dict(), backend.to_str(), backend.encode_special_tokens, words.truncation_side,
        words.padding_side, words.model_max_length,
    )  # fmt: skip


def seeds():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002  what callers may use


@pytest.mark.parametrize(("family", "training"), [*((family, True) for family in FAMILIES), ("BERT", False)])
def test_the_caller_s_objects_and_random_numbers_are_left_alone(family, training, tmp_path):
    model, words = classifier(family).train(training), copy.deepcopy(tokenizer(family))
    words(TEXTS[0], truncation=True, max_length=9, padding="max_length")  # a state that must stay
    next(model.parameters()).requires_grad_(False)
    before, drawn = state(model, words), seeds()
    made = pct.wrap(model, words)
    made.predict(TEXTS)
    made.saliency(TEXTS)
    pct.explain(made, TEXTS[:2])
    pct.load(made.save(tmp_path / "model"), "cpu").predict(TEXTS)
    assert state(model, words) == before
    assert seeds() == drawn
    if training:  # its dropout still works
        logits = [model(**words("fine", return_tensors="pt")).logits for _ in range(4)]
        assert family in ("Llama", "Qwen3", "ModernBERT") or not all(torch.equal(x, logits[0]) for x in logits)


def test_weights_are_shared_with_the_caller_and_moved_apart():
    model = classifier("BERT")
    made = pct.wrap(model, tokenizer("BERT"))
    before = made.predict(TEXTS)
    assert made.model.dense.weight is model.classifier.weight
    made.to("cpu")
    with torch.no_grad():
        model.classifier.weight.mul_(2)
    assert not np.allclose(made.predict(TEXTS), before)


@pytest.mark.parametrize("family", ["BERT", "RoBERTa", "T5", "GPT-2"])
def test_a_tokenizer_that_keeps_the_end_of_a_text_is_honoured(family, tmp_path):
    model, words = classifier(family), copy.deepcopy(tokenizer(family))
    words.truncation_side = "left"
    wanted = by_transformers(model, words, LONG, max_length=20)
    made = pct.wrap(model, words, max_length=20)
    np.testing.assert_allclose(made.predict(LONG), wanted, atol=1e-5)
    np.testing.assert_allclose(pct.load(made.save(tmp_path / "m"), "cpu").predict(LONG), wanted, atol=1e-5)
    one = pct.explain(made, LONG[:1])[0]
    assert one.words[-1] == "level"
    assert one.truncated > 10
    assert one.text[: one.spans[0][0]].strip()


def test_words_before_the_cut_are_counted():
    """Against counting by hand: words of which no character is in a token that was kept."""
    words = copy.deepcopy(tokenizer("BERT"))
    words.truncation_side = "left"
    document = pct.text.words.split(LONG[0])
    tokens = SubWords(words).encode([document], 20)
    kept = words(LONG[0], truncation=True, max_length=20, return_offsets_mapping=True)["offset_mapping"]
    first = min(start for start, end in kept if end > start)
    assert tokens.truncated.tolist() == [sum(end <= first for _, end in document.spans)]
    assert tokens.places(0).tolist() == list(range(tokens.truncated[0], len(document)))


def test_special_tokens_that_a_tokenizer_splits_are_split(tmp_path):
    model, words = classifier("BERT"), copy.deepcopy(tokenizer("BERT"))
    typed = ["the film [SEP] is bad", "good [MASK] joy", "awful [PAD] story [CLS]"]
    whole = by_transformers(model, words, typed)
    words.split_special_tokens = True
    split = by_transformers(model, words, typed)
    assert not np.allclose(whole, split, atol=1e-3)
    made = pct.wrap(model, words)
    np.testing.assert_allclose(made.predict(typed), split, atol=1e-5)
    np.testing.assert_allclose(pct.load(made.save(tmp_path / "m"), "cpu").predict(typed), split, atol=1e-5)
    np.testing.assert_allclose(pct.wrap(model, tokenizer("BERT")).predict(typed), whole, atol=1e-5)


def test_names_of_classes_in_any_order_of_their_keys_are_read_by_their_number():
    model = classifier("BERT")
    model.config.id2label = {2: "neither", 0: "negative", 1: "positive"}
    assert pct.wrap(model, tokenizer("BERT")).classes == ["negative", "positive", "neither"]
    model.config.label2id = {"negative": 1, "positive": 0, "neither": 2}
    with pytest.raises(ValueError, match=r"contradicts itself: id2label is .*, label2id is"):
        pct.wrap(model, tokenizer("BERT"))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_of_the_padding_changes_nothing(side):
    words = copy.deepcopy(tokenizer("GPT-2"))
    words.padding_side = side
    wanted = by_transformers(classifier("GPT-2"), words, TEXTS)
    np.testing.assert_allclose(pct.wrap(classifier("GPT-2"), words).predict(TEXTS), wanted, atol=1e-5)


def test_a_shorter_model_max_length_is_the_limit():
    words = copy.deepcopy(tokenizer("BERT"))
    words.model_max_length = 12
    made = pct.wrap(classifier("BERT"), words)
    assert made.settings.max_length == 12
    np.testing.assert_allclose(made.predict(LONG), by_transformers(classifier("BERT"), words, LONG), atol=1e-5)


def ends_by_padding(count):
    """GPT-2's tokenizer, whose texts end in the token that is its padding too."""
    from tokenizers import processors

    words = copy.deepcopy(tokenizer("GPT-2"))
    words.pad_token = words.eos_token
    end = (words.eos_token, words.eos_token_id)
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(["$A", *[words.eos_token] * count]), special_tokens=[end]
    )
    return words


@pytest.mark.parametrize("family", ["GPT-2", "Llama", "Qwen3"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_frame_that_ends_in_padding_is_not_read(family, count, tmp_path):
    words = ends_by_padding(count)
    model = classifier(family, vocab_size=len(words), pad_token_id=words.pad_token_id)
    wanted = by_transformers(model, words, [*TEXTS, LONG[0]], max_length=64)
    made = pct.wrap(model, words)
    assert made.model.unread == count
    np.testing.assert_allclose(made.predict([*TEXTS, LONG[0]]), wanted, atol=1e-5)
    loaded = pct.load(made.save(tmp_path / "m"), "cpu")
    np.testing.assert_allclose(loaded.predict([*TEXTS, LONG[0]]), wanted, atol=1e-5)


def piped(**options):
    words = copy.deepcopy(tokenizer("BERT"))
    return pipeline("text-classification", classifier("BERT"), tokenizer=words, device="cpu", **options)


@pytest.mark.parametrize("options", [
    {"max_length": 9, "truncation": True}, {"max_length": 9}, {"truncation": True}, {"top_k": None}, {"top_k": 2},
    {"function_to_apply": "softmax", "truncation": True},
    {"max_length": 9, "truncation": True, "padding": "max_length"},
], ids=str)  # fmt: skip
def test_a_pipeline_s_options_are_honoured(options):
    made = piped(**options)
    texts = LONG if options.get("truncation") or "max_length" in options else TEXTS
    said = made(texts, top_k=None)
    ours = pct.wrap(made)
    wanted = [[next(x["score"] for x in one if x["label"] == name) for name in ours.classes] for one in said]
    np.testing.assert_allclose(ours.predict(texts), wanted, atol=1e-5)
    assert pct.wrap(made, max_length=7).settings.max_length == 7


@pytest.mark.parametrize(("options", "message"), [
    ({"function_to_apply": "none"}, "function_to_apply='none'"),
    ({"add_special_tokens": False}, "tokenises with add_special_tokens=False, which is not supported"),
    ({"stride": 3}, "tokenises with stride=3"),
])  # fmt: skip
def test_what_a_pipeline_is_told_and_cannot_be_honoured_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pct.wrap(piped(**options))


def test_a_pipeline_with_a_step_of_its_own_is_refused():
    class Own(TextClassificationPipeline):
        def preprocess(self, inputs, **options):
            return super().preprocess(inputs.upper(), **options)

    made = Own(model=classifier("BERT"), tokenizer=tokenizer("BERT"), task="text-classification", device=-1)
    with pytest.raises(ValueError, match=r"a Own has a step of its own \(preprocess\)"):
        pct.wrap(made)
