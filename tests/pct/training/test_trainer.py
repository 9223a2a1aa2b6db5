"""Training: the same under a seed, the same after a kill, stopped early, refused where the folder holds another run."""

import dataclasses
import importlib
import io
import json
import os
import re
import signal
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import pct
from pct.corpora.splits import Corpus, Split
from pct.explaining.predictor import predict_tokens
from pct.methods.base import make_method
from pct.settings import MAX_SEED, METHODS, Settings
from pct.text.vocabulary import UNKNOWN, Vocabulary
from pct.training.batches import batch_indices, class_weights, make_batch, with_masked_words
from pct.training.optimizers import lr_factor, make_optimizer, not_finite, train_step
from pct.training.prepared import prepare
from pct.training.runs import best_epoch
from tests.narrow import narrowly
from tests.pct.processes import copies
from tests.pct.small import (
    LEXICON,
    same_weights,
    small_corpus,
    small_encoder,
    small_model,
    small_settings,
    small_words,
    tokenizer,
)
from tests.pct.training.broken import MEASURED, Stop, corpus, history


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A folder with a tiny encoder, as the hub would give it."""
    folder = tmp_path_factory.mktemp("encoder")
    small_encoder().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def contrary(corpus: Corpus) -> Corpus:
    """Validation labels turned around: what training learns makes validation worse."""
    parts = dict(corpus.splits)
    parts["validation"] = dataclasses.replace(parts["train"], labels=1 - parts["train"].labels)
    return dataclasses.replace(corpus, splits=parts)


def interrupted_by(epoch):
    """An `on_epoch` that breaks off after an epoch."""

    def stop(record):
        if record["epoch"] == epoch:
            raise Stop

    return stop


def run(settings, folder=None, rows=None, on_epoch=None):
    return pct.train(settings, rows or corpus(), folder, on_epoch, progress=False)


def break_off(settings, folder, epoch=1, rows=None):
    """A run that is interrupted after an epoch."""
    with pytest.raises(Stop):
        run(settings, folder, rows, interrupted_by(epoch))


def test_a_seed_determines_the_weights(tmp_path):
    settings = small_settings(epochs=2)
    first, again, other = run(settings, tmp_path / "a"), run(settings, tmp_path / "b"), run(settings.replace(seed=1))
    assert same_weights(first.model, again.model)
    assert history(tmp_path / "a") == history(tmp_path / "b")
    assert not same_weights(first.model, other.model)


def test_the_largest_seed_trains():
    run(small_settings(seed=MAX_SEED, epochs=1))


def test_random_numbers_drawn_before_or_between_change_nothing():
    def disturb(record):
        torch.rand(3)
        np.random.default_rng().random(3)

    torch.rand(7)
    first = run(small_settings(epochs=2))
    assert same_weights(first.model, run(small_settings(epochs=2), on_epoch=disturb).model)


@pytest.mark.parametrize(("model", "epoch", "method"), [
    ("textcnn", 1, "pct"), ("textcnn", 2, "pct"), ("lstm", 1, "pct"), ("transformer", 2, "pct"),
    ("textcnn", 1, "vmask"), ("transformer", 2, "vmask"),  # has weights of its own
])  # fmt: skip
def test_a_run_that_broke_off_goes_on_to_the_same_weights(tmp_path, encoder, model, epoch, method):
    settings = small_settings(model=encoder if model == "transformer" else model, method=method)
    whole = run(settings, tmp_path / "whole")
    break_off(settings, tmp_path / "broken", epoch)
    assert len(history(tmp_path / "broken")) == epoch
    assert not (tmp_path / "broken" / "model").exists()
    seen = []
    resumed = run(settings, tmp_path / "broken", on_epoch=seen.append)
    assert [record["epoch"] for record in seen] == list(range(epoch + 1, 4))
    assert same_weights(whole.model, resumed.model)
    assert same_weights(tmp_path / "whole" / "model", tmp_path / "broken" / "model")
    assert history(tmp_path / "whole") == history(tmp_path / "broken")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a signal of POSIX systems")
@pytest.mark.parametrize(("minutes", "first"), [(10.0, "history.jsonl"), (1e-9, "checkpoint.safetensors")])
def test_a_process_that_is_killed_at_any_moment_goes_on_to_the_same_weights(minutes, first, tmp_path):
    """Killed from outside as soon as it has written something: within an epoch, or while it writes."""
    settings = small_settings(epochs=10, checkpoint_minutes=minutes)
    arguments = (settings, small_corpus(96, 32), tmp_path / "killed", None, False)
    killed = copies().Process(target=narrowly, args=(pct.train, *arguments))
    killed.start()
    written = tmp_path / "killed" / first
    try:
        while killed.is_alive() and not written.is_file():
            time.sleep(0.005)
    finally:
        killed.kill()
        killed.join(300)
    assert killed.exitcode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()
    settings = small_settings(epochs=10)
    whole = run(settings, tmp_path / "whole")
    resumed = run(settings, tmp_path / "killed")
    assert same_weights(whole.model, resumed.model)
    assert history(tmp_path / "whole") == history(tmp_path / "killed")


def test_a_run_that_is_done_gives_its_model_again(tmp_path):
    first = run(small_settings(epochs=2), tmp_path)
    before = history(tmp_path)
    again = run(small_settings(epochs=2), tmp_path, on_epoch=interrupted_by(1))  # no epoch is run
    assert same_weights(first.model, again.model)
    assert history(tmp_path) == before


def test_the_best_epoch_is_restored_also_after_a_break(tmp_path):
    rows, settings = contrary(corpus()), small_settings(epochs=4, lr=3e-3)
    break_off(settings, tmp_path / "best", 3, rows)
    best = run(settings, tmp_path / "best", rows)
    accuracies = [record["validation_acc"] for record in history(tmp_path / "best")]
    epoch = accuracies.index(max(accuracies)) + 1
    assert epoch < 4  # validation gets worse: else nothing is tested
    only = run(settings.replace(epochs=epoch, restore_best=False), rows=rows)
    assert same_weights(best.model, only.model)
    last = run(settings.replace(restore_best=False), tmp_path / "last", rows)
    assert not same_weights(best.model, last.model)
    assert same_weights(last.model, pct.load(tmp_path / "last" / "model").model)


@pytest.mark.parametrize("patience", [1, 2])
def test_patience_ends_a_run_that_gets_no_better(tmp_path, patience):
    settings = small_settings(epochs=30, lr=3e-3, patience=patience)
    run(settings, tmp_path, contrary(corpus()))
    accuracies = [record["validation_acc"] for record in history(tmp_path)]
    best = accuracies.index(max(accuracies)) + 1
    assert len(accuracies) == best + patience < 30


def test_an_epoch_that_is_only_as_good_as_the_best_is_no_better(tmp_path):
    """The step is too small to change a weight: every epoch is the first again, and patience runs out."""
    run(small_settings(epochs=9, lr=1e-30, patience=2), tmp_path)
    assert len(history(tmp_path)) == 3


def test_patience_is_kept_across_a_break(tmp_path):
    settings = small_settings(epochs=30, lr=3e-3, patience=3)
    run(settings, tmp_path / "whole", contrary(corpus()))
    epochs = len(history(tmp_path / "whole"))
    break_off(settings, tmp_path / "broken", epochs - 1, contrary(corpus()))
    run(settings, tmp_path / "broken", contrary(corpus()))
    assert history(tmp_path / "broken") == history(tmp_path / "whole")


def test_a_folder_with_a_run_of_other_settings_is_refused_with_the_difference(tmp_path):
    run(small_settings(epochs=1), tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(lr: 0\.0005 -> 0\.001\); give another folder"):
        run(small_settings(epochs=1, lr=1e-3), tmp_path)


def test_a_run_that_version_0_1_0_began_goes_on(tmp_path):
    """It knew neither words nor optimizer: natural words are another run, its own are not."""
    settings = small_settings(epochs=2, words="spaces")
    break_off(settings, tmp_path)
    path = tmp_path / "settings.json"
    about = json.loads(path.read_text())
    new = {"words", "fresh_head", "optimizer", "warmup", "schedule", "class_weights", "best_by", "step_tokens"}
    about["settings"] = {k: v for k, v in about["settings"].items() if k not in new}
    path.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"other settings \(words: 'spaces' -> 'natural'\)"):
        run(settings.replace(words="natural"), tmp_path)
    assert same_weights(run(settings, tmp_path).model, run(settings).model)


def test_a_log_has_a_line_an_epoch(capsys):
    pct.train(small_settings(epochs=2, evaluate_epochs=True), small_corpus(96, 24))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    form = r"epoch %d of 2: loss [\d.]+, validation accuracy [\d.]+, comp - suff -?[\d.]+, \d+ s"
    assert [bool(re.fullmatch(form % number, line)) for number, line in enumerate(lines, 1)] == [True, True]
    pct.train(small_settings(epochs=1), small_corpus(96, 24), progress=False)
    assert "epoch" not in capsys.readouterr().err


def test_texts_that_are_cut_are_told(capsys):
    pct.train(small_settings(epochs=1, max_length=4), corpus())
    assert re.search(r"max_length 4 truncates \d+ of 96 training texts", capsys.readouterr().err)
    pct.train(small_settings(epochs=1, max_length=64), corpus())
    assert "max_length" not in capsys.readouterr().err


def test_a_folder_with_a_run_on_other_texts_is_refused(tmp_path):
    run(small_settings(epochs=1), tmp_path)
    with pytest.raises(ValueError, match=r"other settings .*fingerprint"):
        run(small_settings(epochs=1), tmp_path, small_corpus(64, 32))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def garbage(path):
    path.write_bytes(b"\x80\x04\x95not a checkpoint" * 50)


def without_state(path):
    save_file(load_file(path), path)


def without_weights(path):
    save_file({"model.dense.bias": torch.zeros(2)}, path, {"state": json.dumps({"epoch": 1})})


@pytest.mark.parametrize("damage", [cut, empty, garbage, without_state, without_weights], ids=lambda d: d.__name__)
def test_a_damaged_checkpoint_is_an_error_with_the_remedy(tmp_path, damage):
    break_off(small_settings(epochs=2), tmp_path)
    checkpoint = tmp_path / "checkpoint.safetensors"
    damage(checkpoint)
    with pytest.raises(ValueError, match=r"(?s)checkpoint\.safetensors is damaged .*; remove it to train again"):
        run(small_settings(epochs=2), tmp_path)
    checkpoint.unlink()
    assert same_weights(run(small_settings(epochs=2), tmp_path).model, run(small_settings(epochs=2)).model)


def test_settings_that_were_cut_short_are_an_error_that_names_the_file(tmp_path):
    run(small_settings(epochs=1), tmp_path)
    cut(tmp_path / "settings.json")
    with pytest.raises(ValueError, match=r"settings\.json"):
        run(small_settings(epochs=1), tmp_path)


def test_a_checkpoint_half_written_at_the_kill_does_no_harm(tmp_path):
    break_off(small_settings(epochs=2), tmp_path)
    for name in ("checkpoint.safetensors", "history.jsonl", "settings.json"):
        (tmp_path / f"{name}.part").write_bytes(b"half")
    assert same_weights(run(small_settings(epochs=2), tmp_path).model, run(small_settings(epochs=2)).model)


def test_a_checkpoint_that_cannot_be_written_says_so_and_leaves_the_last_one(tmp_path):
    break_off(small_settings(epochs=2), tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors.part").mkdir()
    with pytest.raises(OSError, match=r"could not be written .*; free disk space and start again"):
        run(small_settings(epochs=2), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_run_folder_holds_its_settings_its_history_and_its_model(tmp_path):
    records, settings = [], small_settings(epochs=2)
    trained = run(settings, tmp_path, on_epoch=records.append)
    assert [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()] == records
    about = json.loads((tmp_path / "settings.json").read_text())
    assert Settings.from_dict(about["settings"]) == settings
    assert (about["fingerprint"], about["source"]) == (corpus().fingerprint, "generated")
    loaded = pct.load(tmp_path / "model")
    texts = corpus().splits["test"].texts[:5]
    assert (loaded.predict(texts) == trained.predict(texts)).all()
    assert loaded.settings == settings
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.safetensors", "history.jsonl", "model", "settings.json",
    ]  # fmt: skip


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(small_settings(epochs=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_record_tells_the_loss_parts_the_times_and_the_metrics(method):
    records = []
    run(small_settings(method=method, epochs=1, evaluate_epochs=True, evaluate_limit=16), on_epoch=records.append)
    (record,) = records
    parts = {
        "normal": set(), "entropy": {"train_entropy"}, "pct": {"train_contrastive"}, "masked": set(),
        "saliency_guided": {"train_divergence"}, "rationale": {"train_outside_rationale"},
        "removal_margin": {"train_hinge", "train_keep", "train_random"},
        "unirex": {"train_comp_loss", "train_suff_loss"}, "vmask": {"train_divergence"},
    }[method]  # fmt: skip
    metrics = {f"validation_{name}" for name in ("f_x", "comp", "suff", "ir", "ur", "i_var", "u_var")}
    assert set(record) >= {"epoch", "train_loss", "train_cross_entropy", "validation_acc"} | parts | metrics | MEASURED
    assert all(np.isfinite(value) for value in record.values())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns(method):
    records = []
    settings = small_settings(method=method, epochs=8, lr=2e-2, restore_best=False)
    trained = run(settings, on_epoch=records.append)
    assert records[-1]["train_cross_entropy"] < 0.5 * records[0]["train_cross_entropy"]
    split = corpus().splits["train"]
    assert (trained.predict(split.texts).argmax(1) == split.labels).mean() > 0.9


def test_a_model_in_mixed_precision_learns_too():
    records = []
    settings = small_settings(model="lstm", epochs=3, lr=3e-3, precision="bf16")
    trained = run(settings, on_epoch=records.append)
    assert records[-1]["train_cross_entropy"] < records[0]["train_cross_entropy"]
    assert trained.model.dense.weight.dtype == torch.float32


@pytest.mark.parametrize("model", ["textcnn", "lstm", "transformer"])
def test_a_loss_that_is_not_finite_ends_the_run_at_its_step_with_the_remedy(tmp_path, encoder, model):
    settings = small_settings(model=encoder if model == "transformer" else model, lr=1e38)
    with pytest.raises(FloatingPointError, match=r"is not finite in step \d of epoch 1; lower lr \(1e\+38\) or alpha"):
        run(settings, tmp_path)
    assert not (tmp_path / "model").exists()


def test_weights_that_the_last_step_spoils_are_noticed_in_it(tmp_path):
    """One batch: no further loss would tell."""
    settings = small_settings(lr=1e38, epochs=1, batch_size=200, method="normal", gradient_clip=1.0)
    with pytest.raises(FloatingPointError, match=r"the weight .* is not finite in step 1 of epoch 1; lower lr"):
        run(settings.replace(lr=3e38, weight_decay=1.0), tmp_path)
    with pytest.raises(FloatingPointError, match=r"not finite (in step|after epoch) 1"):
        run(settings, tmp_path / "b")
    assert not list(tmp_path.glob("**/model"))


@pytest.mark.parametrize(("spoil", "named"), [
    ("loss", "the loss"), ("part", "the loss's part contrastive"), ("gradient", "the gradient of 1.weight"),
    ("weight", "the weight 0.bias"), ("", ""),
])  # fmt: skip
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_named(spoil, named, value):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model(torch.ones(1, 2)).sum().backward()
    parts = {"loss": torch.tensor(1.0), "contrastive": torch.tensor(2.0)}
    places = {
        "loss": parts["loss"], "part": parts["contrastive"], "gradient": model[1].weight.grad[0, 1],
        "weight": model[0].bias.data[1],
    }  # fmt: skip
    if spoil:
        places[spoil].fill_(value)
    assert not_finite(model, parts) == named


def record(**validation):
    return {f"validation_{k}": v for k, v in validation.items()}


def test_the_best_epoch_is_the_first_with_the_largest_value_of_what_is_asked_for():
    history = [
        record(acc=0.9, macro_f1=0.4, comp=0.1, suff=0.2),
        record(acc=0.8, macro_f1=0.7, comp=0.5, suff=0.1),
        record(acc=0.9, macro_f1=0.7, comp=0.6, suff=0.2),
    ]
    assert [best_epoch(history, by) for by in ("acc", "macro_f1", "comp-suff")] == [1, 2, 2]


def test_nothing_that_is_not_a_number_is_the_best():
    history = [record(acc=0.9, comp=float("nan"), suff=float("nan")), record(acc=0.8, comp=0.1, suff=0.0)]
    with pytest.raises(ValueError, match=r"best_by comp-suff is \[nan, 0.1\] on validation.*choose best_by acc"):
        best_epoch(history, "comp-suff")


def test_the_best_epoch_s_measure_is_a_setting(tmp_path):
    settings = small_settings(epochs=4, lr=3e-3, best_by="comp-suff", evaluate_epochs=True, evaluate_limit=16)
    best = run(settings, tmp_path)
    gaps = [r["validation_comp"] - r["validation_suff"] for r in history(tmp_path)]
    epoch = int(np.argmax(gaps)) + 1
    only = run(settings.replace(epochs=epoch, restore_best=False))
    assert same_weights(best.model, only.model)


def of_one_class(corpus: Corpus) -> Corpus:
    """Training texts all of class 0; the other splits as they are."""
    parts = dict(corpus.splits)
    parts["train"] = parts["train"].take(np.flatnonzero(parts["train"].labels == 0))
    return dataclasses.replace(corpus, splits=parts)


def of_one_word(corpus: Corpus) -> Corpus:
    parts = {k: Split([t.split()[0] for t in v.texts], v.labels) for k, v in corpus.splits.items()}
    return dataclasses.replace(corpus, splits=parts)


@pytest.mark.parametrize(
    "method", ["normal", "entropy", "pct", "masked", "saliency_guided", "removal_margin", "unirex", "vmask"]
)
@pytest.mark.parametrize("change", [of_one_class, of_one_word], ids=lambda c: c.__name__)
def test_what_can_be_learned_from_one_class_or_one_word_is(method, change):
    records = []
    settings = small_settings(method=method, epochs=1, evaluate_epochs=True, class_weights="balanced")
    trained = run(settings, rows=change(corpus()), on_epoch=records.append)
    (record,) = records
    assert all(
        np.isfinite(record[k]) for k in ("train_loss", "validation_acc", "validation_macro_f1", "validation_f_x")
    )
    assert np.isfinite(record["validation_comp"]) == (change is of_one_class)
    assert np.isfinite(trained.predict(["film", "a film"])).all()


def test_texts_of_one_word_have_no_gap_by_which_an_epoch_could_be_the_best():
    with pytest.raises(ValueError, match=r"best_by ur-ir is .* on validation: its texts have no values of this metric"):
        run(small_settings(best_by="ur-ir", evaluate_epochs=True), rows=of_one_word(corpus()))


def test_by_masked_accuracy_an_epoch_is_judged_on_plain_and_masked_validation_texts(tmp_path):
    trained = run(small_settings(method="masked", lr=3e-3, best_by="masked_acc", seed=4), tmp_path)
    split = corpus().splits["validation"]
    tokens = prepare(trained.settings, corpus()).validation
    masked = with_masked_words(tokens, UNKNOWN, 4)
    expected = [float((predict_tokens(trained, t).argmax(1) == split.labels).mean()) for t in (tokens, masked)]
    assert expected[0] != expected[1]
    kept = best_epoch(history(tmp_path), "masked_acc") - 1
    assert history(tmp_path)[kept]["validation_masked_acc"] == pytest.approx(sum(expected) / 2)


@pytest.mark.parametrize(("method", "saliency", "problem"), [
    ("normal", "frozen_grad_x_input", "frozen_grad_x_input needs an encoder or decoder of the transformers library"),
    ("normal", "attention", "attention needs an encoder or decoder"),
    ("pct", "gim", "gim needs an encoder or decoder"),
    ("pct", "occlusion", "saliency must be one with a gradient"),
])  # fmt: skip
def test_a_saliency_that_the_model_or_the_method_cannot_use_is_refused_before_the_training(
    method, saliency, problem, monkeypatch
):
    monkeypatch.setattr("pct.training.trainer.train_step", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(ValueError, match=problem):
        run(small_settings(method=method, saliency=saliency))


def test_a_method_without_a_saliency_trains_whatever_ranks_the_words_later():
    run(small_settings(method="normal", saliency="random", epochs=1))


def test_a_training_starts_only_from_a_classifier_of_its_classes_and_tokenizer():
    first = pct.train(small_settings(epochs=1), corpus(), progress=False)
    other = Corpus("other", corpus().splits, [f"{name}s" for name in first.classes], "here")
    with pytest.raises(ValueError, match=r"with the classes .*, and corpus other has .*: pct.finetune matches"):
        pct.train(small_settings(epochs=1), other, progress=False, start=first)
    words = prepare(small_settings(epochs=1, vocabulary_size=9), corpus())
    data = dataclasses.replace(words, made_for=prepare(small_settings(epochs=1), corpus()).made_for)
    with pytest.raises(ValueError, match="prepared with another tokenizer"):
        pct.train(small_settings(epochs=1), data, progress=False, start=first)


def test_balanced_class_weights_make_classes_weigh_alike():
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = class_weights(Settings(class_weights="balanced"), labels, 4, torch.device("cpu"))
    counts = np.array([6, 3, 0, 1])
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 0, 10 / 3])
    assert float((weights.numpy() * counts).sum()) == pytest.approx(10)
    assert class_weights(Settings(), labels, 4, torch.device("cpu")) is None


def test_balanced_class_weights_find_a_rare_class():
    """One text in twelve is positive: unweighted, a first epoch calls all of them negative."""
    parts = dict(corpus().splits)
    train = parts["train"]
    rare = np.concatenate([np.flatnonzero(train.labels == 0), np.flatnonzero(train.labels == 1)[:4]])
    parts["train"] = train.take(rare)
    few = dataclasses.replace(corpus(), splits=parts)
    recall = {}
    for weights in ("none", "balanced"):
        trained = run(small_settings(epochs=3, lr=1e-3, class_weights=weights, method="normal"), rows=few)
        test = parts["test"]
        predicted = trained.predict(test.texts).argmax(1)
        recall[weights] = float((predicted[test.labels == 1] == 1).mean())
    assert recall["balanced"] > recall["none"] + 0.2


@pytest.mark.parametrize(("schedule", "warmup", "expected"), [
    ("constant", 0.0, [1, 1, 1, 1, 1]),
    ("constant", 0.4, [1 / 3, 2 / 3, 1, 1, 1]),
    ("linear", 0.0, [1, 0.8, 0.6, 0.4, 0.2]),
    ("linear", 0.4, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
    ("cosine", 0.2, [1 / 2, 1, (1 + 2**-0.5) / 2, 0.5, (1 - 2**-0.5) / 2]),
])  # fmt: skip
def test_the_learning_rate_of_each_step(schedule, warmup, expected):
    assert [lr_factor(schedule, warmup, done, 5) for done in range(5)] == pytest.approx(expected)


def test_a_schedule_goes_on_where_a_broken_run_left_it(tmp_path, encoder):
    settings = small_settings(model=encoder, optimizer="adamw", schedule="cosine", warmup=0.3, weight_decay=0.1)
    whole = run(settings, tmp_path / "whole")
    break_off(settings, tmp_path / "broken", 2)
    assert same_weights(whole.model, run(settings, tmp_path / "broken").model)
    constant = run(settings.replace(schedule="constant", warmup=0.0))
    assert not same_weights(whole.model, constant.model)


def test_adamw_decays_matrices_alone():
    model = torch.nn.Linear(3, 3)
    model.weight.grad, model.bias.grad = torch.zeros(3, 3), torch.zeros(3)
    before = model.weight.detach().clone(), model.bias.detach().clone()
    settings = Settings(optimizer="adamw", weight_decay=0.5, lr=0.1)
    make_optimizer(model, settings).step()
    assert torch.allclose(model.weight, before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(model.bias, before[1])


def test_the_optimizer_of_a_model_is_what_is_usual_for_its_kind_unless_told():
    kinds = {m: Settings(model=m) for m in ("textcnn", "lstm", "bert", "some/encoder")}
    assert kinds["textcnn"].optimizer == "adam"
    assert kinds["some/encoder"].optimizer == "adamw"
    assert (kinds["lstm"].optimizer, kinds["lstm"].schedule, kinds["lstm"].warmup) == ("adam", "constant", 0.0)
    assert (kinds["bert"].optimizer, kinds["bert"].schedule, kinds["bert"].warmup) == ("adamw", "linear", 0.1)
    plain = Settings(model="bert", optimizer="adam", schedule="constant", warmup=0.0, weight_decay=0.0)
    assert (plain.optimizer, plain.schedule, plain.warmup, plain.weight_decay) == ("adam", "constant", 0.0, 0.0)


def test_the_trained_model_is_ready_to_be_used():
    trained = run(small_settings(epochs=1))
    assert not any(module.training for module in trained.model.modules())
    texts = corpus().splits["test"].texts[:4]
    assert (trained.predict(texts) == trained.predict(texts)).all()


def test_the_corpus_of_the_settings_is_loaded_where_none_is_given():
    trained = pct.train(small_settings(epochs=1, limit=40), progress=False)
    assert trained.classes == ["negative", "positive"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("wanted", "kind", "shown"), [
    (True, Terminal, True), (False, Terminal, False), (True, io.StringIO, False),
])  # fmt: skip
def test_progress_is_shown_on_a_terminal_where_it_is_wanted(monkeypatch, wanted, kind, shown):
    monkeypatch.setattr(sys, "stderr", kind())
    pct.train(small_settings(epochs=1), corpus(), progress=wanted)
    written = sys.stderr.getvalue()
    assert ("epoch 1/1" in written) == shown
    assert ("cross_entropy" in written) == shown


@given(st.lists(st.integers(1, 60), min_size=1, max_size=300), st.integers(1, 20), st.integers(0, 9), st.integers(1, 9))
def test_an_epoch_has_each_text_once_in_batches_of_the_size(lengths, size, seed, epoch):
    index = batch_indices(np.array(lengths), size, seed, epoch)
    assert sorted(i for batch in index for i in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in index)
    assert sum(len(batch) < size for batch in index) <= 1 + len(lengths) // (32 * size)
    again = batch_indices(np.array(lengths), size, seed, epoch)
    assert [batch.tolist() for batch in index] == [batch.tolist() for batch in again]


def test_epochs_and_seeds_shuffle_differently():
    lengths = np.full(64, 5)
    orders = {
        tuple(i for batch in batch_indices(lengths, 8, seed, epoch) for i in batch)
        for seed in (0, 1)
        for epoch in (1, 2, 3)
    }
    assert len(orders) == 6


def test_the_gradient_s_norm_is_clipped_where_it_is_wanted():
    def moved(clip):
        model = small_model("textcnn", dropout=0.0)
        before = [p.detach().clone() for p in model.parameters()]
        tokens = small_words("textcnn").encode([LEXICON[:6], LEXICON[9:13]], 64)
        batch = make_batch(tokens, np.array([0, 1]), np.arange(2), torch.device("cpu"))
        settings = Settings(gradient_clip=clip, method="normal")
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        parts = train_step(model, make_method(settings), optimizer, batch, settings)
        assert set(parts) == {"loss", "cross_entropy"}
        steps = zip(before, model.parameters(), strict=True)
        return float(torch.cat([(a - b.detach()).flatten() for a, b in steps]).norm())

    assert moved(0.01) == pytest.approx(0.01, rel=1e-2)
    assert moved(0.0) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["textcnn", "lstm", "transformer"])
def test_a_compiled_model_trains_to_the_same_losses(encoder, model, method):
    settings = small_settings(model=encoder if model == "transformer" else model, method=method, epochs=1)
    settings = settings.replace(dropout=0.0)
    eager, compiled = [], []
    run(settings, on_epoch=eager.append)
    trained = run(settings.replace(compile=True), on_epoch=compiled.append)
    assert compiled[0]["train_cross_entropy"] == pytest.approx(eager[0]["train_cross_entropy"], rel=0.02)
    assert np.isfinite(trained.predict(corpus().splits["test"].texts[:3])).all()


@pytest.mark.parametrize("model", ["textcnn", "lstm", "transformer"])
def test_batches_of_all_lengths_are_compiled_to_few_graphs(encoder, model, monkeypatch):
    dynamo = importlib.import_module("torch._dynamo")
    dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    settings = small_settings(model=encoder if model == "transformer" else model, method="normal", compile=True)
    with dynamo.config.patch(recompile_limit=3, fail_on_recompile_limit_hit=True):
        run(settings.replace(epochs=1, batch_size=8))


def test_a_prepared_corpus_trains_to_the_same_weights_and_is_not_tokenised_again(monkeypatch):
    settings = small_settings(epochs=1)
    data = prepare(settings, corpus())
    plain = run(settings)
    monkeypatch.setattr(Vocabulary, "build", lambda *_: pytest.fail("the vocabulary was built again"))
    assert same_weights(pct.train(settings, data, progress=False).model, plain.model)
    with pytest.raises(ValueError, match="prepared for other settings \\(max_length: 12 -> 20\\)"):
        pct.train(settings.replace(max_length=20), data, progress=False)
