"""Texts in figures are drawn in fonts that have their characters; what no font has is told in one line."""

import io
import logging
import warnings

import pytest

import pct
from tests.pct.toy import Scale

pytest.importorskip("matplotlib")

from pct.output import fonts
from pct.output.plots import example_figure, explanation_figure

SCRIPTS = "good 映画 фильм ταινία फ़िल्म فيلم 영화 🎬 bad"


def drawn(figure):
    """The figure as PNG; any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png = io.BytesIO()
        figure.savefig(png, format="png")
    return png.getvalue()


def test_a_text_of_any_script_is_drawn_without_a_warning_and_with_one_line_at_most(caplog):
    explained = pct.explain(Scale(), [SCRIPTS])[0]
    for make in (
        lambda: explanation_figure(explained),
        lambda: example_figure([explained], ["negative"], [0.1], "映画"),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING), warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = make()
            assert drawn(figure)[:4] == b"\x89PNG"
        assert len(caplog.records) <= 1
        assert "/" not in caplog.text.partition("no installed font")[2]  # no path of the installation


def test_the_usual_font_stands_first_and_others_are_added_where_they_have_what_it_lacks(monkeypatch):
    has = {"Usual": "aé", "Noto One": "映", "Other": "映画ф"}
    monkeypatch.setattr(fonts, "usual_font", lambda: "Usual")
    monkeypatch.setattr(fonts, "installed_fonts", lambda: ("Noto One", "Other", "Usual"))
    monkeypatch.setattr(fonts, "characters_of", lambda family: frozenset(has[family]))
    assert fonts.choose_fonts({"é"}) == (["Usual"], set())
    assert fonts.choose_fonts({"é", "映"}) == (["Usual", "Noto One"], set())
    assert fonts.choose_fonts({"映", "画", "ф", "\u200d"}) == (["Usual", "Noto One", "Other"], set())
    assert fonts.choose_fonts({"व"}) == (["Usual"], {"व"})


def test_a_character_that_no_font_has_becomes_a_box_and_is_named(monkeypatch, caplog):
    from matplotlib import rcParams

    before = list(rcParams["font.family"])
    monkeypatch.setattr(fonts, "installed_fonts", lambda: ())
    with caplog.at_level(logging.WARNING), fonts.fonts_for(["映画 film"]) as fit:
        assert rcParams["font.family"] == [fonts.usual_font()]
        assert fit("映画 film") == "□□ film"
    assert "no installed font has 2 characters of the texts (映 画)" in caplog.text
    assert rcParams["font.family"] == before


def test_what_the_usual_font_has_is_left_as_it_is(caplog):
    with fonts.fonts_for(["ça va, фильм"]) as fit:
        assert fit("ça va, фильм") == "ça va, фильм"
    assert not caplog.records
