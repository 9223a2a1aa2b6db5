"""Names of methods and metrics: the project's own, a script's, another package's."""

import sys

import pytest

from pct.metrics import metrics
from pct.registry import Registry
from tests.pct.toy import Scale


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `tiny` on the path, with metadata that names two things and a third that cannot be loaded."""
    (tmp_path / "tiny.py").write_text("def two():\n    return 2\n", encoding="utf-8")
    about = tmp_path / "tiny-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.5\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[toy.things]\ntwo = tiny:two\nlost = tiny:three\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("tiny", None)


def registry():
    return Registry("thing", "toy.things", {"one": "tests.pct.toy:Scale"})


def test_another_package_s_names_are_listed_without_importing_it_and_loaded_when_asked_for(package):
    things = registry()
    assert things.names() == ["one", "lost", "two"]
    things.check("two")
    assert "tiny" not in sys.modules
    assert things.get("two")() == 2
    assert "tiny" in sys.modules


def test_a_script_adds_a_name_by_the_decorator():
    things = registry()

    @things.register("three")
    def three():
        return 3

    assert things.get("three") is three
    assert things.names()[-1] == "three"
    assert things.origin("three") == f"the module {__name__}"


def test_an_unknown_name_lists_what_there_is(package):
    for ask in (registry().get, registry().check):
        with pytest.raises(ValueError, match="thing must be one of one, lost, two, got 'tow'"):
            ask("tow")


def test_a_name_that_came_from_a_package_which_is_gone_names_the_package(package, monkeypatch):
    origin = registry().origin("two")
    assert origin == "the package tiny 1.5 (tiny:two)"
    monkeypatch.undo()
    with pytest.raises(
        ImportError, match=r"the thing 'two' is missing: it came from the package tiny 1.5 \(tiny:two\)"
    ):
        registry().check("two", origin)


def test_a_package_that_cannot_be_loaded_is_named(package):
    with pytest.raises(ImportError, match=r"the thing 'lost' of the package tiny 1.5 \(tiny:three\) cannot be loaded"):
        registry().get("lost")


def test_a_name_that_is_taken_is_nobody_else_s():
    things = registry()
    with pytest.raises(ValueError, match=r"the thing 'one' exists already, from tests\.pct\.toy"):
        things.register("one")(len)
    things.register("size")(len)
    things.register("size")(len)
    with pytest.raises(ValueError, match="the thing 'size' exists already, from builtins"):
        things.register("size")(registry)
    assert things.origin("one") == ""
    assert things.get("one") is Scale


def test_each_of_the_project_s_metrics_has_its_name():
    for name in metrics.own:
        assert name in metrics.get(name).names
    assert set(metrics.own) == {name for cls in map(metrics.get, metrics.own) for name in cls.names}
