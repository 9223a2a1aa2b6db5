"""Settings: checked where they are made, the same after a trip through JSON or a command line."""

import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pct.settings import (
    BASELINES,
    CLASS_WEIGHTS,
    CONTRAST_STEPS,
    CORPORA,
    METHODS,
    OPTIMIZERS,
    ORDERS,
    PRECISIONS,
    REMOVALS,
    SALIENCIES,
    SALIENCY_OF,
    SCHEDULES,
    TRAIN_REMOVALS,
    Settings,
    paper_settings,
)
from pct.text.tokens import REMOVE

SHARE = st.floats(0, 1, exclude_min=True)
POSITIVE = st.floats(1e-9, 1e9)
COUNT = st.integers(0, 10**9)
NAME = st.text(max_size=12)
VALUES = {
    "corpus": st.sampled_from([c for c in CORPORA if c != "files"]), "model": st.text(min_size=1, max_size=12),
    "method": st.sampled_from(METHODS), "seed": COUNT, "limit": COUNT, "measure_limit": COUNT,
    "train_file": NAME, "validation_file": NAME, "test_file": NAME,
    "text_column": NAME, "text_pair_column": NAME, "label_column": NAME, "corpus_seed": COUNT,
    "separator": st.sampled_from(["", ";", "\t", "\\t"]), "on_bad_row": st.sampled_from(["error", "skip"]),
    "labels": st.sampled_from(["names", "indices"]), "train_split": NAME, "validation_split": NAME, "test_split": NAME,
    "words": st.sampled_from(["natural", "spaces", "my.module:split"]),
    "max_length": st.integers(3, 512), "vocabulary_size": st.integers(1, 10**6), "glove": NAME,
    "epochs": st.integers(1, 99), "batch_size": st.integers(1, 999), "lr": POSITIVE | st.none(),
    "weight_decay": st.just(0.0) | POSITIVE | st.none(), "gradient_clip": st.just(0.0) | POSITIVE,
    "dropout": st.floats(0, 1, exclude_max=True), "patience": COUNT, "restore_best": st.booleans(),
    "fresh_head": st.booleans(),
    "alpha": st.just(0.0) | POSITIVE | st.none(), "temperature": POSITIVE | st.none(), "entropy_weight": POSITIVE,
    "p_important": SHARE, "p_unimportant": SHARE, "measure_important": st.just(0.0) | SHARE,
    "measure_unimportant": st.just(0.0) | SHARE, "saliency": st.sampled_from(SALIENCIES),
    "explain_by": st.sampled_from(["", *SALIENCIES]), "integrated_baseline": st.sampled_from(BASELINES),
    "saliency_of": st.sampled_from(SALIENCY_OF), "integrated_steps": st.integers(1, 99),
    "order": st.sampled_from(ORDERS), "removal": st.sampled_from(REMOVALS), "extra_metrics": NAME,
    "remove": st.sampled_from(REMOVE),
    "evaluate_epochs": st.booleans(), "evaluate_limit": COUNT,
    "device": st.sampled_from(["auto", "cpu"]), "precision": st.sampled_from(PRECISIONS), "compile": st.booleans(),
    "checkpoint_minutes": st.just(0.0) | POSITIVE, "keep_checkpoint": st.booleans(),
    "threads": st.integers(0, 64), "optimizer": st.sampled_from(OPTIMIZERS) | st.none(),
    "schedule": st.sampled_from(SCHEDULES) | st.none(), "warmup": st.floats(0, 1, exclude_max=True) | st.none(),
    "class_weights": st.sampled_from(CLASS_WEIGHTS), "best_by": st.sampled_from(["acc", "macro_f1", "masked_acc"]),
    "contrast_steps": st.sampled_from(CONTRAST_STEPS), "contrast_every": st.integers(1, 99), "guided_weight": POSITIVE,
    "rationale_weight": POSITIVE, "step_tokens": COUNT, "margin_weight": POSITIVE, "margin_bound": POSITIVE,
    "keep_weight": POSITIVE, "random_weight": POSITIVE, "comp_weight": POSITIVE, "comp_bound": POSITIVE,
    "suff_weight": POSITIVE, "suff_bound": POSITIVE, "mask_weight": POSITIVE,
    "train_removal": st.sampled_from(TRAIN_REMOVALS),
    "lora": st.just(""), "windows": st.just(""),  # need an encoder: test_adapters.py and test_windows.py of models
    "encoding": st.sampled_from(["", "utf-8", "cp1252", "gb18030"]),
    "head": st.sampled_from(["", "softmax", "sigmoid"]),  # a value: test_a_number_is_chosen_by_its_error
    "multi_label": st.booleans(), "label_separator": st.sampled_from(["", "|", ";"]),
    "threshold": st.floats(0, 1, exclude_min=True, exclude_max=True),
}  # fmt: skip
DRAWN = {f.name: VALUES[f.name] for f in fields(Settings) if f.name in VALUES}


def test_every_setting_is_drawn_here():
    assert {f.name for f in fields(Settings)} == set(VALUES)


@given(st.fixed_dictionaries({}, optional=DRAWN))
def test_settings_are_the_same_after_a_trip_through_a_dictionary_and_json(values):
    settings = Settings(**values)
    assert Settings.from_dict(settings.to_dict()) == settings
    assert Settings.from_dict(json.loads(settings.to_json())) == settings
    assert set(settings.to_dict()) == {f.name for f in fields(Settings)}


@given(st.fixed_dictionaries({}, optional=DRAWN))
def test_settings_are_read_from_strings_as_a_command_line_gives_them(values):
    settings = Settings(**values)
    assert Settings.from_dict({k: str(v) for k, v in settings.to_dict().items()}) == settings


@pytest.mark.parametrize(("model", "expected"), [
    ("textcnn", (5e-4, 0.1, 0.7)), ("lstm", (5e-4, 0.1, 0.7)), ("bert", (3e-5, 1.2, 0.7)),
    ("bert-base-uncased", (3e-5, 1.2, 0.7)), ("distilbert", (3e-5, 0.15, 0.15)),
    ("distilbert-base-uncased", (3e-5, 0.15, 0.15)), ("some/folder", (3e-5, 1.2, 0.7)),
])  # fmt: skip
def test_the_paper_s_settings_are_taken_where_none_are_given(model, expected):
    assert paper_settings(model) == expected
    settings = Settings(model=model)
    assert (settings.lr, settings.alpha, settings.temperature) == expected
    assert (settings.max_length, settings.batch_size, settings.entropy_weight) == (64, 64, 1e-3)
    assert (settings.p_important, settings.p_unimportant) == (0.1, 0.1)


@pytest.mark.parametrize("own", [
    {}, {"alpha": 0.3}, {"head": "sigmoid", "lr": 0.01, "margin_bound": 1.0}, {"schedule": "cosine"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("model", ["textcnn", "bert", "distilbert"])
def test_another_model_has_its_own_defaults_and_keeps_what_was_given(model, own):
    for first in ("textcnn", "bert"):
        assert Settings(model=first, **own).replace(model=model) == Settings(model=model, **own)
    assert Settings().replace(model=model, lr=5e-4) == Settings(model=model, lr=5e-4)


def test_another_head_has_its_own_defaults():
    assert Settings(model="bert", head="value").replace(head="") == Settings(model="bert")
    assert Settings(model="bert").replace(head="value") == Settings(model="bert", head="value")
    assert Settings(head="value", best_by="pearson").replace(epochs=2).best_by == "pearson"


def test_what_is_given_stands_above_the_paper():
    settings = Settings(lr=1.0, alpha=0.0)
    assert (settings.lr, settings.alpha, settings.temperature) == (1.0, 0.0, 0.7)


INVALID = [
    ("alpha", -0.1, ">= 0"), ("alpha", float("nan"), ">= 0"), ("temperature", 0.0, "> 0"), ("temperature", -1.0, "> 0"),
    ("p_important", 0.0, r"in \(0, 1\]"), ("p_important", 1.01, r"in \(0, 1\]"), ("p_unimportant", 0.0, r"in \(0, 1\]"),
    ("p_unimportant", -0.1, r"in \(0, 1\]"), ("p_unimportant", 1.5, r"in \(0, 1\]"),
    ("p_unimportant", float("nan"), r"in \(0, 1\]"), ("lr", 0.0, "> 0"),
    ("lr", float("inf"), "finite"), ("epochs", 0, "> 0"), ("batch_size", 0, "> 0"), ("integrated_steps", 0, "> 0"),
    ("vocabulary_size", 0, "> 0"), ("entropy_weight", -1.0, ">= 0"), ("limit", -1, ">= 0"),
    ("measure_limit", -1, ">= 0"), ("patience", -1, ">= 0"),
    ("threads", -1, ">= 0"), ("seed", -1, ">= 0"), ("corpus_seed", -1, ">= 0"), ("weight_decay", -1.0, ">= 0"),
    ("gradient_clip", -1.0, ">= 0"), ("evaluate_limit", -1, ">= 0"), ("dropout", 1.0, r"in \[0, 1\)"),
    ("dropout", -0.1, r"in \[0, 1\)"), ("max_length", 2, "at least 3"), ("corpus", "sst", "one of planted, mr"),
    ("method", "simclr", "one of normal, entropy, pct"), ("saliency", "l3", "one of l2, l1"),
    ("saliency_of", "odds", "one of log_odds"), ("order", "random", "one of static, recomputed"),
    ("precision", "fp16", "one of auto, float32, bf16"), ("optimizer", "sgd", "one of adam, adamw"),
    ("schedule", "step", "one of constant, linear, cosine"), ("warmup", 1.0, r"in \[0, 1\)"),
    ("warmup", float("nan"), r"in \[0, 1\)"), ("class_weights", "sqrt", "one of none, balanced"),
    ("best_by", "f1", "one of acc, macro_f1, masked_acc, mae"), ("contrast_steps", "first", "one of all, last"),
    ("contrast_every", 0, "> 0"), ("guided_weight", -1.0, ">= 0"), ("rationale_weight", float("inf"), "finite"),
    ("step_tokens", -1, ">= 0"), ("train_removal", "unknown", "one of delete, mask, either"),
    *((name, -0.5, ">= 0") for name in ("margin_weight", "margin_bound", "keep_weight", "random_weight")),
    *((name, float("inf"), "finite") for name in ("comp_weight", "comp_bound", "suff_weight", "suff_bound")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "allowed"), INVALID)
def test_a_value_out_of_its_range_is_refused_with_what_is_allowed(name, value, allowed):
    with pytest.raises(ValueError, match=rf"{name} must be .*{allowed}.*, got {value!r}"):
        Settings(**{name: value})
    with pytest.raises(ValueError, match=f"{name} must be"):
        Settings.from_dict({name: str(value)})
    with pytest.raises(ValueError, match=f"{name} must be"):
        Settings().replace(**{name: value})


def test_a_gap_cannot_choose_the_best_epoch_where_none_is_measured():
    with pytest.raises(ValueError, match="best_by ur-ir is measured after each epoch: it needs evaluate_epochs"):
        Settings(best_by="ur-ir", evaluate_epochs=False)


def test_an_empty_model_is_refused():
    with pytest.raises(ValueError, match="model must be textcnn, lstm, or"):
        Settings(model="")


def test_the_corpus_files_needs_training_rows_alone():
    with pytest.raises(ValueError, match="corpus files needs train_file"):
        Settings(corpus="files", test_file="a.csv")
    assert Settings(corpus="files", train_file="a.csv").test_file == ""


@pytest.mark.parametrize("corpus", ["hub:imdb", "hub:nyu-mll/glue:sst2", "hub:a.b-c/d_e"])
def test_a_corpus_of_the_hub_is_named_by_owner_and_name(corpus):
    assert Settings(corpus=corpus).corpus == corpus
    with pytest.raises(ValueError, match="or hub:OWNER/NAME"):
        Settings(corpus=corpus.replace("hub:", "hub:/"))


@pytest.mark.parametrize(("name", "value", "kind"), [
    ("epochs", "three", "int"), ("epochs", 1.5, "int"), ("epochs", None, "int"), ("lr", "fast", "float"),
    ("model", None, "str"), ("dropout", [0.5], "float"), ("limit", float("nan"), "int"),
])  # fmt: skip
def test_a_value_of_another_type_is_refused(name, value, kind):
    for create in (lambda: Settings.from_dict({name: value}), lambda: Settings(**{name: value})):
        with pytest.raises(ValueError, match=rf"{name} must be of type {kind}"):
            create()


@pytest.mark.parametrize(("name", "given", "value"), [
    ("epochs", "4", 4), ("batch_size", 16.0, 16), ("limit", np.int64(20), 20), ("lr", 1, 1.0),
    ("restore_best", "false", False), ("train_file", Path("a.csv"), "a.csv"),
])  # fmt: skip
def test_a_value_has_the_type_of_its_setting(name, given, value):
    actual = getattr(Settings(**{name: given}), name)
    assert (actual, type(actual)) == (value, type(value))
    assert Settings(**{name: given}) == Settings.from_dict({name: given})


def test_a_switch_takes_true_and_false_alone():
    assert [Settings.from_dict({"compile": v}).compile for v in ("true", "False", "1", "no", True)] == [
        True, False, True, False, True,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="compile must be true or false, got 'maybe'"):
        Settings.from_dict({"compile": "maybe"})


def test_an_unknown_setting_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown setting aplha, epoch; known: corpus, model"):
        Settings.from_dict({"epoch": 3, "aplha": 1.0})


def test_settings_do_not_change():
    settings = Settings()
    with pytest.raises(FrozenInstanceError):
        settings.epochs = 3
    assert settings.replace(epochs=3).epochs == 3
    assert settings.epochs == Settings().epochs


@pytest.mark.parametrize(("model", "name"), [
    ("textcnn", "textcnn"), ("bert-base-uncased", "bert-base-uncased"), ("org/encoder", "encoder"),
    ("/some/folder/encoder/", "encoder"),
])  # fmt: skip
def test_a_model_s_short_name_is_the_last_part(model, name):
    assert Settings(model=model).model_name == name


def test_the_shares_that_are_measured_are_those_of_training_unless_given():
    assert Settings(p_important=0.3).measured_shares == (0.3, 0.1)
    assert Settings(p_important=0.3, measure_important=0.1).measured_shares == (0.1, 0.1)
    one_sided = Settings(p_important=0.0, measure_important=0.1, p_unimportant=0.2)
    assert one_sided.measured_shares == (0.1, 0.2)
    with pytest.raises(ValueError, match=r"p_important must be in \(0, 1\], got 0.0; 0 needs measure_important"):
        one_sided.replace(measure_important=0.0)
    with pytest.raises(ValueError, match=r"measure_important must be in \[0, 1\], got 1.5"):
        Settings(measure_important=1.5)


def test_a_number_is_chosen_by_its_error_and_has_no_classes():
    assert Settings(head="value").best_by == "mae"
    assert Settings(head="value", best_by="pearson") == Settings.from_dict(
        Settings(head="value", best_by="pearson").to_dict()
    )
    for changes, message in (
        ({"head": "value", "best_by": "macro_f1"}, "best_by macro_f1 is of classes"),
        ({"best_by": "mae"}, r"best_by mae is of numbers \(head value\)"),
        ({"head": "value", "multi_label": True}, "head value is for one number per text"),
        ({"head": "value", "class_weights": "balanced"}, "class_weights balanced weighs classes"),
    ):
        with pytest.raises(ValueError, match=message):
            Settings(**changes)


@pytest.mark.parametrize(
    ("given", "bound"),
    [({"model": "lstm"}, 2.0), ({"model": "distilbert"}, 4.0), ({"model": "distilbert", "head": "value"}, 2.0),
     ({"model": "owner/encoder", "margin_bound": 1.0}, 1.0)],
)  # fmt: skip
def test_the_bound_of_the_margin_is_larger_for_the_log_odds_of_encoders(given, bound):
    assert Settings(**given).margin_bound == bound
