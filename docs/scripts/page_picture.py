"""Draws docs/page.png: the service's page as it opens, with its worked example; or with a text, some words removed.
Of a file it draws docs/audit.png: the top of an audit's page, the judgement and the intervals.

pct serve normal=runs/mr-lstm-normal-1a2b3c4d pct=runs/mr-lstm-pct-5e6f7a8b
python docs/scripts/page_picture.py http://127.0.0.1:3000
python docs/scripts/page_picture.py http://127.0.0.1:3000 "an elegant thriller, almost too clever for its own good." 4
pct audit runs/mr-textcnn-normal-1a2b3c4d --output audit.html
python docs/scripts/page_picture.py audit.html
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

DOCS = Path(__file__).parents[1]


def main(page: str, text: str = "", removed: str = "0") -> None:
    """A picture of a service's page down to the curves and the text that is left, or of the top of a file."""
    if Path(page).is_file():
        draw(Path(page).resolve().as_uri(), DOCS / "audit.png", 1100, 64, "1150")
    else:
        address = f"{page}/#{urlencode({'text': text, 'k': removed})}" if text else page
        height = "document.querySelector('.panel > footer')?.getBoundingClientRect().top - 8"
        draw(address, DOCS / "page.png", 1280, 256, f"document.querySelector('.curve') && {height}")


def draw(address: str, path: Path, width: int, colours: int, height: str) -> None:
    """Writes the top of a page as a PNG of few colours. height: in JavaScript; something false as long as it loads."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-gpu", f"window-size={width},1600"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get(address)
        WebDriverWait(driver, 20).until(lambda d: d.execute_script(f"return {height}"))
        size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        clip = {"x": 0, "y": 0, "width": width, "height": driver.execute_script(f"return {height}"), "scale": 1}
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    finally:
        driver.quit()
    picture = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
