"""An audit as a page, a fragment, a section of a model card, a figure, and a table in a terminal."""

import math
import re
from html.parser import HTMLParser

import pytest

from pct.auditing.result import Audit
from pct.explaining.explanation import Explanation
from pct.metrics.bootstrap import Interval
from pct.output.audit_page import READING, audit_html, audit_markdown, audit_page
from pct.output.audit_svg import axis_ticks, compared, intervals_svg
from pct.output.audit_table import WIDEST, audit_table
from pct.output.numbers import number, percent, spell
from tests.pct.auditing.fake_audits import explanation, fake_audit

ARABIC, CHINESE, EVIL = (
    ["هذا", "الفيلم", "ممتع", "جدا"],
    list("这部电影好"),
    ["<script>alert(1)</script>", "&amp;", "fine"],
)
MANY = {f"saliency_{i}": 0.25 - 0.03 * i for i in range(12)} | {"a_package.with_a_name_of_many_letters": -0.2}
OPEN = {"meta", "path", "rect", "circle", "polyline", "br"}  # elements without a closing tag


class Checked(HTMLParser):
    """Fails where a tag is closed that is not open; collects what is asked for."""

    def __init__(self, page):
        super().__init__()
        self.stack, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(page)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in OPEN:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if not self.stack or self.stack[-1] != "style":
            self.text.append(data)


AUDITS = {
    "one": fake_audit({"l2": 0.1}),
    "many": fake_audit(MANY, ("delete", "mask", "unknown"), examples=[ARABIC, CHINESE, EVIL]),
    "no best": fake_audit({"l2": 0.0, "occlusion": -0.1}, examples=[EVIL]),
    "at chance": fake_audit({"l2": 0.1}, accuracy=Interval(0.51, 0.47, 0.55)),
    "no labels": fake_audit({"l2": 0.1}, accuracy=None),
    "no curves": fake_audit({"l2": 0.1}, curves=False),
}


@pytest.mark.parametrize("audit", AUDITS.values(), ids=AUDITS)
def test_a_page_is_whole_and_needs_no_script_and_no_other_file(audit):
    page = audit_page(audit)
    seen = Checked(page)
    assert page.startswith("<!doctype html>")
    assert not {"script", "link", "img", "iframe"} & set(seen.tags)
    assert not re.search(r"https?://|url\(|@import", page)
    text = " ".join(seen.text)
    for sentence in (*audit.judgement.verdict, *audit.judgement.advice, *READING):
        assert sentence in text
    assert text.count("NaN") + text.count("nan") == 0
    assert "-0.000" not in text


@pytest.mark.parametrize("audit", AUDITS.values(), ids=AUDITS)
def test_every_picture_says_what_it_is_to_who_cannot_see_it(audit):
    pictures = [a for tag, a in Checked(audit_page(audit)).attributes if tag == "svg"]
    assert pictures
    assert all(a["role"] == "img" and a["aria-label"] for a in pictures)


def test_the_judgement_stands_before_all_else():
    text = " ".join(Checked(audit_page(AUDITS["many"])).text)
    order = ["Best saliency: saliency_0", "What to do.", "accuracy", "Margin and win", "How to read", "All metrics"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "0.900 [0.870, 0.920]; the largest class has 0.500" in text
    assert "3 were cut" in text


def test_what_is_wrong_with_a_model_is_the_head_of_its_page():
    def heads(name):
        return re.search(r'<p class="best">([^<]*)<', audit_page(AUDITS[name]))[1]

    assert heads("no best") == "No saliency beats a random order"
    assert heads("at chance") == "The model is not significantly better than its most frequent class"


def test_without_labels_no_accuracy_is_shown():
    assert "<dt>accuracy</dt>" not in audit_page(AUDITS["no labels"])
    assert "<dt>accuracy</dt>" in audit_page(AUDITS["one"])


def test_nothing_of_a_text_or_a_name_becomes_markup():
    evil = fake_audit({"<b>l2</b>": 0.1}, examples=[EVIL], model="<i>&", source='"><u>')
    for page in (audit_page(evil), audit_html(evil)):
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "u" not in Checked(page).tags
        assert "<b>l2" not in page
        assert "encoders &amp; decoders" in page


def test_texts_of_any_script_stand_as_they_are_in_their_own_direction():
    page = audit_page(AUDITS["many"])
    assert all(f">{word}</mark>" in page for word in (*ARABIC, *CHINESE))
    assert '<p class="words" dir="auto">' in page


def test_the_plot_marks_the_best_the_ties_the_control_and_what_is_no_better_than_chance():
    audit = fake_audit({"grad_x_input": 0.2, "occlusion": 0.2, "l2": 0.1, "attention": 0.0})
    picture = intervals_svg(audit, "delete")
    actual = re.findall(r'<g class="(\w+)"><title>([\w_]+),', picture)
    assert {name: kind for kind, name in actual} == {
        "grad_x_input": "best", "occlusion": "tie", "l2": "better", "attention": "none", "random": "control",
    }  # fmt: skip
    margins = [audit.row(name).metrics["margin"].value for _, name in actual]
    assert margins == sorted(margins, reverse=True)


def test_an_interval_is_drawn_where_its_numbers_are():
    audit = fake_audit({"l2": 0.2})
    picture = intervals_svg(audit, "delete")
    ticks = dict(re.findall(r'<text class="tick" x="([\d.]+)"[^>]*>([-\d.]+)</text>', picture.split("win against")[0]))
    (x0, t0), (x1, t1) = [(float(x), float(t)) for x, t in ticks.items()][:2]
    low, high = map(float, re.search(r'<g class="best">.*?M([\d.]+) [\d.]+H([\d.]+)', picture).groups())
    wanted = [x0 + (end - t0) * (x1 - x0) / (t1 - t0) for end in audit.row("l2").metrics["margin"][1:]]
    assert [low, high] == pytest.approx(wanted, abs=0.3)


def test_the_curves_are_those_of_the_best_and_the_worst_beside_the_random_order():
    removal, names = compared(AUDITS["many"])
    assert (removal, names) == ("delete", ["saliency_0", "a_package.with_a_name_of_many_letters"])
    page = audit_page(AUDITS["many"])
    assert page.count('<polyline class="own first"') == page.count('<polyline class="control last"') == 2
    assert compared(AUDITS["one"])[1] == ["l2"]
    assert compared(AUDITS["no curves"]) == ("", [])
    assert "Mean confidence with" not in audit_page(AUDITS["no curves"])


def test_a_metric_that_one_removal_lacks_is_a_dash_or_has_no_column():
    audit = fake_audit({"l2": 0.2, "occlusion": 0.1})
    audit.rows[0].metrics["tau_loo"] = Interval(0.5, 0.4, 0.6)
    for row in audit.rows:
        row.metrics["stable_word"] = Interval(math.nan, math.nan, math.nan)
    page = audit_page(audit)
    assert page.count('<td class="missing">-</td>') == 2
    assert ">stable_word</th>" not in page


def test_a_fragment_brings_its_style_and_is_no_page():
    fragment = audit_html(AUDITS["one"])
    assert fragment.startswith("<style>")
    assert "<body" not in fragment
    assert AUDITS["one"]._repr_html_() == fragment


def test_a_model_card_gets_the_verdict_a_table_and_how_it_was_measured():
    audit = AUDITS["many"]
    section = audit_markdown(audit)
    lines = section.splitlines()
    assert lines[0] == "## Which explanation to trust"
    assert lines[2].startswith(audit.judgement.verdict[0])
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {3 + 3 * 3 + 1}
    assert len(table) == 2 + 14
    assert table[2].startswith("| **saliency_0** | 1.0 | 1.5 | ")
    x = audit.row("saliency_0", "mask").metrics["margin"]
    assert spell(x) in table[2]
    assert "on 300 texts" in lines[-1]
    ways = "words deleted or words replaced by the mask token or words replaced by the unknown token"
    assert f"{ways}, 10 % of the words per side, seed 0" in lines[-1]
    assert fake_audit({"a|b<c": 0.2}).to_markdown().count("a\\|b&lt;c") >= 2


def test_a_file_is_written_as_its_name_ends(tmp_path):
    audit = AUDITS["one"]
    for name, start in (("a.html", "<!doctype"), ("a.md", "## "), ("a.json", "{")):
        audit.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    assert Audit.load(tmp_path / "a.json").to_dict() == audit.to_dict()
    with pytest.raises(ValueError, match=r"written as .html, .md, .json, got"):
        audit.save(tmp_path / "a.pdf")


@pytest.mark.parametrize("audit", AUDITS.values(), ids=AUDITS)
def test_a_figure_has_a_panel_of_margin_and_one_of_win_a_removal(audit, tmp_path):
    pytest.importorskip("matplotlib")
    from pct.output.plots import save

    figure = audit.plot()
    removals = {row.removal for row in audit.rows}
    assert len(figure.axes) == 2 * len(removals)
    assert len(figure.axes[0].get_yticklabels()) == len(audit.rows) // len(removals)
    save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [60, 80, 120, 160])
@pytest.mark.parametrize("audit", AUDITS.values(), ids=AUDITS)
def test_the_columns_of_a_terminal_line_up_within_its_width(audit, width):
    lines = [
        line for line in audit_table(audit, width).splitlines() if line and not line.startswith(("words", "no room"))
    ]
    assert len({len(line) for line in lines}) == 1
    fixed = len("  ") + max(len(row.saliency) for row in audit.rows) + len("  passes    ms")
    assert len(lines[0]) <= max(width, fixed + 30)
    heads = lines[0].split()
    cells = [re.split(r" {2,}", line[2:].strip()) for line in lines]
    assert {len(row) for row in cells} == {len(heads)}
    assert "margin" in heads


def test_metrics_that_do_not_fit_are_named_and_the_first_to_stay_is_margin():
    audit = AUDITS["one"]
    assert "no room for win, comp-suff" in audit_table(audit, 50)
    wide = audit_table(audit, 160)
    assert "no room" not in wide
    assert wide.splitlines()[1].split() == ["saliency", "passes", "ms", "comp-suff", "margin", "win"]


def test_a_wide_terminal_is_not_filled(monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert max(map(len, AUDITS["many"].table.splitlines())) <= WIDEST
    assert max(len(line) for line in AUDITS["many"].summary().splitlines() if "[" in line) <= WIDEST


def test_a_number_that_rounds_to_zero_has_no_sign_and_none_is_a_dash():
    assert [number(x) for x in (-0.0004, 0.0004, -0.0006, math.nan)] == ["0.000", "0.000", "-0.001", "-"]
    assert number(-0.04, 1) == "0.0"
    assert spell((-0.0001, -0.2, 0.1)) == "0.000 [-0.200, 0.100]"
    assert spell(None) == spell((math.nan,) * 3) == "-"
    assert percent((0.874, 0.8, 0.9)) == "87 % [80 %, 90 %]"


@pytest.mark.parametrize("ends", [(0, 0.02), (-0.009, 0.265), (-0.131, 0.231), (-1, 1), (0, 0.5), (-0.0001, 0.021)])
def test_an_axis_has_some_round_numbers_and_zero(ends):
    ticks = axis_ticks(*ends)
    assert 0.0 in ticks
    assert 3 <= len(ticks) <= 8
    assert ends[0] - 1e-9 <= ticks[0]
    assert ticks[-1] <= ends[1] + 1e-9
    assert all(len(f"{tick:g}") <= 6 for tick in ticks)


def test_an_explanation_is_made_again_from_its_dictionary():
    first = explanation(ARABIC)
    again = Explanation.from_dict(first.to_dict())
    assert again.to_dict() == first.to_dict()
    assert again.verdict == first.verdict
    assert again.to_html() == first.to_html()
