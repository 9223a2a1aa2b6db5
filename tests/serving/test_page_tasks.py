"""The page for a model of several labels and for one that gives a number, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pct.onnx.export import export
from tests.browser import needs_browser
from tests.pct.number import number_model
from tests.pct.several import several_classifier
from tests.pct.small import LEXICON
from tests.serving.conftest import Running, serving
from tests.serving.test_page import Page, answer, artefacts, driver, shown

__all__ = ["artefacts", "driver"]  # fixtures
pytestmark = [needs_browser, pytest.mark.page]
TEXT = " ".join(LEXICON[3:12])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = Path(tmp_path_factory.mktemp("tasks"))
    export(several_classifier("textcnn", max_length=16, threshold=0.01), folder / "several", modified=[])
    export(number_model("textcnn", max_length=16), folder / "number", modified=[])
    with serving(folder, f"labels={folder / 'several'}", f"stars={folder / 'number'}") as running:
        yield running


@pytest.fixture
def page(driver, served: Running, artefacts: Path) -> Iterator[Page]:
    driver.get_log("browser")
    yield Page(driver, served.url, artefacts).open()
    assert [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []


def test_the_label_that_is_explained_is_chosen_by_a_button(page, served):
    page.explain(TEXT)
    labels, number = page.panels()
    buttons = [b for b in labels.find_elements("css selector", ".explained button") if b.is_displayed()]
    assert [b.text for b in buttons] == ["negative", "positive", "neither"]
    assert not [b for b in number.find_elements("css selector", ".explained button") if b.is_displayed()]
    for button in reversed(buttons):
        button.click()
        own = answer(served, "labels", TEXT, target=button.text)
        assert button.get_attribute("aria-pressed") == "true"
        said = labels.find_element("css selector", ".said").text
        assert own["label"] in said
        assert shown(own["target_confidence"]) in said
        assert f"confidence in {button.text}" in labels.find_element("css selector", ".moved").text


def test_a_number_stands_with_its_name_and_moves_in_its_unit(page, served):
    page.explain(TEXT)
    own = answer(served, "stars", TEXT)
    _, number = page.panels()
    said = number.find_element("css selector", ".said").text
    assert said.startswith("stars")
    assert shown(own["value"]).replace("-", "−") in said
    assert "Undecided here" in number.text
    page.js("const s = document.getElementById('slider'); s.value = 2; s.dispatchEvent(new Event('input'))")
    after = own["important"]["steps"][1]["confidence"]
    page.until(lambda: shown(after).replace("-", "−") in number.find_element("css selector", ".said").text)
    assert number.find_element("css selector", ".moved").text.startswith("Stars: ")
    ticks = number.find_elements("css selector", ".axes text")
    values = [own["value"], *(s["confidence"] for side in ("important", "unimportant") for s in own[side]["steps"])]
    assert float(ticks[4].text.replace("−", "-")) == pytest.approx(max(values), rel=0.01)


def test_a_word_removed_by_hand_gives_the_number_without_it(page, served):
    page.explain(TEXT)
    _, number = page.panels()
    number.find_elements("css selector", ".word")[0].click()
    without = " ".join(TEXT.split()[1:])
    _, found = served.ask("/predict", {"texts": [without], "model": "stars"})
    value = shown(found["predictions"][0]["value"]).replace("-", "−")
    page.until(lambda: value in number.find_element("css selector", ".said").text)
