"""A headless Chromium, for the tests that need a browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[dev]'")
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
CONTROL = shutil.which("chromedriver") or ""
# a mark, not a skip in a fixture: models are trained for these tests only where there is a browser
needs_browser = pytest.mark.skipif(
    not BROWSER or not CONTROL,
    reason="chromium and chromedriver are not installed: apt-get install chromium chromium-driver",
)


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """One browser, closed at the end."""
    os.environ["SE_OFFLINE"] = "true"  # selenium fetches no driver of its own
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    # without its sandbox, for containers allow none; it sees this project's pages alone
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "disable-gpu",
        "disable-background-networking",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(CONTROL))
    try:
        yield started
    finally:
        started.quit()
