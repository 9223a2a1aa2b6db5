"""The methods in a loop of one's own, and in `transformers.Trainer`: step by step what ours does."""

import numpy as np
import pytest
import torch

from pct.classifier import Classifier, wrap
from pct.methods.base import make_method
from pct.training.optimizers import train_step
from pct.training.own_loop import MethodLoss
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import small_corpus

STEPS = 3
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
# no term of random words: the Trainer draws random numbers of its own
SETTINGS = {"alpha": 0.3, "max_length": 24, "random_weight": 0.0}


def rows(count=12):
    split = small_corpus(48, 24).splits["train"]
    return [{"text": t, "label": int(x)} for t, x in zip(split.texts[:count], split.labels[:count], strict=True)]


def ours(method):
    """The weights after each of our own steps on one batch."""
    trained: Classifier = wrap(
        classifier("BERT", 2, **QUIET), tokenizer("BERT"), method=method, **{"saliency": "l2", **SETTINGS}
    )
    batch = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), **SETTINGS).collate(*texts_and_labels())
    optimizer = torch.optim.SGD(trained.model.parameters(), lr=0.1)
    trained.model.train()
    torch.manual_seed(0)
    actual = []
    for _ in range(STEPS):
        train_step(trained.model, make_method(trained.settings), optimizer, batch, trained.settings)
        actual.append(flat(trained.model.model))
    return actual


def texts_and_labels():
    return [r["text"] for r in rows()], [r["label"] for r in rows()]


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).clone()


def same(actual, wanted):
    assert len(actual) == len(wanted) == STEPS
    for a, b in zip(actual, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(wanted[0], wanted[-1], atol=1e-4)


@pytest.mark.parametrize("method", ["pct", "entropy", "normal", "removal_margin", "unirex"])
def test_a_loop_of_one_s_own_takes_our_steps(method):
    model = classifier("BERT", 2, **QUIET)
    loss = MethodLoss(model, tokenizer("BERT"), method=method, **SETTINGS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(0)
    actual = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(loss.collate(*texts_and_labels())).backward()
        optimizer.step()
        actual.append(flat(model))
    same(actual, ours(method))


@pytest.mark.parametrize("method", ["pct", "normal", "removal_margin"])
def test_the_library_s_trainer_takes_our_steps(method, tmp_path):
    pytest.importorskip("accelerate")
    from transformers import TrainerCallback, TrainingArguments

    from pct.training.hf_trainer import MethodTrainer

    actual = []

    class Watch(TrainerCallback):
        def on_step_end(self, *_, model=None, **__):
            actual.append(flat(model))

    model = classifier("BERT", 2, **QUIET)
    args = TrainingArguments(
        str(tmp_path), num_train_epochs=STEPS, per_device_train_batch_size=len(rows()), max_grad_norm=0, use_cpu=True,
        save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    trainer = MethodTrainer(
        model, args, tokenizer("BERT"), {"method": method, **SETTINGS}, train_dataset=rows(), eval_dataset=rows(),
        optimizers=(optimizer, constant), callbacks=[Watch()],
    )  # fmt: skip
    trainer.train()
    same(actual, ours(method))
    assert np.isfinite(trainer.evaluate()["eval_loss"])


@pytest.mark.parametrize(("method", "part"), [("removal_margin", "hinge"), ("pct", "contrastive")])
def test_in_a_custom_loop_the_method_s_loss_is_in_every_nth_batch(method, part):
    loss = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method=method, contrast_every=2, **SETTINGS)
    batch = loss.collate(*texts_and_labels())
    assert [part in loss.step(batch).parts for _ in range(4)] == [True, False, True, False]


def test_batches_are_made_on_the_cpu_and_moved_by_the_loss():
    """So that the processes of a data loader can make them, and it can pin them."""
    loss = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method="pct", **SETTINGS)
    loss.classifier.model.to("meta")
    batch = loss.collate(*texts_and_labels())
    assert {x.device.type for x in batch if isinstance(x, torch.Tensor)} == {"cpu"}
    moved = []
    loss.method = lambda model, batch: moved.append(batch)
    loss.step(batch)
    assert {x.device.type for x in moved[0] if isinstance(x, torch.Tensor)} == {"meta"}


def test_the_normal_method_s_loss_is_the_model_s_own():
    model = classifier("BERT", 2, **QUIET)
    loss = MethodLoss(model, tokenizer("BERT"), method="normal", **SETTINGS)
    inputs = loss.collate_rows(rows())
    del inputs["batch"]
    ours = loss(loss.collate(*texts_and_labels())).detach()
    assert float(ours) == pytest.approx(float(model(**inputs).loss.detach()), abs=1e-6)
