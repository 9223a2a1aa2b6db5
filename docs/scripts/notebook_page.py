"""The notebook of examples/, executed, as a page of the site: python docs/scripts/notebook_page.py.

It needs what the notebook needs, and a few minutes, so the page is kept; a test holds its code to the notebook's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "any_classifier.ipynb"
PAGE = ROOT / "docs" / "how-to" / "whole-way.md"
NOTE = (
    "*This page is `examples/any_classifier.ipynb` with what it gave; `make notebook` makes it anew.*\n\n"
    "<!-- not run: make test-notebook runs the notebook -->"
)


def executed(path: Path, folder: str | Path, timeout: int = 1200) -> Any:
    """The notebook with its outputs; folder: where it runs. Raises nbclient's CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def page_of(notebook: Any) -> str:
    """The notebook in Markdown, without warnings of the machine that it ran on, its links as from docs/how-to/."""
    for cell in notebook.cells:
        cell.outputs = [x for x in cell.get("outputs", ()) if x.get("name") != "stderr"]
    text, _ = MarkdownExporter().from_notebook_node(notebook)
    title, rest = text.lstrip().split("\n", 1)
    lines = (line.rstrip() for line in f"{title}\n\n{NOTE}\n{rest}".splitlines())
    return "\n".join(lines).replace("](../docs/", "](../").rstrip() + "\n"


def main() -> int:
    """Writes the page."""
    with TemporaryDirectory() as folder:
        PAGE.write_text(page_of(executed(NOTEBOOK, folder)), encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
