"""Processes that train together: the loss, gradients and weights of one process, for every method and family."""

import os
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file

from pct.settings import METHODS, Settings
from pct.training.devices import DividedRows, average_gradients
from pct.training.trainer import train
from tests.narrow import narrow
from tests.pct.methods.one_text import MIXED, batch_of
from tests.pct.processes import start
from tests.pct.small import FAMILIES, method_for, small_corpus, small_model, small_settings
from tests.waiting import free_port

CASES = [(method, family, {}) for method in METHODS for family in FAMILIES]
CASES += [
    ("pct", "transformer", {"step_tokens": 40, "contrast_steps": "all"}),
    ("removal_margin", "transformer", {"train_removal": "either", "step_tokens": 40}),
    ("removal_margin", "transformer", {"saliency": "frozen_grad_x_input"}),
    ("saliency_guided", "lstm", {"saliency": "grad_x_input"}),
]


WORLD = 3  # does not divide the rows of the cases


def case_name(case):
    method, family, settings = case
    return "-".join([method, family, *(f"{name}={value}" for name, value in settings.items())])


def step_of(case):
    """The loss and the gradients of a case, by name."""
    method, family, changes = case
    model = small_model(family, dropout=0.0).train()
    settings = Settings(model="bert" if family == "transformer" else family, method=method, **changes)
    batch = batch_of(family, MIXED)
    divided = DividedRows(model)
    method = method_for(model, settings, family)
    torch.manual_seed(7)
    loss = method(model, batch).loss
    loss.backward()
    average_gradients(model)
    divided.end()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **gradients}


def settings_of_run(**changes):
    return small_settings(model="textcnn", method="pct", dropout=0.0, epochs=2, batch_size=30, **changes)


@contextmanager
def joined(rank, world, port):
    """A process among those that train together."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=world, timeout=timedelta(seconds=300))
    try:
        yield
    finally:
        dist.destroy_process_group()


def together(rank, world, port, folder):
    """One of the processes."""
    with narrow(), joined(rank, world, port):
        find(rank, folder)


def find(rank, folder):
    for case in CASES:
        save_file(step_of(case), folder / f"{case_name(case)}.{rank}")
    run = train(settings_of_run(), small_corpus(96, 32), folder / "run", progress=False)
    save_file(dict(run.model.state_dict()), folder / f"run.{rank}")
    dropout = small_model("transformer", dropout=0.5).train()
    DividedRows(dropout)
    batch = batch_of("transformer", [MIXED[0]] * 4)
    torch.manual_seed(3)
    save_file({"rows": dropout(batch.ids, batch.word_ids > -2).representation.detach()}, folder / f"dropout.{rank}")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of what the processes computed."""
    folder = tmp_path_factory.mktemp("together")
    start(together, (WORLD, free_port(), folder), WORLD)
    return folder


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_step_is_that_of_one_process(case, results):
    expected = step_of(case)
    assert max(float(g.abs().max()) for name, g in expected.items() if name != "loss") > 1e-3
    for rank in range(WORLD):
        computed = load_file(results / f"{case_name(case)}.{rank}")
        assert computed.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(computed[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_run_has_the_weights_of_one_process_and_the_first_one_writes_it(results, tmp_path):
    expected = train(settings_of_run(), small_corpus(96, 32), tmp_path / "run", progress=False).model.state_dict()
    written = load_file(results / "run" / "model" / "model.safetensors")
    for rank in range(WORLD):
        computed = load_file(results / f"run.{rank}")
        for name, weight in expected.items():
            np.testing.assert_allclose(computed[name], weight, atol=1e-5, err_msg=name)
            assert torch.equal(computed[name], written[name])  # bit by bit the same in all


def test_dropout_differs_among_the_processes_and_their_results_are_the_same(results):
    rows = [load_file(results / f"dropout.{rank}")["rows"] for rank in range(WORLD)]
    assert all(torch.equal(rows[0], other) for other in rows)
    assert not torch.equal(rows[0][0], rows[0][-1])  # one text, in the parts of two processes
