"""Ranges as they are written, and what is said of one that is not understood."""

import pytest

from pct.settings import METHODS, Settings, paper_settings
from tuning.space import RANGES, USED, Range, make_space, read_range, read_sets

BASE = Settings()


def test_the_forms_are_read():
    assert read_range("alpha", "loguniform(0.05, 1.5)", BASE) == Range("loguniform", (0.05, 1.5))
    assert read_range("temperature", " uniform( 0.1,1 ) ", BASE) == Range("uniform", (0.1, 1.0))
    assert read_range("batch_size", "choice(32, 64)", BASE) == Range("choice", (32, 64))
    assert read_range("batch_size", "uniform(8, 64)", BASE) == Range("uniform", (8, 64))
    assert read_range("method", "choice(normal, pct)", BASE) == Range("choice", ("normal", "pct"))
    assert read_range("alpha", "0.3", BASE) == 0.3
    assert read_range("p_important", "choice(0, 0.1)", BASE) == Range("choice", (0.0, 0.1))


@pytest.mark.parametrize("text", ["loguniform(0.05, 1.5)", "uniform(0.1, 1.0)", "choice(0.1, 0.2)"])
def test_a_range_is_written_as_it_is_read(text):
    assert str(read_range("alpha", text, BASE)) == text


@pytest.mark.parametrize(("name", "text", "message"), [
    ("alpha", "gauss(1, 2)", r"alpha='gauss\(1, 2\)' is no range; write a value, uniform\(low, high\)"),
    ("alpha", "loguniform(0.05, 1.5", "is no range; write"),
    ("alpha", "loguniform 0.05, 1.5)", "is no range; write"),
    ("alpha", "", "is no range; write"),
    ("alpha", "choice()", "is no range; write"),
    ("alpha", "choice(0.1,,0.2)", "is no range; write"),
    ("alpha", "uniform(0.1)", "uniform takes two numbers, low and high"),
    ("alpha", "uniform(0.1, 0.2, 0.3)", "uniform takes two numbers"),
    ("alpha", "uniform(a, b)", "alpha must be of type float | None, got 'a'"),
    ("alpha", "uniform(1, 0.5)", "low must be below high"),
    ("alpha", "loguniform(0, 1)", "loguniform needs low > 0; take uniform"),
    ("alpha", "uniform(-1, 1)", "alpha must be >= 0 and finite, got -1.0"),
    ("temperature", "choice(0.1, 0)", "temperature must be > 0"),
    ("batch_size", "choice(32, 32)", "names a value twice"),
    ("batch_size", "uniform(8.5, 64)", "batch_size must be of type int"),
    ("p_important", "uniform(0.1, 1.2)", r"p_important must be in \(0, 1\], got 1.2"),
    ("method", "uniform(1, 2)", "method must be one of"),
    ("saliency", "choice(l1, l2)", "saliency must be one value in a sweep"),
    ("epochs", "uniform(1, 9)", "epochs must be one value in a sweep"),
])  # fmt: skip
def test_a_malformed_one_is_named_with_the_remedy(name, text, message):
    with pytest.raises(ValueError, match=message):
        read_range(name, text, BASE)


def test_sets_are_read_by_the_paper_s_names_and_the_last_one_counts():
    given = ["tau=0.1", "p_i=uniform(0.1, 0.2)", "lambda=0.5", "learning-rate=1e-3", "tau=0.2"]
    assert read_sets(given) == {
        "temperature": "0.2", "p_important": "uniform(0.1, 0.2)", "entropy_weight": "0.5", "lr": "1e-3",
    }  # fmt: skip
    assert read_sets(["alpha=uniform(0.1, 1); tau=0.5"]) == {"alpha": "uniform(0.1, 1)", "temperature": "0.5"}
    with pytest.raises(ValueError, match="--set takes NAME=VALUE, got 'alpha'"):
        read_sets(["alpha"])
    with pytest.raises(ValueError, match="unknown setting 'aplha'; a sweep varies alpha, temperature"):
        read_sets(["aplha=0.1"])


def test_a_method_searches_what_it_uses():
    assert set(make_space(Settings(method="normal"), [], {})[1]) == {"batch_size", "lr"}
    assert set(make_space(Settings(method="entropy"), [], {})[1]) == {
        "entropy_weight", "batch_size", "p_unimportant", "lr",
    }  # fmt: skip
    assert set(make_space(Settings(method="masked"), [], {})[1]) == {"batch_size", "lr"}
    assert "guided_weight" in make_space(Settings(method="saliency_guided"), [], {})[1]
    assert "rationale_weight" in make_space(Settings(method="rationale"), [], {})[1]
    assert set(METHODS) == set(USED)
    both = make_space(Settings(), [], {"method": "choice(entropy, pct)"})[1]
    assert {"alpha", "entropy_weight", "method"} <= set(both)


def test_what_is_given_is_fixed_and_set_stands_above_it():
    base, ranges = make_space(Settings(alpha=0.3), ["alpha"], {"lr": "0.001"})
    assert "alpha" not in ranges
    assert "lr" not in ranges
    assert (base.alpha, base.lr) == (0.3, 0.001)
    assert "alpha" in make_space(Settings(alpha=0.3), ["alpha"], {"alpha": "uniform(0.1, 1.0)"})[1]
    with pytest.raises(ValueError, match="nothing is left to search"):
        make_space(Settings(method="normal"), ["batch_size", "lr"], {})


def test_a_model_that_is_set_has_its_own_defaults_but_for_what_is_given():
    base, _ = make_space(Settings(lr=5e-4, batch_size=32), ["lr", "batch_size"], {"model": "distilbert"})
    assert base == Settings(model="distilbert", lr=5e-4, batch_size=32)


@pytest.mark.parametrize("model", sorted(RANGES))
def test_every_range_is_sound_and_holds_the_paper_s_setting(model):
    base = Settings(model=model)
    for name, text in RANGES[model].items():
        found = read_range(name, text, base)
        assert isinstance(found, Range)
        assert found.holds(getattr(base, name)), (model, name)
    assert (base.lr, base.alpha, base.temperature) == paper_settings(model)
