"""The methods in a loop of one's own, and in `transformers.Trainer`: step by step what ours does."""

import copy

import numpy as np
import pytest
import torch

from pct.classifier import Classifier, wrap
from pct.methods.base import make_method
from pct.training.optimizers import train_step
from pct.training.own_loop import MethodLoss
from pct.training.trainer import train
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


def test_the_batches_with_the_method_s_loss_go_on_from_a_given_step():
    loss = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method="pct", contrast_every=3, **SETTINGS)
    batch = loss.collate(*texts_and_labels())
    loss.steps = 5
    assert ["contrastive" in loss.step(batch).parts for _ in range(3)] == [False, True, False]


def test_a_collator_gives_the_tokens_of_all_windows():
    settings = {**SETTINGS, "max_length": 8, "windows": "stride=4"}
    loss = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method="normal", **settings)
    inputs = loss.collate_rows(rows())
    assert inputs["input_ids"].shape == inputs["batch"]["ids"].shape
    assert inputs["input_ids"].shape[1] > 8


def test_batches_are_made_on_the_cpu_and_moved_by_the_loss():
    """So that the processes of a data loader can make them, and it can pin them."""
    loss = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method="pct", step_tokens=1000, **SETTINGS)
    loss.classifier.model.to("meta")
    batch = loss.collate(*texts_and_labels())
    assert {x.device.type for x in batch if isinstance(x, torch.Tensor)} == {"cpu"}
    moved = []
    loss.method = lambda model, batch: moved.append(batch)
    loss.step(batch)
    assert {x.device.type for x in moved[0] if isinstance(x, torch.Tensor)} == {"meta"}


def test_a_best_epoch_on_masked_texts_is_refused_before_the_training():
    start = wrap(classifier("Llama", 2), without_tokens_to_replace_words(), max_length=24)
    settings = start.settings.replace(best_by="masked_acc", saliency="l2", evaluate_epochs=False)
    with pytest.raises(ValueError, match="best_by masked_acc masks words of the validation texts, and"):
        train(settings, small_corpus(48, 24), start=start, progress=False)


SEVERAL, NUMBER = {"problem_type": "multi_label_classification"}, {"problem_type": "regression"}


@pytest.mark.parametrize(("classes", "model", "labels", "problem"), [
    (2, {}, [0.9, 1.7], r"whole numbers, got .*0\.9"),
    (2, {}, [0, 1, 1, 0], r"2 texts need 2 class indices, got an array of shape \(4,\)"),
    (2, {}, [1], "2 texts need 2 class indices"),
    (2, {}, [[1, 0], [0, 1]], r"got an array of shape \(2, 2\)"),
    (2, {}, [0, 2], r"label 2 is outside the model's classes 0\.\.1"),
    (2, {}, [0, -1], "label -1 is outside"),
    (2, {}, ["neg", "pos"], "whole numbers, got .*neg"),
    (3, SEVERAL, [0, 2], "the labels of 2 texts must be 3 times 0 or 1 for each"),
    (3, SEVERAL, [[1, 0, 0]], "must be 3 times 0 or 1 for each"),
    (3, SEVERAL, [[1, 0, 0], [1, 0]], "must be 3 times 0 or 1 for each"),
    (3, SEVERAL, [[1, 0, 0], [0.5, 0, 2]], "must be 3 times 0 or 1 for each"),
    (1, NUMBER, [1.5], "the labels of 2 texts must be a number for each"),
    (1, NUMBER, [[1.5], [2.5]], "must be a number for each"),
    (1, NUMBER, [1.5, float("nan")], "must be a number for each"),
    (1, NUMBER, ["many", 2.5], "must be a number for each"),
], ids=str)  # fmt: skip
def test_labels_that_are_not_the_model_s_are_refused(classes, model, labels, problem):
    loss = MethodLoss(classifier("BERT", classes, **model), tokenizer("BERT"), method="normal")
    with pytest.raises(ValueError, match=problem):
        loss.collate(["a film", "of joy"], labels)


@pytest.mark.parametrize(("row", "problem"), [
    ({"text": "a film", "labels": 1}, "a row has no 'label', only 'text', 'labels': rename its column to label"),
    ({"sentence": "a film", "label": 1}, "a row has no 'text', only 'sentence', 'label'"),
])  # fmt: skip
def test_rows_without_a_text_or_a_label_are_refused(row, problem):
    loss = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), **SETTINGS)
    with pytest.raises(ValueError, match=problem):
        loss.collate_rows([row])


def without_tokens_to_replace_words():
    """A byte-level tokenizer whose only special token marks the start and the end."""
    words = copy.deepcopy(tokenizer("Llama"))
    words.pad_token = words.unk_token = None
    return words


@pytest.mark.parametrize("method", ["normal", "pct", "removal_margin"])
def test_a_method_that_masks_no_words_needs_no_mask_token(method):
    loss = MethodLoss(classifier("Llama", 2), without_tokens_to_replace_words(), method=method, **SETTINGS)
    loss(loss.collate(*texts_and_labels())).backward()


@pytest.mark.parametrize("settings", [
    {"method": "masked"}, {"method": "saliency_guided"}, {"method": "removal_margin", "train_removal": "mask"},
], ids=str)  # fmt: skip
def test_a_method_that_masks_words_says_that_the_tokenizer_has_no_token_for_it(settings):
    loss = MethodLoss(classifier("Llama", 2), without_tokens_to_replace_words(), **settings, **SETTINGS)
    with pytest.raises(ValueError, match="neither a mask token nor an unknown token: set train_removal to delete"):
        loss(loss.collate(*texts_and_labels()))


@pytest.mark.parametrize("steps", [0, 7], ids=["at the start", "continued"])
@pytest.mark.parametrize(("given", "bound"), [(0, 70), (1000, 1000)])
def test_reduced_texts_take_the_memory_of_the_device_unless_a_number_of_tokens_is_given(
    given, bound, steps, monkeypatch
):
    seen = []

    def fitting(model, tokens):
        seen.append(tokens.lengths.max())
        return 70

    monkeypatch.setattr("pct.training.own_loop.fitting_tokens", fitting)
    loss = MethodLoss(classifier("BERT", 2), tokenizer("BERT"), method="pct", step_tokens=given, **SETTINGS)
    loss.steps = steps
    batch = loss.collate(*texts_and_labels())
    for _ in range(2):
        loss(batch)
    assert loss.method.settings.step_tokens == bound
    assert seen == ([] if given else [batch.ids.shape[1]])  # the longest text, once


def test_the_normal_method_s_loss_is_the_model_s_own():
    model = classifier("BERT", 2, **QUIET)
    loss = MethodLoss(model, tokenizer("BERT"), method="normal", **SETTINGS)
    inputs = loss.collate_rows(rows())
    del inputs["batch"]
    ours = loss(loss.collate(*texts_and_labels())).detach()
    assert float(ours) == pytest.approx(float(model(**inputs).loss.detach()), abs=1e-6)
