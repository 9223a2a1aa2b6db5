"""How many tokens are held at once where nobody says."""

import pytest
import torch

import pct
from pct.methods.base import make_method
from pct.training import step_memory, trainer
from pct.training.step_memory import bytes_per_token, device_memory, fitting_tokens
from tests.pct.small import LEXICON, small_corpus, small_model, small_settings, small_words


@pytest.mark.parametrize("family", ["textcnn", "lstm", "transformer"])
def test_a_token_more_takes_what_was_measured(family):
    """Against the saved tensors of ten times the text."""
    model = small_model(family, dropout=0.0).train()
    tokens = small_words(family).encode([LEXICON[:3], LEXICON[:12]], 64)
    actual = bytes_per_token(model, tokens)
    longest = int(tokens.lengths.max())
    sizes = {}

    def note(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids, words = tokens.rows(torch.tensor([1] * 10).numpy())
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = model.encode(model.embed(torch.from_numpy(ids)), torch.from_numpy(words) > -2)
    weights = sum(p.nbytes for p in model.parameters())
    assert sum(sizes.values()) - weights <= actual * longest * 10 * 1.2 <= sum(sizes.values()) * 1.5
    del kept


def test_the_measurement_leaves_no_trace():
    model = small_model("transformer").train()
    tokens = small_words("transformer").encode([LEXICON[:12]], 64)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    fitting_tokens(model, tokens)
    assert torch.equal(torch.rand(3), expected)
    assert all(p.grad is None for p in model.parameters())


def test_twice_the_memory_holds_twice_the_tokens_and_none_holds_one(monkeypatch):
    model, tokens = small_model("lstm"), small_words("lstm").encode([LEXICON[:12]], 64)
    actual = []
    for memory in (2.0**30, 2.0**31, 1.0):
        monkeypatch.setattr(step_memory, "device_memory", lambda device, memory=memory: memory)
        actual.append(fitting_tokens(model, tokens))
    assert actual[1] == pytest.approx(2 * actual[0], rel=1e-3)
    assert actual[2] == 1


def test_a_container_s_limit_counts(tmp_path, monkeypatch):
    whole = device_memory(torch.device("cpu"))
    assert whole > 2**28
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(step_memory, "CGROUPS", (limit, tmp_path / "none"))
    limit.write_text("268435456\n")
    assert device_memory(torch.device("cpu")) == 268435456
    limit.write_text("max\n")
    assert device_memory(torch.device("cpu")) == whole


def test_training_gives_the_bound_to_its_method(monkeypatch):
    seen = []
    monkeypatch.setattr(
        trainer, "make_method", lambda settings: seen.append(settings.step_tokens) or make_method(settings)
    )
    monkeypatch.setattr(trainer, "fitting_tokens", lambda model, tokens: 777)
    for step_tokens in (0, 500):
        pct.train(small_settings(epochs=1, step_tokens=step_tokens), small_corpus(96, 32), progress=False)
    assert seen == [777, 500]
