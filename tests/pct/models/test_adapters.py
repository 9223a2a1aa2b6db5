"""Adapters of peft: loaded on their base with peft's own logits, trained as LoRA, saved as peft loads them."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pct
from pct.models.build import make_model
from pct.settings import Settings, lora_options
from pct.text.subwords import SubWords
from tests.pct.models.families import TEXTS, classifier, tokenizer
from tests.pct.small import same_weights, small_corpus, small_settings

peft = pytest.importorskip("peft")

TARGETS = {
    "BERT": ["query", "value"],
    "RoBERTa": ["query", "value"],
    "Llama": ["q_proj", "v_proj"],
    "GPT-2": ["c_attn"],
}


def adapted(family, base, folder, **config):
    """The probabilities of a PeftModel with random updates; writes the base and the adapter."""
    model = classifier(family)
    model.name_or_path = str(base)
    if config.pop("headless", False):
        model.base_model.save_pretrained(base)
        about = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps({k: v for k, v in about.items() if "label" not in k}))
    else:
        model.save_pretrained(base)
    SubWords(tokenizer(family)).save_files(base)
    torch.manual_seed(0)
    options = {"task_type": "SEQ_CLS", "r": 2, "init_lora_weights": False, "target_modules": TARGETS[family], **config}
    both = peft.get_peft_model(model, peft.LoraConfig(**options)).eval()
    both.save_pretrained(folder)
    with torch.no_grad():
        each = [both(**tokenizer(family)(text, return_tensors="pt")).logits.softmax(-1) for text in TEXTS]
    return np.concatenate(each)


@pytest.mark.parametrize("family", TARGETS)
def test_an_adapter_is_loaded_on_its_base_with_the_probabilities_of_peft(family, tmp_path):
    expected = adapted(family, tmp_path / "base", tmp_path / "adapter")
    loaded = pct.load(tmp_path / "adapter")
    np.testing.assert_allclose(loaded.predict(TEXTS), expected, atol=1e-5)
    assert np.abs(loaded.predict(TEXTS) - pct.load(tmp_path / "base").predict(TEXTS)).max() > 1e-3


def test_the_head_of_an_adapter_whose_base_has_none_gives_the_number_of_classes(tmp_path):
    expected = adapted("BERT", tmp_path / "base", tmp_path / "adapter", headless=True)
    loaded = pct.load(tmp_path / "adapter")
    np.testing.assert_allclose(loaded.predict(TEXTS), expected, atol=1e-5)
    assert loaded.classes == ["LABEL_0", "LABEL_1", "LABEL_2"]


def test_an_adapter_without_a_head_on_a_base_without_one_is_refused(tmp_path):
    adapted("BERT", tmp_path / "base", tmp_path / "adapter", headless=True)
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if "classifier" not in k}, path)
    with pytest.raises(
        ValueError, match=r"neither the adapter .* nor its base model .* has classifier.bias, .*modules_to_save"
    ):
        pct.load(tmp_path / "adapter")


def test_pickled_weights_of_an_adapter_are_not_read(tmp_path):
    adapted("BERT", tmp_path / "base", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    torch.save(load_file(path), tmp_path / "adapter" / "adapter_model.bin")
    path.unlink()
    with pytest.raises(ValueError, match=r"has no adapter_model.safetensors \(pickled weights are not read\)"):
        pct.load(tmp_path / "adapter")


def test_prompts_which_are_no_change_of_weights_are_refused(tmp_path):
    model = classifier("BERT")
    model.name_or_path = str(tmp_path / "base")
    model.save_pretrained(tmp_path / "base")
    SubWords(tokenizer("BERT")).save_files(tmp_path / "base")
    config = peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=2)
    peft.get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(
        ValueError, match=r"PROMPT_TUNING\) cannot be merged into its base model: only adapters of weights"
    ):
        pct.load(tmp_path / "adapter")


def test_an_adapter_that_names_no_base_is_refused(tmp_path):
    adapted("BERT", tmp_path / "base", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}))
    for load in (pct.load, lambda folder: make_model(Settings(model=str(folder)), [], ["a", "b", "c"])):
        with pytest.raises(ValueError, match="does not name its base model: set base_model_name_or_path"):
            load(tmp_path / "adapter")


@pytest.fixture
def base(tmp_path):
    """A folder of an encoder without a head."""
    classifier("BERT").base_model.save_pretrained(tmp_path / "base")
    SubWords(tokenizer("BERT")).save_files(tmp_path / "base")
    return tmp_path / "base"


def lora_settings(base, **changes):
    return small_settings(
        **{"model": str(base), "lora": "r=2,alpha=4", "lr": 1e-2, "epochs": 2, "max_length": 32, **changes}
    )


@pytest.mark.parametrize("method", ["normal", "pct", "removal_margin", "saliency_guided"])
def test_lora_trains_updates_and_head_alone_and_saves_an_adapter_and_the_merged_model(method, base, tmp_path):
    trained = pct.train(lora_settings(base, method=method), small_corpus(), tmp_path / "run", progress=False)
    texts = ["fine", "the film is fine"]
    for folder in ("run", "run/adapter"):
        np.testing.assert_allclose(pct.load(tmp_path / folder).predict(texts), trained.predict(texts), atol=1e-5)
    assert pct.load(tmp_path / "run/adapter").classes == trained.classes
    config = json.loads((tmp_path / "run/adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"], config["lora_alpha"]) == (str(base), 2, 4)
    updated = load_file(tmp_path / "run/adapter/adapter_model.safetensors")
    assert all("lora_" in name or "classifier" in name for name in updated)
    assert max(float(v.abs().max()) for k, v in updated.items() if "lora_B" in k) > 0  # B starts at zero
    weights, before = load_file(tmp_path / "run/model/model.safetensors"), load_file(base / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"  # not adapted
    torch.testing.assert_close(weights[f"model.bert.{name}"], before[name], rtol=0, atol=0)


def test_an_interrupted_lora_run_ends_with_the_same_weights(base, tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    pct.train(lora_settings(base), small_corpus(), tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        pct.train(lora_settings(base), small_corpus(), tmp_path / "parts", stop, progress=False)
    pct.train(lora_settings(base), small_corpus(), tmp_path / "parts", progress=False)
    assert same_weights(tmp_path / "whole/model", tmp_path / "parts/model")


def test_a_classifier_is_finetuned_by_lora_and_not_changed():
    corpus, model = small_corpus(), classifier("BERT", classes=2)
    start = pct.wrap(model, tokenizer("BERT"), max_length=32)
    start.classes = corpus.classes
    before = start.predict(TEXTS)
    done = pct.finetune(start, corpus, progress=False, method="normal", lora="r=2", lr=1e-2, epochs=1)
    np.testing.assert_array_equal(start.predict(TEXTS), before)
    assert np.abs(done.classifier.predict(TEXTS) - before).max() > 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora": "8"}, r"lora is NAME=VALUE,..., as r=8,alpha=16; got '8'"),
        ({"model": "textcnn", "lora": "r=8"}, "lora trains encoders of the transformers library"),
        ({"lora": "r=8", "compile": True, "model": "bert"}, "not with compile"),
    ],
)
def test_settings_of_lora_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        small_settings(**changes)


@pytest.mark.parametrize("lora", ["rank=8", "r=2,target_modules=nothing", "r=2,rank_pattern=3"])
def test_an_option_that_peft_refuses_is_named(lora, base):
    with pytest.raises(ValueError, match=f"lora '{lora}': "):
        pct.train(lora_settings(base, lora=lora), small_corpus(), progress=False)


@pytest.mark.parametrize(("text", "options"), [
    ("r=8,alpha=16.5,dropout=0.1", {"r": 8, "lora_alpha": 16.5, "lora_dropout": 0.1}),
    ("use_dora=false,use_rslora=True", {"use_dora": False, "use_rslora": True}),
    ("init_lora_weights=false,bias=all", {"init_lora_weights": False, "bias": "all"}),
    ("init_lora_weights=gaussian", {"init_lora_weights": "gaussian"}),
    ("target_modules=query+value", {"target_modules": ["query", "value"]}),
    ("target_modules=all-linear", {"target_modules": "all-linear"}),
    ("modules_to_save=pooler", {"modules_to_save": ["pooler"]}),
    ("layers_to_transform=0+1", {"layers_to_transform": [0, 1]}),
])  # fmt: skip
def test_the_options_of_lora_have_the_types_that_peft_takes(text, options):
    assert lora_options(text) == options
    assert all(type(value) is type(options[name]) for name, value in lora_options(text).items())
    peft.LoraConfig(**lora_options(text))
