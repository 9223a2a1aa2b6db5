"""`MethodTrainer` against the library's own Trainer, against one batch where an update has several, and refusals."""

import copy

import pytest
import torch
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from pct.classifier import wrap
from pct.saliency.defaults import default_saliency
from pct.training.hf_trainer import PLAIN_LOSS_ONLY, MethodTrainer
from pct.training.own_loop import MethodLoss
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import small_corpus
from tests.pct.training.test_own_loop import QUIET, flat

LENGTH = 24
datasets = pytest.importorskip("datasets")
pytest.importorskip("accelerate")


def rows(count=10):
    split = small_corpus(48, 24).splits["train"]
    chosen = zip(split.texts[:count], split.labels[:count], strict=True)
    return datasets.Dataset.from_list([{"text": t, "label": int(x)} for t, x in chosen])


def arguments(folder, **changes):
    quiet = {
        "use_cpu": True, "save_strategy": "no", "report_to": "none", "disable_tqdm": True, "logging_strategy": "no",
        "num_train_epochs": 1, "per_device_train_batch_size": 4, "learning_rate": 0.05, "optim": "sgd",
    }  # fmt: skip
    return TrainingArguments(str(folder), **(quiet | changes))


def trained(trainer):
    """The weights after training, and the loss that is reported."""
    torch.manual_seed(1)
    loss = trainer.train().training_loss
    return flat(trainer.model), loss


def by_pct(args, words=None, **rest):
    """A trainer of the method pct."""
    words = words or tokenizer("BERT")
    return MethodTrainer(classifier("BERT", 2), args, words, {"method": "pct"}, train_dataset=rows(), **rest)


def by_method(folder, family="BERT", count=10, settings=None, data=None, **changes):
    model = classifier(family, 2, **(changes.pop("model", QUIET if family == "BERT" else {})))
    settings = {"method": "normal", "max_length": LENGTH, **(settings or {})}
    data = rows(count) if data is None else data
    return trained(MethodTrainer(model, arguments(folder, **changes), tokenizer(family), settings, train_dataset=data))


def by_library(folder, family="BERT", count=10, **changes):
    model, words = classifier(family, 2, **(changes.pop("model", QUIET if family == "BERT" else {}))), tokenizer(family)
    cut = {"truncation": True, "max_length": LENGTH}
    data = rows(count).map(lambda row: dict(words(row["text"], **cut)))
    collate = DataCollatorWithPadding(copy.deepcopy(words))
    args = arguments(folder, **changes)
    return trained(Trainer(model, args, train_dataset=data, data_collator=collate, processing_class=words))


def start(family="BERT", **changes):
    return flat(classifier(family, 2, **(changes or QUIET)))


@pytest.mark.parametrize("changes", [
    {}, {"label_smoothing_factor": 0.2}, {"bf16": True}, {"neftune_noise_alpha": 5.0}, {"gradient_checkpointing": True},
    {"train_sampling_strategy": "group_by_length"}, {"train_sampling_strategy": "sequential"}, {"max_grad_norm": 0.5},
    {"dataloader_drop_last": True}, {"weight_decay": 0.1}, {"model": {}}, {"remove_unused_columns": False},
    {"average_tokens_across_devices": False}, {"label_smoothing_factor": 0.2, "gradient_accumulation_steps": 3},
], ids=str)  # fmt: skip
def test_the_normal_method_is_the_library_s_own_training(changes, tmp_path):
    theirs = by_library(tmp_path, **{k: v for k, v in changes.items() if k != "remove_unused_columns"})
    ours = by_method(tmp_path, **changes)
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-6, rtol=1e-5)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-4)
    assert not torch.allclose(ours[0], start(), atol=1e-4)


@pytest.mark.parametrize("family", ["Llama", "XLNet", "BART"])
def test_other_families_train_as_by_the_library(family, tmp_path):
    quiet = {} if family == "Llama" else {"dropout": 0.0}
    theirs, ours = (train(tmp_path, family, model=quiet) for train in (by_library, by_method))
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["BERT", "Llama"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_update_of_several_batches_is_that_of_one_batch(family, smoothing, tmp_path):
    """Ten texts as 10, and as 4 + 4 + 2: the last batch weighs less."""
    common = {"family": family, "label_smoothing_factor": smoothing, "max_grad_norm": 0.0}
    whole, loss = by_method(tmp_path, per_device_train_batch_size=10, **common)
    parts, same = by_method(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=3, **common)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)
    assert same == pytest.approx(loss, rel=1e-4)
    assert not torch.allclose(whole, start(family, **({} if family == "Llama" else QUIET)), atol=1e-4)


def test_another_method_s_update_weighs_each_batch_by_its_texts(tmp_path):
    """By hand: the gradient of (4 a + 4 b + 2 c) / 10, a, b and c the losses of the batches."""
    settings = {"method": "pct", "alpha": 0.3, "max_length": LENGTH}
    actual, _ = by_method(
        tmp_path, settings=settings, gradient_accumulation_steps=3, max_grad_norm=0.0, lr_scheduler_type="constant",
        train_sampling_strategy="sequential",
    )  # fmt: skip
    model = classifier("BERT", 2, **QUIET)
    loss = MethodLoss(model, tokenizer("BERT"), **settings)
    texts, labels = rows()["text"], rows()["label"]
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        (loss(loss.collate(texts[part], labels[part])) * len(texts[part]) / 10).backward()
    torch.optim.SGD(model.parameters(), lr=0.05).step()
    torch.testing.assert_close(actual, flat(model), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("accumulate", "saved", "every"), [(1, 3, 1), (1, 3, 2), (2, 2, 3), (2, 4, 3)])
def test_a_run_that_goes_on_from_a_checkpoint_is_the_same_run(accumulate, saved, every, tmp_path):
    """Two epochs of five batches; accumulated, the last update of each has one batch."""

    def run(checkpoint=None):
        args = arguments(
            tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=accumulate, num_train_epochs=2,
            save_strategy="steps", save_steps=saved,
        )  # fmt: skip
        settings = {"method": "pct", "alpha": 0.3, "max_length": LENGTH, "contrast_every": every}
        trainer = MethodTrainer(classifier("BERT", 2), args, tokenizer("BERT"), settings, train_dataset=rows())
        trainer.train(resume_from_checkpoint=checkpoint)
        return flat(trainer.model)

    torch.testing.assert_close(run(), run(str(tmp_path / f"checkpoint-{saved}")), atol=1e-7, rtol=0)


def test_two_trainings_of_one_trainer_have_the_method_s_loss_in_the_same_batches(tmp_path):
    settings = {"method": "pct", "max_length": LENGTH, "contrast_every": 2, "step_tokens": 1000}
    trainer = MethodTrainer(
        classifier("BERT", 2), arguments(tmp_path), tokenizer("BERT"), settings, train_dataset=rows()
    )
    step, numbers = trainer.method_loss.method, []
    trainer.method_loss.method = lambda model, batch: numbers.append(batch.number) or step(model, batch)
    for _ in range(2):
        trainer.train()
    assert numbers == [0, 1, 2] * 2


@pytest.mark.parametrize("method", ["normal", "removal_margin"])
def test_the_setting_precision_holds_in_training_and_in_evaluation(method, tmp_path):
    def run(precision, **changes):
        settings = {"method": method, "max_length": LENGTH, "random_weight": 0.0, "precision": precision}
        args = arguments(tmp_path, per_device_eval_batch_size=10, **changes)
        model = classifier("BERT", 2, **QUIET)
        trainer = MethodTrainer(model, args, tokenizer("BERT"), settings, train_dataset=rows(), eval_dataset=rows())
        return trained(trainer)[0], trainer.evaluate()["eval_loss"]

    (by_setting, loss), (by_argument, same) = run("bf16"), run("auto", bf16=True)
    torch.testing.assert_close(by_setting, by_argument, atol=1e-5, rtol=1e-4)
    assert loss == pytest.approx(same, rel=1e-3)
    exact, other = run("float32")
    assert not torch.allclose(by_setting, exact, atol=1e-5)
    assert loss != pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("method", ["pct", "entropy", "masked", "saliency_guided"])
@pytest.mark.parametrize("changes", [{"bf16": True}, {"gradient_checkpointing": True}], ids=str)
def test_other_methods_follow_mixed_precision_and_checkpoints(method, changes, tmp_path):
    settings = {"method": method, "max_length": LENGTH}
    plain, _ = by_method(tmp_path, settings=settings)
    changed, _ = by_method(tmp_path, settings=settings, **changes)
    moved, again = plain - start(), changed - start()
    assert float(moved @ again / (moved.norm() * again.norm())) > (
        0.9 if "bf16" in changes else 0.99999
    )  # ranks are rounded too


REFUSED = {
    "label_smoothing_factor": 0.1, "neftune_noise_alpha": 5.0, "use_liger_kernel": True, "fp16": True,
    "deepspeed": {"zero_optimization": {"stage": 3}}, "fsdp": ["full_shard"],
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN_LOSS_ONLY)
def test_what_another_method_does_not_follow_is_refused_by_name(name, tmp_path):
    args = arguments(tmp_path)
    object.__setattr__(args, name, REFUSED[name])  # some need packages or devices to be set in the usual way
    with pytest.raises(ValueError, match=f"{name}=.* is for method normal, not for pct"):
        by_pct(args)


def test_reentrant_checkpoints_and_a_loss_of_one_s_own_are_refused(tmp_path):
    args = arguments(tmp_path, gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": True})
    with pytest.raises(ValueError, match="use_reentrant=True allows no gradient at the words"):
        by_pct(args)
    with pytest.raises(ValueError, match="compute_loss_func would replace the loss of method pct"):
        by_pct(arguments(tmp_path), compute_loss_func=lambda *_, **__: None)


def test_weights_of_classes_are_refused_where_the_texts_are_not_known():
    with pytest.raises(ValueError, match="class_weights='balanced' needs the labels of all texts"):
        MethodLoss(classifier("BERT", 2), tokenizer("BERT"), class_weights="balanced")


def test_the_caller_s_arguments_and_tokenizer_are_not_changed(tmp_path):
    args, words = arguments(tmp_path), copy.deepcopy(tokenizer("BERT"))
    words("a", truncation=True, max_length=7)
    before = (words.backend_tokenizer.truncation, words.backend_tokenizer.padding, words.truncation_side)
    by_pct(args, words).train()
    assert args.remove_unused_columns
    assert (words.backend_tokenizer.truncation, words.backend_tokenizer.padding, words.truncation_side) == before


def test_evaluation_gives_the_model_s_own_loss(tmp_path):
    model = classifier("BERT", 2, **QUIET)
    args = arguments(tmp_path, per_device_eval_batch_size=4)
    settings = {"method": "pct", "max_length": LENGTH}
    trainer = MethodTrainer(model, args, tokenizer("BERT"), settings, eval_dataset=rows())
    cut = {"truncation": True, "max_length": LENGTH, "padding": True, "return_tensors": "pt"}
    given = tokenizer("BERT")(list(rows()["text"]), **cut)
    with torch.no_grad():
        wanted = model.eval()(**given, labels=torch.tensor(rows()["label"])).loss
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(wanted), rel=1e-5)


def test_words_are_ranked_by_the_norm_in_training_unless_another_saliency_is_named():
    ranked = [
        MethodLoss(classifier("BERT", 2), tokenizer("BERT"), **named).classifier.settings.saliency
        for named in ({}, {"saliency": "grad_x_input"})
    ]
    assert ranked == ["l2", "grad_x_input"]


def test_a_loop_of_one_s_own_leaves_the_default_of_explanations():
    words, named = tokenizer("BERT"), {"saliency": "grad_x_input"}
    shown = [
        default_saliency(MethodLoss(classifier("BERT", 2), words, **settings).classifier).name
        for settings in ({}, named)
    ]
    assert shown == [default_saliency(wrap(classifier("BERT", 2), words)).name, "grad_x_input"]
    assert shown[0] != "l2"


@pytest.mark.parametrize(("saliency", "problem"), [
    ("attention", "attention cannot be computed for XLNetForSequenceClassification: its texts are padded on the left"),
    ("occlusion", "saliency must be one with a gradient"),
])  # fmt: skip
def test_a_loop_of_one_s_own_refuses_a_saliency_that_the_model_or_the_method_cannot_use(saliency, problem):
    with pytest.raises(ValueError, match=problem):
        MethodLoss(classifier("XLNet", 2), tokenizer("XLNet"), method="pct", saliency=saliency)


def test_a_loop_of_one_s_own_refuses_a_baseline_that_its_tokenizer_lacks():
    words = copy.deepcopy(tokenizer("GPT-2"))
    words.pad_token = None
    settings = {"saliency": "integrated_gradients", "integrated_baseline": "pad"}
    with pytest.raises(ValueError, match="baseline pad: the model's tokenizer has no pad token"):
        MethodLoss(classifier("GPT-2", 2), words, **settings)


@pytest.mark.parametrize("name", ["data_collator", "processing_class"])
def test_what_the_method_brings_itself_is_refused_by_name(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} is set by the trainer, from the tokenizer"):
        by_pct(arguments(tmp_path), **{name: None})
