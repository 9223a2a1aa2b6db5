"""`MethodTrainer` with windows: training, evaluation and prediction read whole texts, as by the definition."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from pct.training.hf_trainer import MethodTrainer
from pct.training.own_loop import MethodLoss
from tests.pct.models.families import classifier, tokenizer
from tests.pct.models.test_windows import LENGTH, LONG, STRIDE, slow_logits
from tests.pct.training.test_hf_trainer import arguments, flat, trained
from tests.pct.training.test_own_loop import QUIET

WINDOWS = {"max_length": LENGTH, "windows": f"stride={STRIDE}"}
CLASSES = [i % 3 for i in range(len(LONG))]


def trainer(folder, model, family="BERT", settings=None, labels=CLASSES, **changes):
    rows = Dataset.from_dict({"text": LONG, "label": labels})
    args = arguments(folder, per_device_eval_batch_size=3, **changes)
    settings = {"method": "normal", **WINDOWS, **(settings or {})}
    return MethodTrainer(model, args, tokenizer(family), settings, train_dataset=rows, eval_dataset=rows)


@pytest.mark.parametrize("method", ["normal", "removal_margin"])
@pytest.mark.parametrize("family", ["BERT", "XLNet", "GPT-2", "BART"])
def test_an_evaluation_reads_every_window(family, method, tmp_path):
    logits = np.stack([slow_logits(family, text) for text in LONG])
    own = trainer(tmp_path, classifier(family), family, {"method": method})
    predicted = own.predict(own.eval_dataset)
    np.testing.assert_allclose(predicted.predictions, logits, rtol=1e-4, atol=1e-4)
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.tensor(CLASSES))
    assert predicted.metrics["test_loss"] == pytest.approx(float(expected), rel=1e-4)
    assert own.evaluate()["eval_loss"] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(("outputs", "problem", "labels", "head"), [
    (1, None, [i % 2 for i in range(len(LONG))], "sigmoid"),
    (3, "multi_label_classification", [[1, 0, i % 2] for i in range(len(LONG))], ""),
    (1, "regression", [float(i) for i in range(len(LONG))], ""),
], ids=["one score", "several labels", "a number"])  # fmt: skip
def test_predictions_have_the_form_of_the_model_s_own_logits(outputs, problem, labels, head, tmp_path):
    texts = ["fine", "a fine film"]  # of one window, which the model alone can read
    model = classifier("BERT", outputs, problem_type=problem)
    own = trainer(tmp_path, model, settings={"head": head}, labels=labels)
    predicted = own.predict(Dataset.from_dict({"text": texts, "label": labels[: len(texts)]})).predictions
    with torch.no_grad():
        expected = model.eval()(**tokenizer("BERT")(texts, padding=True, return_tensors="pt")).logits
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)


def test_normal_training_reads_every_window(tmp_path):
    common = {"gradient_accumulation_steps": 2, "max_grad_norm": 0.0, "lr_scheduler_type": "constant"}
    actual, _ = trained(trainer(tmp_path, classifier("BERT", 3, **QUIET), **common))
    model = classifier("BERT", 3, **QUIET)
    loss = MethodLoss(model, tokenizer("BERT"), method="normal", **WINDOWS)
    loss(loss.collate(LONG, CLASSES)).backward()
    torch.optim.SGD(model.parameters(), lr=0.05).step()
    torch.testing.assert_close(actual, flat(model), atol=1e-6, rtol=1e-4)
    cut, _ = trained(trainer(tmp_path, classifier("BERT", 3, **QUIET), settings={"windows": ""}, **common))
    assert not torch.allclose(actual, cut, atol=1e-4)


@pytest.mark.parametrize("changes", [
    {"bf16": True}, {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}},
    {"train_sampling_strategy": "group_by_length"},
], ids=str)  # fmt: skip
def test_normal_training_in_windows_follows_the_library_s_arguments(changes, tmp_path):
    common = {"max_grad_norm": 0.0, "per_device_train_batch_size": len(LONG)}
    plain, _ = trained(trainer(tmp_path, classifier("BERT", 3, **QUIET), **common))
    changed, _ = trained(trainer(tmp_path, classifier("BERT", 3, **QUIET), **common, **changes))
    start = flat(classifier("BERT", 3, **QUIET))
    moved, again = plain - start, changed - start
    assert float(moved @ again / (moved.norm() * again.norm())) > (0.99 if "bf16" in changes else 0.99999)


def test_texts_are_grouped_by_the_length_of_all_windows(tmp_path):
    own = trainer(tmp_path, classifier("BERT"), train_sampling_strategy="group_by_length")
    whole = tokenizer("BERT")(LONG)["input_ids"]
    assert [row["input_ids"] for row in own.train_dataset] == whole
    assert max(map(len, whole)) > LENGTH


def test_what_needs_the_library_s_own_loss_is_refused_with_windows(tmp_path):
    with pytest.raises(
        ValueError, match=r"label_smoothing_factor=0\.1.* not for normal with windows stride=5: leave it"
    ):
        trainer(tmp_path, classifier("BERT"), label_smoothing_factor=0.1)
