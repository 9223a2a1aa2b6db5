"""A training step and an evaluation read nothing from a GPU, so that the host does not wait for it.

On a CPU the path of a GPU is taken, and everything that would read is counted by the file that asks for it.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import pct
from pct.explaining.predictor import explain_tokens
from pct.methods import methods
from pct.methods.base import make_method
from pct.metrics.evaluation import evaluate
from pct.saliency import saliencies
from pct.saliency.base import GradientSaliency
from pct.text.replacement_token import mask_token_id
from pct.text.vocabulary import Vocabulary
from pct.text.words import split_all
from pct.training.batches import make_batch, with_unknown
from pct.training.optimizers import READ_EVERY, FiniteSteps, make_optimizer, train_step
from pct.training.trainer import train
from tests.pct.small import (
    FAMILIES,
    method_for,
    small_classifier,
    small_corpus,
    small_model,
    small_settings,
    small_texts,
    small_words,
)

# Operations whose result, or the shape of it, the host needs before it can go on.
READS = (
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount",
    "equal",
)  # fmt: skip
COPIES = (torch.Tensor.cpu, torch.Tensor.tolist, torch.Tensor.new_tensor, torch.tensor)  # some to the device
PACKAGES = {Path(package.__file__).parent for package in (pct, transformers)}
LIBRARY = "masking_utils.py"  # where transformers asks of a mask whether it has padding: in evaluation alone
# What cannot be free of reads, and why.
METHODS_THAT_READ = {"unirex": ("unirex.py", "the share of words is drawn on the host, which does not wait")}
SALIENCIES_THAT_READ = {
    "integrated_gradients": "the number of steps depends on the error of completeness",
    "smooth_grad": "the noise of a text is drawn on the host, under a key of its tokens",
}


def caller() -> str:
    """The innermost file of this project or of transformers that is being executed. A function mode passes calls on."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if PACKAGES & {*path.parents} and path.name not in (Path(__file__).name, "modes.py"):
            return path.name
        frame = frame.f_back
    return "?"


class _Operations(TorchDispatchMode):
    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        masks = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            x is not None and x.dtype == torch.bool for x in args[1]
        )
        unbounded = name == "repeat_interleave" and (kwargs or {}).get("output_size") is None
        if name in READS or masks or unbounded:
            self.reads[caller()] += 1
        return function(*args, **kwargs or {})


class _Copies(TorchFunctionMode):
    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in COPIES:
            self.reads[caller()] += 1
        return function(*args, **kwargs or {})


@pytest.fixture
def like_a_gpu(monkeypatch):
    """The path of a GPU, on a CPU."""
    for module in (
        "pct.models.attention_mask", "pct.models.base", "pct.models.transfer", "pct.training.optimizers",
    ):  # fmt: skip
        monkeypatch.setattr(f"{module}.reading_is_free", lambda device: False)


def batch_of(family, device="cpu"):
    words, texts = small_words(family), small_texts(12, seed=3)
    tokens = words.encode(split_all(texts, "natural"), 40)
    batch = make_batch(tokens, np.arange(12) % 3, np.arange(12), torch.device(device), mask_token_id(words))
    if isinstance(words, Vocabulary):
        batch = batch._replace(ids=with_unknown(batch.ids, words))
    marks = torch.arange(int(batch.host_counts.max()), device=device).expand(12, -1) % 3 == 0
    return batch._replace(rationale=marks)


def step_reads(family, device="cpu", **changes):
    """The reads of one step by file."""
    settings = small_settings(model="bert" if family == "transformer" else family, gradient_clip=1.0, **changes)
    model = small_model(family).to(device).train()
    method = method_for(model, settings, family)
    optimizer, finite, reads = make_optimizer(model, settings), FiniteSteps(model), Counter()
    train_step(model, method, optimizer, batch_of(family, device), settings)  # the optimizer creates its state
    with _Operations(reads), _Copies(reads):
        finite.check(1, train_step(model, method, optimizer, batch_of(family, device), settings), read=False)
    return reads


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", methods.own)
def test_a_step_of_each_method_reads_nothing(method, family, like_a_gpu):
    expected = Counter()
    if method in METHODS_THAT_READ:
        expected[METHODS_THAT_READ[method][0]] = 1
    assert step_reads(family, method=method) == expected


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("changes", [
    {"method": "pct", "step_tokens": 60}, {"method": "pct", "contrast_steps": "last"},
    {"method": "removal_margin", "train_removal": "either"}, {"method": "removal_margin", "step_tokens": 60},
])  # fmt: skip
def test_nor_does_a_step_in_parts_or_with_other_removals(family, changes, like_a_gpu):
    assert not step_reads(family, **changes)


@pytest.mark.parametrize("name", [x for x in saliencies.own if issubclass(saliencies.get(x), GradientSaliency)])
def test_nor_does_the_saliency_but_for_those_that_are_named(name, like_a_gpu):
    reads = step_reads("transformer", method="pct", saliency=name)
    assert bool(reads) == (name in SALIENCIES_THAT_READ), reads


def test_the_counter_counts():
    reads, values = Counter(), torch.arange(4)
    with _Operations(reads), _Copies(reads):
        values[values > 1], values.nonzero(), int(values.max()), values.cpu(), torch.tensor([1.0])
        values.repeat_interleave(values), torch.unique(values)
    assert reads.total() == 7


@pytest.mark.parametrize("family", FAMILIES)
def test_an_evaluation_reads_the_results_of_each_pass_alone(family, like_a_gpu):
    clf, reads, passes = small_classifier(family), Counter(), []
    clf.model.dense.register_forward_hook(lambda *_: passes.append(1))
    labels = [clf.classes[i % 3] for i in range(40)]
    with _Operations(reads), _Copies(reads):
        evaluate(clf, (small_texts(40), labels), metrics=["usual", "margin"])
    assert set(reads) <= {"classifier.py", LIBRARY}
    assert len(passes) <= reads["classifier.py"] <= 2 * len(passes)  # probabilities, and of some the saliency


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", [x for x in methods.own if x not in ("masked", "removal_margin", "unirex", "vmask")])
def test_the_path_of_a_gpu_has_the_loss_and_the_gradients_of_the_exact_one(method, family, request):
    """Without random numbers, whose order may differ."""
    settings = small_settings(model="bert" if family == "transformer" else family, method=method)
    batch, results = batch_of(family), []
    for path in ("exact", "like_a_gpu"):
        if path != "exact":
            request.getfixturevalue(path)
        model = small_model(family, dropout=0.0).train()
        loss = make_method(settings)(model, batch).loss
        loss.backward()
        results.append([loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for exact, other in zip(*results, strict=True):
        torch.testing.assert_close(other, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_path_of_a_gpu_has_the_saliency_of_the_exact_one(family, request):
    clf = small_classifier(family)
    tokens = clf.tokens(split_all(small_texts(20), "natural"))
    exact = explain_tokens(clf, tokens)
    request.getfixturevalue("like_a_gpu")
    for before, after in zip(exact, explain_tokens(clf, tokens), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bad", [3, READ_EVERY, READ_EVERY + 2])
def test_a_step_that_is_not_finite_is_named_when_it_is_read_and_nothing_is_written(
    bad, like_a_gpu, monkeypatch, tmp_path
):
    steps = []

    def spoiled(model, *rest):
        steps.append(1)
        parts = train_step(model, *rest)
        if len(steps) == bad:
            next(model.parameters()).data[2].fill_(float("nan"))
        return parts

    monkeypatch.setattr("pct.training.trainer.train_step", spoiled)
    settings = small_settings(method="normal", epochs=2, batch_size=8)  # 20 steps an epoch
    with pytest.raises(FloatingPointError, match=f"is not finite in step {bad} of epoch 1; lower lr"):
        train(settings, small_corpus(), tmp_path, progress=False)
    assert len(steps) == -(-bad // READ_EVERY) * READ_EVERY
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", methods.own)
def test_torch_sees_no_synchronisation_in_a_step_on_a_gpu(method, family):
    step_reads(family, "cuda", method=method)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step_reads(family, "cuda", method=method)
    finally:
        torch.cuda.set_sync_debug_mode("default")
