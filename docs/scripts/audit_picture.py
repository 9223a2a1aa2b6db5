"""Draws docs/audit.png: the top of an audit's page, the judgement and the intervals.

pct audit runs/mr-textcnn-normal-1a2b3c4d --output audit.html
python docs/scripts/audit_picture.py audit.html
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH = 1100
FLAGS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync", "hide-scrollbars",
)  # fmt: skip


def main(page: str, height: str = "1150") -> None:
    """The first `height` pixels of a page as a PNG of few colours."""
    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("no chromium here; install the package chromium")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        arguments = [*FLAGS, f"user-data-dir={folder}/profile", f"window-size={WIDTH},{height}", f"screenshot={shot}"]
        address = Path(page).resolve().as_uri()
        subprocess.run([browser, *(f"--{one}" for one in arguments), address], check=True, timeout=60)
        picture = Image.open(shot).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(Path(__file__).parents[1] / "audit.png", optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
