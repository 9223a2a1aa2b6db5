"""A model that was trained here, handed back as a classifier of the transformers library."""

import numpy as np
import pytest
import torch

from pct.models.encoder import Transformer
from pct.models.to_transformers import to_transformers
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer
from tests.pct.small import small_model

READ_FIRST = ["BERT", "DistilBERT", "ELECTRA", "MPNet", "RoBERTa", "XLM-R", "ALBERT", "DeBERTa-v2"]
CLASSES = ["negative", "positive"]


def trained_here(name):
    made = Transformer(classifier(name).base_model, len(CLASSES)).eval()
    with torch.no_grad():
        made.dense.weight.mul_(8)
        made.dense.bias.copy_(torch.tensor([0.3, -0.2]))
    return made


@pytest.mark.parametrize("name", READ_FIRST)
def test_an_encoder_trained_here_has_equal_logits_in_its_architecture_s_own_classifier(name, tmp_path):
    from transformers import AutoModelForSequenceClassification

    ours = trained_here(name)
    to_transformers(ours, CLASSES).save_pretrained(tmp_path)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert list(theirs.config.id2label.values()) == CLASSES
    for text in TEXTS:
        given = tokenizer(name)(text, return_tensors="pt")
        with torch.no_grad():
            wanted = ours(given["input_ids"], given["attention_mask"].bool()).logits
            np.testing.assert_allclose(theirs(**given).logits, wanted, atol=1e-5 * max(1, float(wanted.abs().max())))


def test_a_head_that_lets_nothing_pass_is_refused():
    with pytest.raises(ValueError, match=r"classification head of ModernBertModel .* export it as ONNX"):
        to_transformers(trained_here("ModernBERT"), CLASSES)


@pytest.mark.parametrize("kind", ["textcnn", "lstm"])
def test_a_model_of_another_kind_is_refused(kind):
    with pytest.raises(ValueError, match="no model of the transformers library"):
        to_transformers(small_model(kind), CLASSES)


def test_every_family_is_named_here_or_wrapped():
    assert set(READ_FIRST) < set(FAMILIES)
