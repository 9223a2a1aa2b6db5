"""The mask of four dimensions, with which transformers reads nothing, has the results of the one of two."""

import pytest
import torch

from pct.models import attention_mask as masks
from pct.training.own_loop import MethodLoss
from tests.pct.models.families import FAMILIES, TEXTS, classifier, tokenizer


def both_ways(monkeypatch, make):
    """The loss and the gradients of a training step, on the path of a CPU and on that of a GPU."""
    results = []
    for free in (True, False):
        monkeypatch.setattr(masks, "reading_is_free", lambda device, free=free: free)
        model = make()
        loss = MethodLoss(model, tokenizer("BERT"), method="normal", max_length=24)
        loss.classifier.model.eval()  # no random numbers
        value = loss(loss.collate(TEXTS, [0, 1] * 3))
        value.backward()
        results.append([value.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    return results


def prompted():
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    return peft.get_peft_model(classifier("BERT"), peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3))


@pytest.mark.parametrize(
    "make", [lambda: classifier("BERT"), lambda: classifier("BERT", is_decoder=True), prompted],
    ids=["encoder", "decoder", "prompt tuning"],
)  # fmt: skip
def test_loss_and_gradients_are_those_of_a_mask_of_two_dimensions(make, monkeypatch):
    for two, four in zip(*both_ways(monkeypatch, make), strict=True):
        torch.testing.assert_close(four, two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_that_take_it_are_given_it_and_the_others_are_not(name, monkeypatch):
    monkeypatch.setattr(masks, "reading_is_free", lambda device: False)
    mask = torch.ones(2, 5, dtype=torch.bool)
    expected = 4 if name in ("BERT", "DistilBERT", "ELECTRA", "RoBERTa", "XLM-R", "ALBERT") else 2
    assert masks.attention_mask(classifier(name), mask).ndim == expected
    with torch.no_grad():
        assert masks.attention_mask(classifier(name), mask).ndim == 2
