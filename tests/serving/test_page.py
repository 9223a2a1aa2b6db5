"""The page in a real browser, against a real service of two models."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[dev]'")
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import browser, needs_browser
from tests.serving.conftest import Running, serving

pytestmark = [needs_browser, pytest.mark.page]

TEXT = "despite its slow start , the film is a brilliant and moving comedy ."
WORDS = TEXT.split()
SECONDS = 60  # how long is waited for what must come; a crowded machine needs it

# The colours as they are seen: backgrounds are painted one over another, from the root to the element.
CONTRAST = """
const shown = (element) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const path = [];
  for (let e = element; e; e = e.parentElement) path.unshift(e);
  const over = (colour) => { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); };
  over(matchMedia("(prefers-color-scheme: dark)").matches ? "black" : "white");
  for (const e of path) over(getComputedStyle(e).backgroundColor);
  const ground = [...paint.getImageData(0, 0, 1, 1).data];
  over(getComputedStyle(element).color);
  return [ground, [...paint.getImageData(0, 0, 1, 1).data]];
};
const light = ([r, g, b]) => {
  const part = (x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
return [...document.querySelectorAll(arguments[0])].filter((e) => e.offsetParent && e.textContent.trim()).map((e) => {
  const [a, b] = shown(e).map(light).sort((x, y) => y - x);
  return [(e.id || e.className || e.tagName) + ": " + e.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)];
});
"""

WRITTEN = "h1, h2, p, label, legend, .word, button, select, input, dt, dd, summary, abbr, a, .quiet, figcaption, output"


class Page:
    """The page as a user has it."""

    def __init__(self, driver: webdriver.Chrome, url: str, artefacts: Path) -> None:
        self.driver, self.url, self.artefacts = driver, url, artefacts
        self.size(1280, 900)
        self.scheme("light")

    def open(self, fragment: str = "") -> Page:
        """A fresh page, with the worked example explained, or what its address says."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{fragment}")
        self.until(lambda: self.status("wrong") or (self.panels() and self.settled()))
        return self

    def settled(self) -> bool:
        return self.one("#results").get_attribute("aria-busy") == "false"

    def choose(self, **settings: str) -> None:
        """Settings of the form, which are folded at first."""
        if not self.one("#settings").get_attribute("open"):
            self.one("#settings summary").click()
        for id, value in settings.items():
            self.one(f"#{id} option[value={value}]").click()

    def one(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, what: Callable[[], Any]) -> Any:
        # an element that was looked at may be replaced just then
        wait = WebDriverWait(self.driver, SECONDS, 0.03, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: what())

    def status(self, kind: str = "") -> str:
        found = self.one("#status")
        return found.text if kind in (found.get_attribute("class") or "") else ""

    def fails(self) -> str:
        """The sentence of the next error."""
        return str(self.until(lambda: self.status("wrong")))

    def explain(self, text: str = TEXT) -> None:
        """Types a text and explains it."""
        field = self.one("#text")
        field.clear()
        field.send_keys(text)
        self.one("#explain").click()
        self.answered()

    def put(self, text: str) -> None:
        """A text in the field, as pasting puts it: drivers cannot type all characters."""
        self.js("const t = document.getElementById('text'); t.value = arguments[0];"
                "t.dispatchEvent(new Event('input', {bubbles: true}))", text)  # fmt: skip

    def answered(self) -> None:
        self.until(lambda: self.settled() and self.panels())
        assert not self.status("wrong")

    def panels(self) -> list[WebElement]:
        return self.all("#results:not([hidden]) .panel")

    def texts(self, css: str) -> list[str]:
        """What stands at a place of each panel, as it is displayed."""
        return self.js(  # type: ignore[no-any-return]
            "return [...document.querySelectorAll('.panel')].map((p) => p.querySelector(arguments[0]).innerText)", css
        )

    def figures(self) -> dict[str, str]:
        """Those of the first panel's text, by name."""
        return self.js(  # type: ignore[no-any-return]
            "const terms = document.querySelector('.panel').querySelectorAll('.measures dt');"
            "return Object.fromEntries([...terms].map((t) => [t.textContent, t.nextElementSibling.textContent]))"
        )

    def struck(self, panel: int = 0) -> list[int]:
        """The places of the words that are removed."""
        pressed, struck = self.js(
            "const words = [...document.querySelectorAll('.panel')[arguments[0]].querySelectorAll('.word')];"
            "const where = (is) => words.flatMap((w, i) => (is(w) ? [i] : []));"
            "return [where((w) => w.ariaPressed === 'true'),"
            " where((w) => getComputedStyle(w).textDecorationLine === 'line-through')]", panel
        )  # fmt: skip
        assert pressed == struck
        return pressed  # type: ignore[no-any-return]

    def emulate(self, command: str, **settings: Any) -> None:
        self.driver.execute_cdp_cmd(f"Emulation.{command}", settings)

    def size(self, width: int, height: int) -> None:
        self.emulate("setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, name: str) -> None:
        features = [
            {"name": "prefers-color-scheme", "value": name},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.emulate("setEmulatedMedia", features=features)

    def picture(self, name: str) -> None:
        """The whole page as a PNG file."""
        width = self.js("return innerWidth")
        self.size(width, self.js("return document.documentElement.scrollHeight"))
        self.driver.save_screenshot(str(self.artefacts / f"page-{name}.png"))


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    folder = Path(os.environ.get("PCT_ARTEFACTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """One headless Chromium for all tests here."""
    with browser() as started:
        yield started


@pytest.fixture
def page(driver: webdriver.Chrome, served: Running, artefacts: Path) -> Iterator[Page]:
    """The page, opened. No test may leave an error in the browser's console, a refused load among them."""
    driver.get_log("browser")
    yield Page(driver, served.url, artefacts).open()
    assert [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []


def answer(served: Running, model: str = "normal", text: str = TEXT, **more: Any) -> dict[str, Any]:
    """The service's own explanation."""
    status, found = served.ask("/explain", {"texts": [text], "model": model, **more})
    assert status == 200, found
    return found["explanations"][0]  # type: ignore[no-any-return]


def shown(confidence: float) -> str:
    return f"{confidence:.3f}"


def test_a_typed_text_is_explained(page, served):
    page.explain()
    why = answer(served)
    panel = page.panels()[0]
    assert panel.find_element(By.CSS_SELECTOR, ".said").text.split() == [why["label"], shown(why["confidence"])]
    words = panel.find_elements(By.CSS_SELECTOR, ".word")
    assert [w.text for w in words] == WORDS
    scores = [abs(w["saliency"]) for w in why["words"]]  # the colour tells the side, the shade the size
    shades = [float(page.js("return arguments[0].style.getPropertyValue('--shade')", w)) for w in words]
    assert [shades.index(x) for x in (max(shades), min(shades))] == [
        scores.index(x) for x in (max(scores), min(scores))
    ]
    assert all(a >= b for a, b in zip(*(sorted(x, reverse=True) for x in (shades, shades[1:])), strict=False))
    for side in ("important", "unimportant"):
        curve = panel.find_element(By.CSS_SELECTOR, f".curve.{side}")
        assert curve.get_attribute("aria-valuemax") == str(len(WORDS) - 1)
        assert len(curve.find_elements(By.CSS_SELECTOR, ".point")) == len(WORDS)
    figures = page.figures()
    assert figures["comp"] == shown(why["metrics"]["comp"]).replace("-", "−")
    assert int(figures["ir"].partition(",")[0]) == why["metrics"]["ir"]
    assert why["verdict"]["kind"] in panel.find_element(By.CSS_SELECTOR, ".verdict-title").text.lower()
    reasons = [line.text for line in panel.find_elements(By.CSS_SELECTOR, ".reasons li")]
    assert reasons == why["verdict"]["reasons"]
    verdict, chart = (panel.find_element(By.CSS_SELECTOR, css) for css in (".verdict", ".chart"))
    assert verdict.location["y"] < chart.location["y"]
    assert f"normal: {why['label']} {shown(why['confidence'])}" in page.status()
    page.picture("explained")


def test_it_opens_with_a_worked_example(page, served):
    text = page.one("#text").get_attribute("value") or ""
    assert page.one("#worked").is_displayed()
    assert "where those words do not matter" in page.one(".top p").text
    why = answer(served, text=text)
    assert page.texts(".said")[0].split() == [why["label"], shown(why["confidence"])]
    normal, pct = page.texts(".trained")
    assert normal.startswith("Trained on the labels alone")
    assert pct.startswith("Trained by pathological contrastive training")
    assert not page.one("#saliency").is_displayed()  # for those who look for it
    assert page.js("return location.hash") == ""
    page.explain()
    assert not page.one("#worked").is_displayed()


def test_back_and_forward_lead_through_the_questions(page):
    example = page.one("#text").get_attribute("value")
    for text in ("a dull film", "a moving film"):
        page.explain(text)
    page.one("#slider").send_keys(Keys.ARROW_RIGHT)  # a step is no question of its own
    page.until(lambda: "k=1" in page.js("return location.hash"))

    def leads(move, text):
        move()
        page.until(lambda: page.one("#text").get_attribute("value") == text and page.settled())
        assert " ".join(page.texts(".words")[0].split()) == text

    leads(page.driver.back, "a dull film")
    leads(page.driver.back, example)
    assert page.one("#worked").is_displayed()
    leads(page.driver.forward, "a dull film")
    leads(page.driver.forward, "a moving film")
    page.until(lambda: len(page.struck()) == 1)


def test_an_edited_text_marks_the_explanation_as_old(page):
    page.explain()
    assert not page.one("#old").is_displayed()
    page.one("#text").send_keys(" indeed")
    assert page.one("#old").is_displayed()
    assert "explanation of the previous text" in page.one("#old").text
    page.one("#text").send_keys(*[Keys.BACKSPACE] * 7)
    assert not page.one("#old").is_displayed()


def test_an_example_is_explained_at_once(page):
    example = page.all("#examples button")[1]
    text = example.text
    example.click()
    page.answered()
    assert page.one("#text").get_attribute("value") == text
    assert " ".join(page.texts(".words")[0].split()) == text


def test_the_slider_removes_words_in_either_order(page, served):
    page.explain()
    slider = page.one("#slider")
    for side in ("important", "unimportant"):
        page.one(f"[name=side][value={side}]").click()
        slider.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 3)
        for place, model in enumerate(("normal", "pct")):
            steps = answer(served, model)[side]["steps"][:3]
            assert page.struck(place) == sorted(s["removed"] for s in steps)
            assert page.texts(".confidence")[place].startswith(shown(steps[-1]["confidence"]))
            assert page.texts(".label")[place] == steps[-1]["label"]
            left = [w for i, w in enumerate(WORDS) if i not in {s["removed"] for s in steps}]
            assert page.texts(".step-text")[place] == " ".join(left)
    assert "3 words removed" in (slider.get_attribute("aria-valuetext") or "")
    ActionChains(page.driver).click_and_hold(slider).move_by_offset(60, 0).release().perform()
    reached = int(slider.get_attribute("value") or 0)
    assert reached > 3
    assert len(page.struck()) == reached
    page.picture("slid")
    page.one("#whole").click()
    assert page.struck() == []


def test_hovering_a_step_shows_its_text_and_prediction_until_the_pointer_leaves(page, served):
    page.explain()
    step = answer(served)["unimportant"]["steps"][4]
    point = page.panels()[0].find_elements(By.CSS_SELECTOR, ".curve.unimportant .point")[5]
    page.js("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(page.driver).move_to_element(point).perform()
    title = page.until(
        lambda: page.texts(".step-title")[0].startswith("The text without") and page.texts(".step-title")[0]
    )
    assert title == f"The text without 5 words, least salient first: {step['label']}, {shown(step['confidence'])}"
    assert len(page.texts(".step-text")[0].split()) == len(WORDS) - 5
    assert len(page.struck(1)) == 5  # the other model goes along
    ActionChains(page.driver).move_to_element(page.one("h1")).perform()
    page.until(lambda: page.struck() == [])
    ActionChains(page.driver).move_to_element(point).click().perform()
    assert page.one("#slider").get_attribute("value") == "5"


def test_a_clicked_word_goes_and_comes_back_and_the_confidence_moves(page, served):
    page.explain()
    before = page.texts(".said")
    page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")[9].click()
    page.panels()[1].find_elements(By.CSS_SELECTOR, ".word")[0].click()
    left = [w for i, w in enumerate(WORDS) if i not in (0, 9)]
    page.until(lambda: "“despite” removed" in page.status())
    for place, model in enumerate(("normal", "pct")):
        _, found = served.ask("/predict", {"texts": [" ".join(left)], "model": model})
        prediction, target = found["predictions"][0], answer(served, model)["target"]
        assert page.struck(place) == [0, 9]
        assert page.texts(".confidence")[place].startswith(shown(prediction["probabilities"][target]))
        assert page.texts(".label")[place] == prediction["label"]
    page.picture("clicked")
    for word in (9, 0):
        page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")[word].click()
    page.until(lambda: page.texts(".said") == before)
    assert page.struck() == []


def test_a_word_removed_by_hand_after_steps_adds_to_them(page, served):
    page.explain("a dull film")
    first = answer(served, text="a dull film")["important"]["steps"][0]["removed"]
    page.one("#slider").send_keys(Keys.ARROW_RIGHT)
    others = [i for i in range(3) if i != first]
    page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")[others[0]].click()
    assert page.struck() == sorted([first, others[0]])
    page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")[others[1]].click()
    assert "one always remains" in page.fails()
    assert page.struck() == sorted([first, others[0]])


def test_two_models_stand_side_by_side(page):
    page.explain()
    assert page.texts(".method") == ["normal", "pct"]
    left, right = page.panels()
    assert left.location["y"] == right.location["y"]
    assert left.location["x"] + left.size["width"] <= right.location["x"]
    charts = page.all(".chart")
    assert charts[0].location["y"] == charts[1].location["y"]
    page.all("[name=model]")[0].click()
    page.until(lambda: page.texts(".method") == ["pct"])


def test_everything_is_done_by_keyboard(page, served):
    keys = ActionChains(page.driver)

    def focus():
        return str(page.js("const e = document.activeElement; return e.id || e.getAttribute('class') || e.tagName"))

    def tab_to(name, most=40):
        for _ in range(most):
            keys.send_keys(Keys.TAB).perform()
            if name in focus():
                outline = page.js("return getComputedStyle(document.activeElement).outlineStyle")
                assert "curve" in name or outline != "none"
                return
        raise AssertionError(f"the Tab key does not reach {name}")

    tab_to("text")
    keys.key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).perform()  # over the worked example
    keys.send_keys(TEXT).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
    page.answered()
    tab_to("slider")
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    assert len(page.struck()) == 1
    tab_to("whole")
    keys.send_keys(Keys.ENTER).perform()
    assert page.struck() == []
    tab_to("word")
    keys.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ENTER).perform()
    assert page.struck() == [2]
    page.until(lambda: "“slow” removed" in page.status())
    tab_to("curve important")
    keys.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    steps = answer(served)["important"]["steps"]
    assert page.struck() == sorted(s["removed"] for s in steps[:2])
    message = page.js("return document.activeElement.getAttribute('aria-valuetext')")
    assert f"2 words removed, the last one “{steps[1]['word']}”" in message
    tab_to("curve unimportant")
    keys.send_keys(Keys.END).perform()
    assert len(page.struck()) == len(WORDS) - 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no text to explain"),
        (" \n ", "There is no text to explain"),
        ("film " * 2001, "The text has 10,005 characters, and this server takes 10,000"),
        ("\x1c", "Text 0 has no words"),
    ],
)
def test_a_text_that_cannot_be_explained_is_refused_in_words(page, text, message):
    page.put(text)
    page.one("#explain").click()
    assert message in page.fails()
    assert page.one("#status").get_attribute("aria-live") == "polite"
    assert page.one("#old").is_displayed()
    # the browser notes each refused request in its console: here it was meant to be
    page.driver.get_log("browser")


def test_settings_out_of_range_are_told(page):
    page.put(TEXT)
    page.js("document.getElementById('ask').noValidate = true; document.getElementById('steps').value = '900'")
    page.one("#explain").click()
    assert "a whole number from 1 to 200, not “900”" in page.fails()


def test_a_token_is_asked_for_and_a_stopped_server_is_told(driver, exported, artefacts, tmp_path):
    with serving(tmp_path, str(exported["normal"]), PCT_TOKEN="right-one") as running:
        page = Page(driver, running.url, artefacts).open()
        assert "asks for a token" in page.fails()
        page.picture("token")
        page.one("#token").send_keys("wrong", Keys.ENTER)
        page.until(lambda: "refuses this token" in page.status("wrong"))
        page.one("#token").send_keys("right-one", Keys.ENTER)
        page.until(lambda: page.panels() and page.settled())
        assert not page.one("#entry").is_displayed()
        page.explain()
        assert page.texts(".method") == ["normal"]
        page.js("Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as over plain HTTP
        page.one(".curl").click()
        command = page.until(lambda: page.one("#copied textarea").get_attribute("value"))
        assert '"Authorization: Bearer $PCT_TOKEN"' in command
        assert "right-one" not in command
        assert page.js("return [localStorage.length, document.cookie, location.href.includes('right-one')]") == [
            0,
            "",
            False,
        ]
    page.one("#explain").click()
    assert f"The server at {running.url} does not answer" in page.fails()
    assert page.one("#again").is_displayed()
    page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")[1].click()
    page.until(lambda: page.struck() == [1] and "does not answer" in page.status("wrong"))
    page.picture("stopped")
    driver.get_log("browser")


def test_a_busy_server_is_asked_again_and_at_last_given_up(page):
    page.js("""
        const ask = window.fetch;
        const headers = {"Retry-After": "0.05"};
        window.refusals = 1;
        window.fetch = (path, options) => path === "explain" && window.refusals-- > 0
            ? Promise.resolve(Response.json({error: "the service is busy"}, {status: 503, headers}))
            : ask(path, options);
        window.told = [];
        new MutationObserver(() => window.told.push(document.getElementById("status").textContent))
            .observe(document.getElementById("status"), {childList: true});
    """)
    page.explain()
    told = page.js("return window.told")
    assert "Explaining …" in told
    assert any("The server is busy. Trying again" in said for said in told)
    page.js("window.refusals = 99")
    page.one("#explain").click()
    assert "The service is busy. The page tried 4 times; try again later." in page.fails()
    page.js("window.refusals = 0")
    page.one("#again").click()
    page.answered()


# A champion moves, or one of two models fails: what the service answers is changed on its way.
CHANGED = """
const ask = window.fetch;
window.fetch = async (path, options) => {
  const answer = await ask(path, options);
  const body = await answer.json();
  const pct = path === "explain" && JSON.parse(options.body).model === "pct";
  if (pct && window.fails) return Response.json({error: "the model's folder is gone"}, {status: 400});
  if (path === "explain" && !pct) body.model.version = "8";
  const registered = {name: "reviews", version: "8", alias: "champion", metrics: {acc: 0.84, comp: 0.18, suff: 0.01}};
  if (path === "model") Object.assign(body.models[0], registered);
  return Response.json(body);
};
window.fails = arguments[0];
"""


def test_a_champion_that_moved_is_named_as_what_it_is_now(page):
    page.js(CHANGED, False)
    page.explain()
    panel = page.panels()[0]
    assert panel.find_element(By.CSS_SELECTOR, ".name").text == "reviews, version 8 (@champion)"
    measured = panel.find_element(By.CSS_SELECTOR, ".model summary")
    assert measured.text == "On its test split: accuracy 0.840, comp − suff +0.170"
    assert page.all("#models label")[0].text == "normal: reviews, version 8 (@champion)"
    panel.find_elements(By.CSS_SELECTOR, ".word")[0].click()  # the predictions are not of version 8
    page.until(lambda: "explain the text again" in page.status())


def test_one_model_that_fails_leaves_the_other_its_answer(page):
    page.js(CHANGED, True)
    page.explain()
    one, other = page.panels()
    assert len(one.find_elements(By.CSS_SELECTOR, ".word")) == len(WORDS)
    assert other.find_element(By.CSS_SELECTOR, ".problem").text == "The model's folder is gone."
    assert "pct: The model's folder is gone." in page.status()
    one.find_elements(By.CSS_SELECTOR, ".word")[0].click()
    page.until(lambda: "removed" in page.status())
    page.js("window.fails = false")
    page.explain()
    assert len(page.texts(".words")) == 2


def test_the_last_question_is_the_one_that_is_answered(page):
    page.js("""
        const ask = window.fetch;
        window.slow = (path, options) => new Promise((done) => setTimeout(done, 300)).then(() => ask(path, options));
        window.fetch = (path, options) => (options.body?.includes("first") ? window.slow : ask)(path, options);
    """)
    page.put("the first film")
    page.one("#explain").click()
    page.put("the second film")
    page.one("#explain").click()
    page.answered()
    page.js("return window.slow('model', {})")  # the first one's answer has come, too
    page.until(lambda: page.js("return performance.getEntriesByName(location.origin + '/model').length") == 2)
    assert page.texts(".words")[0] == "the second film"


def test_nothing_is_asked_of_another_origin(page, served):
    page.explain()
    asked = page.js("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert len(asked) > 8
    assert [x for x in asked if not x.startswith(served.url)] == []


def test_the_policy_lets_nothing_inline_run(page):
    page.js("const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)")
    assert page.js("return window.ran") is None
    refused = [line["message"] for line in page.driver.get_log("browser")]
    assert any("default-src 'self'" in message for message in refused)


def test_text_is_shown_as_text(page):
    text = "<img/src=x/onerror=alert(1)> <b>film</b> &amp; <script>alert(2)</script>"
    page.put(text)
    page.one("#explain").click()
    page.answered()
    assert page.texts(".words")[0] == text
    assert page.texts(".step-text")[0] == text
    assert page.all("#results img, #results b, #results script") == []


def test_words_of_astral_and_right_to_left_characters_keep_their_places(page):
    words = ["🎬", "הסרט", "👍🏽", "מצחיק", "ומרגש", "👨‍👩‍👧", "film"]
    page.put("  ".join(words))
    page.one("#explain").click()
    page.answered()
    marks = page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")
    assert [m.text for m in marks] == words
    lefts = [m.rect["x"] for m in marks]
    assert lefts == sorted(lefts, reverse=True)  # the first word is the rightmost one
    marks[3].click()
    page.until(lambda: "“מצחיק” removed" in page.status())
    assert page.struck() == [3]
    assert page.texts(".step-text")[0].split() == [w for w in words if w != "מצחיק"]
    marks[1].send_keys(Keys.ARROW_LEFT)  # which is forward
    assert page.js("return document.activeElement.textContent") == words[2]
    page.picture("right-to-left")


def test_words_that_the_model_never_saw_are_told(page):
    page.put("film " * 60 + "one two three four five six seven")
    page.one("#explain").click()
    page.answered()
    assert "it did not see 3 words" in page.texts(".cut")[0]
    assert page.texts(".unseen")[0].split() == ["five", "six", "seven"]


def test_a_text_is_shown_as_it_was_typed_and_unknown_words_are_marked(page):
    text = "Brilliant!  The film's xyzzy,\nmoving."
    page.put(text)
    page.one("#explain").click()
    page.answered()
    panel = page.panels()[0]
    assert page.js("return arguments[0].textContent", panel.find_element(By.CSS_SELECTOR, ".words")) == text
    marks = panel.find_elements(By.CSS_SELECTOR, ".word")
    assert [m.text for m in marks] == ["Brilliant", "!", "The", "film's", "xyzzy", ",", "moving", "."]
    unknown = [m.text for m in panel.find_elements(By.CSS_SELECTOR, ".word.unknown")]
    assert "xyzzy" in unknown
    assert "Brilliant" not in unknown
    assert "“xyzzy”" in page.texts(".strange")[0]
    assert "unknown to the model" in (marks[4].get_attribute("title") or "")
    for place in (4, 0):
        marks[place].click()
    page.until(lambda: "“Brilliant” removed" in page.status())
    assert page.texts(".step-text")[0].split() == ["!", "The", "film's", ",", "moving."]


def test_a_text_of_one_word_has_no_verdict(page):
    page.explain("dreadful")
    assert page.texts(".verdict-title")[0] == "Undecided here"
    assert page.one("#slider").get_attribute("max") == "0"
    page.one(".word").click()
    assert "one always remains" in page.fails()


def test_signed_saliency_has_two_hues_and_settings_reach_the_service(page, served):
    page.explain()
    settings = {"saliency": "grad_x_input", "order": "recomputed", "target": "negative"}
    page.choose(**settings)
    page.until(lambda: "against negative" in page.texts(".low")[0])
    page.answered()
    why = answer(served, max_steps=15, **settings)
    against = [w["saliency"] < 0 for w in why["words"]]
    assert any(against)
    marks = page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")
    assert ["against" in (m.get_attribute("class") or "") for m in marks] == against
    page.one("#slider").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.struck() == sorted(s["removed"] for s in why["important"]["steps"][:2])
    page.picture("signed")


def test_controls_stand_among_the_figures_where_they_are_chosen(page, served):
    page.explain()
    assert "margin" not in page.figures()
    page.choose(controls="chance")
    page.until(lambda: "margin" in page.figures())
    why = answer(served, controls=["comp_random", "margin", "suff_margin", "tau_loo", "separation"])
    found = page.figures()
    for name, value in why["controls"].items():
        assert found[name] == shown(value).replace("-", "−")


def test_a_link_brings_back_what_was_shown(page):
    page.put("50 % of the film & more + 🎬 #1 'quoted'")
    page.one("#explain").click()
    page.answered()
    page.one("[name=side][value=unimportant]").click()
    page.one("#slider").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    before = (page.struck(), page.texts(".said"))
    page.one("#link").click()
    link = page.driver.current_url
    page.open(link.removeprefix(f"{page.url}/"))
    page.answered()
    assert page.one("#text").get_attribute("value") == "50 % of the film & more + 🎬 #1 'quoted'"
    assert (page.struck(), page.texts(".said")) == before
    words = page.panels()[0].find_elements(By.CSS_SELECTOR, ".word")
    next(word for place, word in enumerate(words) if place not in page.struck()).click()
    page.until(lambda: "removed" in page.status())
    by_hand = (page.struck(), page.texts(".said"))
    page.one("#link").click()
    page.open(page.driver.current_url.removeprefix(f"{page.url}/"))
    page.until(lambda: page.panels() and (page.struck(), page.texts(".said")) == by_hand)
    page.js("location.hash = 'text=a+dull+film&k=1'")
    page.until(lambda: page.texts(".words")[0] == "a dull film" and len(page.struck()) == 1)


@pytest.mark.parametrize(
    "fragment",
    ["#text=", "#text=film&k=-3&side=x&steps=abc&saliency=no&models=none", "#%zz", "#k=3", "#text=one+two&out=0.1.7"],
)
def test_a_broken_link_does_no_harm(page, fragment):
    page.open(fragment)
    page.explain()
    assert page.struck() == []


def test_the_curl_command_gives_the_same_answer(page, served):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed: apt-get install curl")
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    text = 'it \'s $HOME `ls` "brilliant" \\ !'
    page.put(text)
    page.one("#explain").click()
    page.answered()
    page.all(".curl")[1].click()
    page.until(lambda: "copied" in page.status())
    command = page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    ran = subprocess.run(["sh", "-c", f"{command} -sS"], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert found["model"]["id"] == "pct"
    assert found["explanations"][0] == answer(served, "pct", text)


def test_a_phone_shows_it_without_scrolling_sideways(page):
    page.size(360, 740)
    assert page.js("return document.documentElement.scrollWidth") <= 360
    page.explain()
    for details in page.all("details > summary"):
        if details.is_displayed():
            page.js("arguments[0].parentElement.open = true", details)
    wide = "return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 361"
    wide += " && !e.closest('.scroll, .examples, .skip')).map((e) => e.tagName + '.' + e.className)"
    assert page.js(wide) == []
    assert page.js("return document.documentElement.scrollWidth") <= 360
    page.put("unbroken" * 60 + " text")
    page.one("#explain").click()
    page.answered()
    assert page.js("return document.documentElement.scrollWidth") <= 360
    page.explain()
    page.picture("phone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page, scheme):
    page.scheme(scheme)
    page.explain()
    page.one("#slider").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.choose(saliency="grad_x_input")
    page.until(lambda: "against" in page.texts(".low")[0])
    page.answered()
    everything = page.js(CONTRAST, WRITTEN)
    page.one("#whole").click()
    everything += page.js(CONTRAST, ".word, #whole")  # the deepest shades
    page.put("")
    page.one("#explain").click()
    page.fails()
    everything += page.js(CONTRAST, "#status")
    assert len(everything) > 100
    assert [f"{name} {ratio:.2f}" for name, ratio in everything if ratio < 4.5] == []
    ground = page.js("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")
    page.put(TEXT)
    page.picture(scheme)


def test_a_terms_meaning_is_told_on_focus(page):
    page.explain()
    page.js("arguments[0].focus()", page.one(".measures abbr"))
    assert page.one(".tip").text.startswith("Comprehensiveness")
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    assert not page.one(".tip").is_displayed()


def test_all_steps_are_there_as_a_table(page, served):
    page.explain()
    page.one(".table summary").click()
    page.until(lambda: page.all(".table tbody tr"))
    rows = [[c.text for c in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in page.all(".table tbody tr")]
    why = answer(served)
    assert len(rows) == len(WORDS)
    for k, row in enumerate(rows[1:]):
        step, other = why["important"]["steps"][k], why["unimportant"]["steps"][k]
        assert row == [str(k + 1), *(x for s in (step, other) for x in (s["word"], shown(s["confidence"]), s["label"]))]
