"""The page of a model that reads pairs of texts: two fields, both texts under their names, whose words go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[dev]'")

import pct
from pct.onnx.export import export
from tests.browser import browser, needs_browser
from tests.pct.models.families import classifier, tokenizer
from tests.serving.conftest import serving
from tests.serving.test_page import Page

pytestmark = [needs_browser, pytest.mark.page]

FIRST, SECOND = "a film of joy", "it isn't bad"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("pairs")
    export(pct.wrap(classifier("BERT"), tokenizer("BERT"), "BERT"), folder / "onnx", modified=[])
    with serving(folder, f"pairs={folder / 'onnx'}") as running, browser() as driver:
        yield Page(driver, running.url, Path(folder))


def ask(page: Page, **settings: str) -> None:
    page.open()
    page.one("#text_pair").clear()
    page.one("#text_pair").send_keys(SECOND)
    if settings:
        page.choose(**settings)
    page.explain(FIRST)


def sides(page: Page) -> list[str]:
    return [side.text for side in page.all(".side")]


def test_both_texts_stand_under_their_names_and_words_of_both_can_be_removed(page: Page) -> None:
    ask(page)
    assert sides(page) == [f"text {FIRST}", f"text_pair {SECOND}"]
    words = page.all(".word")
    assert [word.text for word in words] == [*FIRST.split(), *SECOND.split()]
    words[0].click()
    words[-1].click()
    page.until(lambda: page.texts(".step-title")[0].startswith("The text without 2 words, by hand: "))
    assert page.texts(".step-text") == ["film of joy\nit isn't"]
    # the link shows the same pair again
    page.one("#link").click()
    address = page.js("return location.hash")
    assert "text_pair=it+isn" in address
    page.open(address)
    assert page.one("#text_pair").get_attribute("value") == SECOND
    assert sides(page) == [f"text {FIRST}", f"text_pair {SECOND}"]


def test_one_text_may_be_context(page: Page) -> None:
    ask(page, remove="second")
    assert [word.text for word in page.all(".word")] == SECOND.split()
    assert sides(page)[0] == f"text {FIRST}"
    assert page.texts(".step-text") == [f"{FIRST}\n{SECOND}"]


def test_an_empty_second_text_is_a_single_text(page: Page) -> None:
    page.open()
    page.explain(FIRST)
    assert not page.all(".side")
    assert [word.text for word in page.all(".word")] == FIRST.split()
