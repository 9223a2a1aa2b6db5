"""Draws docs/page.png: the service's page as it opens, with its worked example; or with a text, some words removed.

pct serve normal=runs/mr-lstm-normal-1a2b3c4d pct=runs/mr-lstm-pct-5e6f7a8b
python docs/scripts/page_picture.py http://127.0.0.1:3000
python docs/scripts/page_picture.py http://127.0.0.1:3000 "an elegant thriller, almost too clever for its own good." 4
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

WIDTH = 1280


def main(url: str, text: str = "", removed: str = "0") -> None:
    """The page down to the curves and the text that is left, as a PNG of few colours."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-gpu", f"window-size={WIDTH},1600"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get(f"{url}/#{urlencode({'text': text, 'k': removed})}" if text else url)
        WebDriverWait(driver, 20).until(lambda d: d.execute_script("return document.querySelector('.curve')"))
        size = {"width": WIDTH, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        height = driver.execute_script(
            "return document.querySelector('.panel > footer').getBoundingClientRect().top - 8"
        )
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    finally:
        driver.quit()
    picture = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB").quantize(256, dither=0)
    picture.save(Path(__file__).parents[1] / "page.png", optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
