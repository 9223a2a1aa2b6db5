"""MethodTrainer on several labels and on numbers: with method normal the library's own training."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding, Trainer

from pct.training.hf_trainer import MethodTrainer
from pct.training.own_loop import MethodLoss
from tests.pct.models.families import classifier, tokenizer
from tests.pct.training.test_hf_trainer import LENGTH, QUIET, arguments, flat, trained

WORDS = ["good", "bad", "fine", "dull", "bright", "slow"]
PROBLEMS = {
    "multi_label_classification": (3, lambda rng: [float(x) for x in rng.integers(0, 2, 3)]),
    "regression": (1, lambda rng: float(rng.normal())),
}


def data(problem):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(2, 6))) for _ in range(10)]
    return Dataset.from_dict({"text": texts, "label": [PROBLEMS[problem][1](rng) for _ in texts]})


def model(problem):
    return classifier("BERT", PROBLEMS[problem][0], problem_type=problem, **QUIET)


def by_method(problem, folder, method="normal", **changes):
    settings = {"method": method, "max_length": LENGTH, "alpha": 0.3}
    args = arguments(folder, **changes)
    return trained(MethodTrainer(model(problem), args, tokenizer("BERT"), settings, train_dataset=data(problem)))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_normal_method_is_the_library_s_own_training(problem, tmp_path):
    words = tokenizer("BERT")
    rows = data(problem).map(lambda row: dict(words(row["text"], truncation=True, max_length=LENGTH)))
    collate = DataCollatorWithPadding(tokenizer("BERT"))
    args = arguments(tmp_path)
    theirs = trained(Trainer(model(problem), args, train_dataset=rows, data_collator=collate, processing_class=words))
    ours = by_method(problem, tmp_path)
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-6, rtol=1e-5)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-4)
    assert not torch.allclose(ours[0], flat(model(problem)), atol=1e-4)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_another_method_s_update_weighs_each_batch_by_its_texts(problem, tmp_path):
    """By hand: the gradient of (4 a + 4 b + 2 c) / 10, a, b and c the losses of the batches."""
    actual, _ = by_method(
        problem, tmp_path, "pct", gradient_accumulation_steps=3, max_grad_norm=0.0, lr_scheduler_type="constant",
        train_sampling_strategy="sequential",
    )  # fmt: skip
    own = model(problem)
    loss = MethodLoss(own, tokenizer("BERT"), method="pct", alpha=0.3, max_length=LENGTH)
    texts, labels = data(problem)["text"], data(problem)["label"]
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        (loss(loss.collate(texts[part], labels[part])) * len(texts[part]) / 10).backward()
    torch.optim.SGD(own.parameters(), lr=0.05).step()
    torch.testing.assert_close(actual, flat(own), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", ["normal", "removal_margin"])
@pytest.mark.parametrize("labels", [[-100.0] * 10, [-100.0, -99.0, 2.5, -100.0, 0.0] * 2], ids=["all", "some"])
def test_a_number_of_minus_100_is_a_label_like_any_other(labels, method, tmp_path):
    """The library leaves this label out where it is the index of a class."""
    rows = Dataset.from_dict({"text": data("regression")["text"][:], "label": labels})
    settings = {"method": method, "margin_weight": 0.0, "keep_weight": 0.0, "random_weight": 0.0, "max_length": LENGTH}
    args = arguments(tmp_path, learning_rate=1e-12, gradient_accumulation_steps=3, per_device_eval_batch_size=10)
    own = model("regression")
    trainer = MethodTrainer(own, args, tokenizer("BERT"), settings, train_dataset=rows, eval_dataset=rows)
    loss = trained(trainer)[1]
    with torch.no_grad():
        numbers = own.eval()(**tokenizer("BERT")(rows["text"][:], padding=True, return_tensors="pt")).logits[:, 0]
    expected = float((numbers - torch.tensor(labels)).square().mean())
    assert loss == pytest.approx(expected, rel=1e-4)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("outputs", "problem", "label"), [
    (1, None, 1), (3, "single_label_classification", [1.0, 0.0, 1.0]),
], ids=["one score", "several labels"])  # fmt: skip
def test_the_loss_of_an_evaluation_is_that_of_the_outputs(outputs, problem, label, tmp_path):
    """The binary cross-entropy, where the library would take the squared error, or refuse the labels."""
    own, words = classifier("BERT", outputs, problem_type=problem, **QUIET), tokenizer("BERT")
    rows = Dataset.from_list([{"text": text, "label": label} for text in ("a good film", "dull")])
    settings = {"method": "pct", "head": "sigmoid", "max_length": LENGTH}
    trainer = MethodTrainer(own, arguments(tmp_path), words, settings, eval_dataset=rows)
    with torch.no_grad():
        logits = own.eval()(**words(rows["text"][:], padding=True, return_tensors="pt")).logits
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.tensor([label] * 2).view_as(logits).float()
    )
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(expected), rel=1e-4)


def test_a_loss_of_another_kind_than_the_outputs_is_refused(tmp_path):
    args, words = arguments(tmp_path), tokenizer("BERT")
    single = classifier("BERT", 3, problem_type="single_label_classification")
    with pytest.raises(
        ValueError, match="is that of single_label_classification, and its outputs are read as those of"
    ):
        MethodTrainer(single, args, words, {"method": "normal", "head": "sigmoid"})
    with pytest.raises(ValueError, match="is that of a regression, and its outputs are read as"):
        MethodTrainer(classifier("BERT", 1), args, words, {"method": "normal", "head": "sigmoid"})
