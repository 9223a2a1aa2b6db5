"""The benchmark of a GPU runs, as far as a CPU can show it: small shapes, one round."""

import pytest

from benchmarks import gpu


@pytest.fixture
def small(monkeypatch):
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    monkeypatch.setattr(gpu, "SHAPES", {"bert": sizes})
    monkeypatch.setattr(gpu, "CORPORA", {"mr": 32})
    monkeypatch.setattr(gpu, "BATCHES", 1)
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    monkeypatch.setattr(gpu, "EVALUATED", {"mr": 3})
    yield gpu.Setup("bert", "mr", "cpu")
    gpu.texts_of.cache_clear()


@pytest.mark.slow
def test_steps_are_measured(small):
    step = gpu.step(small)
    assert min(step["/ floor"], step["words/s"]) > 0
    assert step["share of peak"] is None  # of a CPU no peak is known


@pytest.mark.slow
def test_evaluations_are_measured(small):
    pytest.importorskip("captum")
    rows = gpu.beside_captum(small)
    assert [row["texts that differ"] for row in rows] == [0, 0]
    assert gpu.beside_ferret(small)["texts"] == 3  # without a time where ferret is missing


def test_it_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="needs a GPU"):
        gpu.main()


@pytest.mark.parametrize(("name", "peak"), [
    ("NVIDIA H200", 989e12), ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA L4", 121e12), ("NVIDIA L40S", 362e12),
    ("Tesla T4", None),
])  # fmt: skip
def test_the_peak_of_a_chip_is_found_by_its_name(monkeypatch, name, peak):
    monkeypatch.setattr(gpu.torch.cuda, "get_device_name", lambda device: name)
    assert gpu.peak_of(gpu.torch.device("cuda")) == peak
