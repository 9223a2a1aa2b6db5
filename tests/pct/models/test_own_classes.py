"""A model's own class: wrapped as it is, never saved or loaded as another; code of a folder is refused."""

import json

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

import pct
from pct.models.build import make_model
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from pct.settings import Settings
from pct.training.model_card import save_transformers
from tests.pct.models.families import TEXTS, classifier, tokenizer


class MeanBert(BertForSequenceClassification):
    """The mean of all states instead of the pooler."""

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, **_):
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds)[0]
        inside = (torch.ones(states.shape[:2]) if attention_mask is None else attention_mask)[..., None]
        pooled = (states * inside).sum(1) / inside.sum(1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


class Scaled(BertForSequenceClassification):
    """Something behind the last dense layer."""

    def forward(self, *args, **options):
        given = super().forward(*args, **options)
        return SequenceClassifierOutput(logits=given.logits.tanh() * 3)


class TwoHeads(BertForSequenceClassification):
    """A second head that is registered last and not used for the logits."""

    def __init__(self, config):
        super().__init__(config)
        self.other = torch.nn.Linear(config.hidden_size, config.num_labels)


class Renamed(BertForSequenceClassification):
    """Nothing of its own but its name."""


def own(kind):
    torch.manual_seed(0)
    return kind(classifier("BERT").config).eval()


def by_itself(model):
    with torch.no_grad():
        each = [model(**tokenizer("BERT")(t, return_tensors="pt")).logits.softmax(-1) for t in TEXTS]
    return np.concatenate(each)


def patched():
    """An instance with a forward of its own."""
    model = classifier("BERT")
    whole = model.bert.encoder.forward
    model.bert.encoder.forward = lambda states, *args, **options: whole(states * 2, *args, **options)
    return model


def with_hook():
    model = classifier("BERT")
    model.bert.pooler.register_forward_hook(lambda _, __, out: out * 0.5)
    return model


@pytest.mark.parametrize("make", [lambda: own(MeanBert), patched, with_hook], ids=["class", "patch", "hook"])
def test_what_would_come_back_as_another_is_wrapped_and_not_saved(make, tmp_path):
    model = make()
    made = pct.wrap(model, tokenizer("BERT"))
    np.testing.assert_allclose(made.predict(TEXTS), by_itself(model), atol=1e-5)
    assert len(made.saliency(TEXTS)) == len(TEXTS)
    for save in (made.save, lambda folder: save_transformers(made, folder)):
        with pytest.raises(ValueError, match=r"cannot be saved: loaded again by transf|has a class of its own") as told:
            save(tmp_path / "model")
        assert "\n" not in str(told.value)
        assert not (tmp_path / "model").exists()


def test_a_second_head_is_not_taken_for_the_first():
    model = own(TwoHeads)
    made = pct.wrap(model, tokenizer("BERT"))
    assert made.model.dense.weight is model.classifier.weight
    np.testing.assert_allclose(made.predict(TEXTS), by_itself(model), atol=1e-5)


def test_a_class_with_weights_of_its_own_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match=r"TwoHeads cannot be saved: loaded again by transformers, .*other"):
        pct.wrap(own(TwoHeads), tokenizer("BERT")).save(tmp_path / "model")


def test_logits_behind_the_last_dense_layer_are_refused_by_the_true_reason():
    with pytest.raises(ValueError, match=r"\(Scaled\) has logits that are not those of its last dense layer"):
        pct.wrap(own(Scaled), tokenizer("BERT"))


def test_a_class_that_is_its_parent_but_for_its_name_is_saved(tmp_path):
    made = pct.wrap(own(Renamed), tokenizer("BERT"))
    again = pct.load(made.save(tmp_path / "model"), "cpu")
    np.testing.assert_allclose(again.predict(TEXTS), made.predict(TEXTS), atol=1e-6)


@pytest.mark.parametrize("name", ["MeanBert", "MyBertForSequenceClassification"])
def test_a_folder_of_a_class_of_its_own_is_not_loaded_as_another(name, tmp_path):
    own(type(name, (MeanBert,), {})).save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    for load in (pct.load, lambda folder: make_model(Settings(model=str(folder)), [], ["a", "b"])):
        with pytest.raises(ValueError, match=rf"has a class of its own \({name}\): load it by its own code"):
            load(tmp_path)


def test_a_folder_with_code_of_its_own_is_refused(tmp_path):
    classifier("BERT").save_pretrained(tmp_path)
    tokenizer("BERT").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    both = {"AutoConfig": "own.OwnConfig", "AutoModelForSequenceClassification": "own.Own"}
    (tmp_path / "own.py").write_text("raise SystemExit('this code ran')")
    for changes in ({"auto_map": both}, {"auto_map": both, "model_type": "own"}):
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(ValueError, match=r"of its own.*: load it by its own code, and give pct.wrap the model"):
            pct.load(tmp_path)


@pytest.mark.slow
def test_a_class_of_its_own_is_exported_as_a_graph(tmp_path):
    made = pct.wrap(own(MeanBert), tokenizer("BERT"), max_length=32)
    export(made, tmp_path / "exported")
    np.testing.assert_allclose(OnnxPredictor.load(tmp_path / "exported").predict(TEXTS), made.predict(TEXTS), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("said", [{"split_special_tokens": True}, {"truncation_side": "left"}], ids=str)
def test_what_a_tokenizer_says_is_in_the_exported_model_too(said, tmp_path):
    import copy

    words = copy.deepcopy(tokenizer("BERT"))
    for name, value in said.items():
        setattr(words, name, value)
    made = pct.wrap(classifier("BERT"), words, max_length=16)
    export(made, tmp_path / "exported")
    texts = ["the film [SEP] is bad", "good [MASK] joy [PAD]", " ".join(TEXTS)]
    np.testing.assert_allclose(OnnxPredictor.load(tmp_path / "exported").predict(texts), made.predict(texts), atol=1e-4)
