"""What a terminal, a browser and a notebook get of an explanation."""

import io
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import pct
from pct import cli
from pct.corpora.rows import Chunk
from pct.explaining.explanation import Curve, Explanation
from pct.output.files import write_explanations
from pct.output.html import SIGNED, UNSIGNED, explanation_html, legend_html, words_html
from pct.output.shades import is_signed, shade_levels, word_shades
from pct.output.terminal import render
from pct.output.workers import Workers
from tests.pct.toy import Scale


def explanation(saliency=(0.1, 1.0), **changes):
    first = Explanation(
        words=["so", "good"], saliency=np.array(saliency, np.float32), label=1, label_name="positive", confidence=0.9,
        important=Curve([1], [0.9, 0.4], 1), unimportant=Curve([0], [0.9, 0.95]), comp=0.5, suff=-0.05,
        text="so <good>!", spans=[(0, 2), (4, 8)], known=[True, True],
    )  # fmt: skip
    return replace(first, **changes)


def test_a_norm_is_shaded_between_its_smallest_and_largest_and_has_one_side():
    assert word_shades(np.array([2.0, 3.0, 4.0]), False).tolist() == [0, 0.5, 1]
    assert shade_levels(np.array([2.0, 3.0, 4.0]), False) == [0, 2, 4]
    assert shade_levels(np.array([3.0, 3.0]), False) == [0, 0]


def test_a_signed_saliency_is_shaded_by_size_for_and_against():
    assert word_shades(np.array([-0.855, 0.4, 0.0]), True) == pytest.approx([-1, 0.4 / 0.855, 0])
    assert shade_levels(np.array([-0.855, 0.4, 0.0]), True) == [-4, 2, 0]


def test_a_terminal_shades_words_by_colour_or_by_marks():
    assert "\x1b[48;5;203m\x1b[30mgood\x1b[0m" in render(explanation(), colour=True)
    plain = str(explanation())
    assert plain == render(explanation(), colour=False)
    assert "so good****" in plain
    assert "0.400" in plain
    assert plain.count("the prediction changes") == 1
    assert "\x1b" not in plain


def test_a_terminal_tells_words_against_the_class_from_words_for_it_and_marks_unknown_ones():
    plain = render(explanation((-1.0, 0.5), known=[True, False]), colour=False)
    assert "so---- good[?]**" in plain
    assert "(* for positive, - against; [?] unknown to the model)" in plain
    coloured = render(explanation((-1.0, 0.5)), colour=True)
    assert "\x1b[48;5;75m\x1b[30mso\x1b[0m" in coloured


def test_a_flip_behind_the_steps_that_are_shown_is_said():
    plain = render(explanation(important=Curve([1], [0.9, 0.8], 7)), colour=False)
    assert "the prediction changes after 7" in plain


def test_a_terminal_without_some_characters_gets_what_it_can_show(monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setitem(sys.modules, "show", SimpleNamespace(main=lambda arguments: print("é █") or 0))
    monkeypatch.setattr(cli, "COMMANDS", {"show": ("show", "")})
    assert cli.main(["show"]) == 0
    screen.flush()
    assert screen.buffer.getvalue().decode("cp1252").splitlines() == ["é ?"]


def test_a_page_shades_the_text_as_it_was_given():
    shown = words_html(explanation((-1.0, 0.5), known=[True, False]))
    assert re.sub("<[^>]*>", "", shown) == "so &lt;good&gt;!"
    assert '<mark class="a4" title="-1">so</mark>' in shown
    assert '<mark class="f2 unknown" title="0.5, unknown to the model">good</mark>' in shown


def test_an_article_says_verdict_gold_and_what_was_cut():
    shown = explanation_html(explanation(truncated=3), gold="<negative>")
    assert "it is &lt;negative&gt;" in shown
    assert "3 words beyond the model's length" in shown
    assert "no order of two words can be judged" in shown
    assert shown.count("<polyline") == 2
    assert shown.count("<path class=") == 1  # one curve has a flip


def test_the_legend_names_what_occurs():
    assert "against" not in legend_html([explanation()])
    assert "against" in legend_html([explanation((-1.0, 0.5))])
    assert "unknown" in legend_html([explanation(known=[True, False])])
    assert "unknown" not in legend_html([explanation()])


def test_the_saliency_s_name_says_whether_it_has_a_sign_everywhere_alike():
    for name, signed in (("l2", False), ("attention", False), ("grad_x_input", True), ("occlusion", True)):
        low, high = (explanation((-0.5, 0.5), saliency_name=name) for _ in range(2))
        positive = explanation((0.5, 1.0), saliency_name=name)
        assert positive.signed is low.signed is signed
        assert positive.to_dict()["signed"] is signed
        assert ("against" in legend_html([positive])) is signed
        assert ("against" in positive.to_html()) is signed
        assert ("against" in render(positive, colour=False)) is signed
        assert ('class="a' in words_html(high)) is signed
    assert word_shades(np.array([0.5, 1.0]), True).tolist() == [0.5, 1.0]  # of a sign, not between smallest and largest


def test_a_saliency_that_nobody_named_has_a_sign_where_a_number_is_below_zero():
    assert not is_signed("", [0.0, 1.0])
    assert is_signed("", [-0.1, 1.0])
    assert is_signed("of another package", [-0.1])


@pytest.mark.parametrize(("name", "signed"), [("l2", False), ("grad_x_input", True)])
def test_a_page_of_a_file_says_what_its_own_saliency_means(name, signed, tmp_path):
    class Named(Scale):
        explains_by = name

    chunk = Chunk(["good the bad"], None, [1])
    write_explanations(Workers(Named()), [chunk], tmp_path / "a.html", {})
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert (SIGNED["confidence"] in page, UNSIGNED in page) == (signed, not signed)


def test_an_explanation_says_by_which_saliency_it_was_made():
    assert pct.explain(pct.predictor_from(lambda t: [[0.5, 0.5]] * len(t), ["a", "b"]), ["x y"])[0].signed
    assert not pct.explain(Scale(), ["good bad"])[0].signed


def test_explanations_and_reports_show_themselves_in_a_notebook():
    (explained,) = pct.explain(Scale(), ["good the bad superb"])
    assert ">superb</mark>" in explained._repr_html_()
    report = pct.evaluate(Scale(), (["good the bad superb", "superb the the bad"], [1, 1]))
    assert "<td>comp</td>" in report._repr_html_()
    assert len(repr(report)) < 1500
    assert "comp-suff" in repr(report)


def test_explanations_and_reports_become_frames_and_figures():
    pytest.importorskip("pandas")
    (explained,) = pct.explain(Scale(), ["good the bad superb"])
    frame = explained.to_pandas()
    assert frame["word"].tolist() == ["good", "the", "bad", "superb"]
    assert frame["important_step"].fillna(0).tolist() == [2, 0, 3, 1]  # "the" is the one that remains
    report = pct.evaluate(Scale(), (["good the bad superb", "superb the the bad"], [1, 1]))
    assert report.to_pandas()["n"].tolist() == [4, 4]
    pytest.importorskip("matplotlib")
    assert len(explained.plot().axes) == 2
    assert report.plot().axes[0].get_xlabel() == "comp − suff of a text"


def test_the_words_of_a_class_are_ranked_by_their_share_of_the_saliency():
    texts = ["superb the film", "superb the night", "bad the film", "bad the bad night"]
    rows = pct.words_of(pct.explain(Scale(), texts))
    best = {label: next(r for r in rows if r["class"] == label) for label in ("positive", "negative")}
    assert (best["positive"]["word"], best["positive"]["count"]) == ("superb", 2)
    assert (best["negative"]["word"], best["negative"]["count"]) == ("bad", 3)
    assert best["positive"]["share"] == pytest.approx(1.0)
    assert best["positive"]["lift"] == pytest.approx(3.0)
    assert all(r["count"] >= 2 for r in rows)
