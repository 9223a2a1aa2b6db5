"""Checkpoints within an epoch, from which a run goes on to the same weights; a finished run that is trained longer."""

import copy
import json
import os
import random
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pct.layout import EXPORTED, FIGURES, MEASURED
from pct.training import trainer
from pct.training.checkpoint import generator_states, restore_generators, write_checkpoint
from pct.training.measured import Measurement, measure_run
from pct.training.optimizers import train_step
from pct.training.runs import run
from pct.training.trainer import train
from tests.narrow import narrow
from tests.pct.processes import start
from tests.pct.small import same_weights, small_encoder, small_settings, tokenizer
from tests.pct.training.broken import Stop, corpus, history
from tests.pct.training.test_devices import joined
from tests.waiting import free_port

ALWAYS = 1e-9  # minutes: a checkpoint after each step
CHECKPOINT = "checkpoint.safetensors"


def settings_of(**changes):
    return small_settings(**{"batch_size": 16, "checkpoint_minutes": ALWAYS, **changes})


def stop_after(steps, patch):
    """Throws `Stop` into a run in place of a step."""
    done = []

    def step(*arguments):
        done.append(1)
        if len(done) > steps:
            raise Stop
        return train_step(*arguments)

    patch.setattr(trainer, "train_step", step)


def break_off(settings, folder, steps):
    with pytest.MonkeyPatch.context() as patch:
        stop_after(steps, patch)
        with pytest.raises(Stop):
            train(settings, corpus(), folder, progress=False)


@pytest.fixture(scope="module", params=[
    {"model": "textcnn", "method": "pct", "contrast_every": 2}, {"model": "lstm", "method": "removal_margin"},
    {"model": "textcnn", "method": "masked"}, {"model": "bert", "method": "pct"},
], ids=lambda x: "-".join(map(str, x.values())))  # fmt: skip
def whole(request, tmp_path_factory):
    """The settings of a run, its model, and its folder, without a break."""
    folder, changes = tmp_path_factory.mktemp("whole"), request.param
    if changes["model"] == "bert":
        small_encoder(layers=1).save_pretrained(folder / "bert")
        tokenizer().save_pretrained(folder / "bert")
        changes = changes | {"model": str(folder / "bert")}
    settings = settings_of(**changes)
    done = train(settings.replace(checkpoint_minutes=0.0), corpus(), folder / "run", progress=False)
    return settings, done.model, folder / "run"


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_a_run_that_breaks_off_within_an_epoch_goes_on_to_the_same_weights(whole, steps, tmp_path):
    settings, model, folder = whole
    break_off(settings, tmp_path / "broken", steps)
    done = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "train_step", lambda *arguments: done.append(1) or train_step(*arguments))
        resumed = train(settings, corpus(), tmp_path / "broken", progress=False)
    assert len(done) == 18 - steps
    assert same_weights(model, resumed.model)
    assert history(folder) == history(tmp_path / "broken")


def test_a_run_that_goes_on_removes_what_a_killed_process_had_not_written_whole(tmp_path):
    unfinished = tmp_path / ".tmpAbC123"  # the name that safetensors gives it
    unfinished.write_bytes(b"weights")
    break_off(settings_of(), tmp_path, 3)
    assert not unfinished.exists()
    assert (tmp_path / CHECKPOINT).stat().st_mode == (tmp_path / "settings.json").stat().st_mode


@pytest.mark.parametrize("minutes", [0.0, 10.0])
def test_short_epochs_have_no_checkpoint_within(minutes, tmp_path):
    break_off(settings_of(checkpoint_minutes=minutes), tmp_path, 5)
    assert not (tmp_path / CHECKPOINT).exists()


def test_training_goes_on_while_a_checkpoint_within_an_epoch_is_written(tmp_path, monkeypatch):
    """The first write waits for the second step; the checkpoint has the weights of the first."""
    second_step, steps, weights = threading.Event(), [], []

    def step(model, *arguments):
        if steps:
            weights.append(copy.deepcopy(model.state_dict()))
            second_step.set()
            raise Stop
        steps.append(1)
        return train_step(model, *arguments)

    def write(path, checkpoint):
        assert second_step.wait(60)
        write_checkpoint(path, checkpoint)

    monkeypatch.setattr(trainer, "train_step", step)
    monkeypatch.setattr("pct.training.checkpoint.write_checkpoint", write)
    with pytest.raises(Stop):
        train(settings_of(), corpus(), tmp_path, progress=False)
    written = load_file(tmp_path / CHECKPOINT)
    for name, values in weights[0].items():
        assert torch.equal(written[f"model.{name}"], values)


def test_a_checkpoint_that_cannot_be_written_ends_the_training_at_the_next_one(tmp_path, monkeypatch):
    def write(path, checkpoint):
        raise OSError(f"{path} could not be written")

    monkeypatch.setattr("pct.training.checkpoint.write_checkpoint", write)
    with pytest.raises(OSError, match=f"{CHECKPOINT} could not be written"):
        train(settings_of(), corpus(), tmp_path, progress=False)


def test_the_time_between_checkpoints_may_change_when_a_run_goes_on(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(trainer, "train_step", lambda *arguments: steps.append(1) or train_step(*arguments))
    train(settings_of(), corpus(), progress=False)
    whole = len(steps)
    break_off(settings_of(), tmp_path, 5)
    steps.clear()
    train(settings_of(checkpoint_minutes=3.0), corpus(), tmp_path, progress=False)
    assert len(steps) == whole - 5


def test_a_training_that_failed_before_its_first_step_leaves_the_folder_to_another(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        train(settings_of(model="textcnn", glove="nowhere.txt"), corpus(), tmp_path, progress=False)
    train(settings_of(model="textcnn"), corpus(), tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"holds a run with other settings \(glove"):
        train(settings_of(model="textcnn", glove="nowhere.txt"), corpus(), tmp_path, progress=False)


def test_generators_go_on_where_they_were():
    def draw():
        return torch.rand(3).tolist(), np.random.rand(), random.random(), random.gauss(0, 1)  # noqa: NPY002

    draw()
    states = json.loads(json.dumps(generator_states(torch.device("cpu"))))
    first = draw()
    restore_generators(states, torch.device("cpu"))
    assert draw() == first


def test_a_checkpoint_is_written_only_of_weights_that_were_read_and_are_finite(tmp_path, monkeypatch):
    """As on a GPU, where steps are not read at once."""
    monkeypatch.setattr("pct.training.optimizers.reading_is_free", lambda device: False)
    done = []

    def spoiled(model, *rest):
        parts = train_step(model, *rest)
        done.append(1)
        if len(done) == 3:
            next(model.parameters()).data[2].fill_(float("nan"))
        return parts

    monkeypatch.setattr(trainer, "train_step", spoiled)
    with pytest.raises(FloatingPointError, match="not finite in step 3 of epoch 1"):
        train(settings_of(), corpus(), tmp_path, progress=False)
    assert len(done) == 3
    assert all(weight.isfinite().all() for weight in load_file(tmp_path / CHECKPOINT).values())


def together(rank, port, folder):
    """One of two processes, which break off together within an epoch and start again."""
    settings = settings_of(method="pct")
    with narrow(), joined(rank, 2, port):
        whole = train(settings, corpus(), folder / "whole", progress=False)
        break_off(settings, folder / "broken", 8)
        resumed = train(settings, corpus(), folder / "broken", progress=False)
        assert same_weights(whole.model, resumed.model)


def test_processes_that_train_together_go_on_within_an_epoch(tmp_path):
    start(together, (free_port(), tmp_path), 2)
    assert history(tmp_path / "whole") == history(tmp_path / "broken")


@pytest.fixture
def finished(tmp_path):
    """A finished run of two epochs that kept its checkpoint."""
    return run(settings_of(epochs=2, keep_checkpoint=True), tmp_path / "run", progress=False, corpus=corpus())


def test_a_finished_run_is_trained_for_more_epochs_to_the_weights_of_one_that_had_them(finished, tmp_path):
    again = run(finished.settings, finished.folder, progress=False, corpus=corpus())
    assert not again.trained
    seen = []
    longer = run(settings_of(epochs=4), finished.folder, seen.append, progress=False, corpus=corpus())
    assert [record["epoch"] for record in seen] == [3, 4]
    assert longer.trained
    assert longer.settings.epochs == 4
    whole = run(settings_of(epochs=4), tmp_path / "whole", progress=False, corpus=corpus())
    assert same_weights(longer.folder / "model", whole.folder / "model")
    assert history(longer.folder) == history(whole.folder)
    assert longer.test.metrics == whole.test.metrics
    assert not (longer.folder / CHECKPOINT).exists()  # not asked for again


def test_what_was_made_of_the_earlier_weights_is_removed(tmp_path):
    shorter = settings_of(epochs=1, keep_checkpoint=True, restore_best=False)
    finished, few = run(shorter, tmp_path, progress=False, corpus=corpus()), Measurement(("comp", "margin"))
    before = measure_run(finished, "few", few, corpus())
    made = [finished.folder / name for name in (EXPORTED, FIGURES)]
    for folder in made:
        folder.mkdir()
    longer = run(shorter.replace(epochs=4), tmp_path, progress=False, corpus=corpus())
    assert not any(folder.exists() for folder in (*made, finished.folder / MEASURED))
    after = measure_run(longer, "few", few, corpus())
    assert after.comp == pytest.approx(longer.test.comp)
    assert after.comp != before.comp


def test_a_run_that_broke_off_while_it_was_trained_longer_goes_on(finished, tmp_path):
    longer = finished.settings.replace(epochs=4)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(8, patch)
        with pytest.raises(Stop):
            run(longer, finished.folder, progress=False, corpus=corpus())
    ended = run(longer, finished.folder, progress=False, corpus=corpus())
    whole = train(longer, corpus(), tmp_path / "whole", progress=False)
    assert same_weights(ended.folder / "model", tmp_path / "whole" / "model")
    assert whole.settings == ended.settings


def test_an_epoch_that_the_history_lacks_is_taken_from_the_checkpoint(finished):
    before = history(finished.folder)
    (finished.folder / "report.json").unlink()
    lines = (finished.folder / "history.jsonl").read_text().splitlines(keepends=True)
    (finished.folder / "history.jsonl").write_text("".join(lines[:-1]))
    run(finished.settings, finished.folder, progress=False, corpus=corpus())
    assert history(finished.folder) == before


@pytest.mark.parametrize(("changes", "message"), [
    ({"epochs": 1}, "epochs: 2 -> 1"), ({"epochs": 4, "lr": 0.1}, "lr: 0.0005 -> 0.1"),
    ({"epochs": 4, "schedule": "linear"}, "schedule: 'constant' -> 'linear'"),
])  # fmt: skip
def test_other_changes_of_a_finished_run_are_refused(finished, changes, message):
    with pytest.raises(ValueError, match=f"finished run of other settings .*{message}"):
        run(finished.settings.replace(**changes), finished.folder, progress=False, corpus=corpus())
    assert (finished.folder / "report.json").is_file()


def test_a_finished_run_with_a_damaged_checkpoint_stays_finished(finished):
    os.truncate(finished.folder / CHECKPOINT, 1000)
    with pytest.raises(ValueError, match=f"{CHECKPOINT} is damaged"):
        run(finished.settings.replace(epochs=4), finished.folder, progress=False, corpus=corpus())
    assert not run(finished.settings, finished.folder, progress=False, corpus=corpus()).trained


def test_a_run_whose_learning_rate_depends_on_its_epochs_is_not_trained_longer(tmp_path):
    settings = settings_of(epochs=1, schedule="linear", keep_checkpoint=True)
    run(settings, tmp_path, progress=False, corpus=corpus())
    with pytest.raises(ValueError, match=r"epochs: 1 -> 2, and schedule and warmup set the learning rate"):
        run(settings.replace(epochs=2), tmp_path, progress=False, corpus=corpus())


def test_a_finished_run_without_its_checkpoint_says_how_to_keep_it(tmp_path):
    run(settings_of(epochs=1), tmp_path, progress=False, corpus=corpus())
    with pytest.raises(ValueError, match=r"without its checkpoint, .* up to 2 epochs; .*keep_checkpoint"):
        run(settings_of(epochs=2), tmp_path, progress=False, corpus=corpus())
    assert (tmp_path / "report.json").is_file()
