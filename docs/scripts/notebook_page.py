"""The notebooks of examples/, executed, as pages of the site: python docs/scripts/notebook_page.py [NOTEBOOK ...].

A page needs what its notebook needs, and some minutes, so it is kept; a test compares its code with the notebook's.
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
PAGES = {"any_classifier": "whole-way", "labels_and_pairs": "labels-and-pairs"}  # in examples/ and in docs/how-to/
NOTE = (
    "*This page is `examples/{}.ipynb` with what it gave; `make notebook` makes it anew.*\n\n"
    "<!-- not run: make test-notebook runs the notebook -->"
)


def executed(path: Path, folder: str | Path, timeout: int = 1200) -> Any:
    """The notebook with its outputs; folder: where it runs. Raises nbclient's CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def page_of(notebook: Any, name: str) -> str:
    """A notebook in Markdown, without warnings of the machine that it ran on, its links as from docs/how-to/."""
    for cell in notebook.cells:
        cell.outputs = [x for x in cell.get("outputs", ()) if x.get("name") != "stderr"]
    text, _ = MarkdownExporter().from_notebook_node(notebook)
    title, rest = text.lstrip().split("\n", 1)
    lines = (line.rstrip() for line in f"{title}\n\n{NOTE.format(name)}\n{rest}".splitlines())
    return "\n".join(lines).replace("](../docs/", "](../").rstrip() + "\n"


def main(names: list[str]) -> int:
    """Writes the pages of the named notebooks, or of all."""
    for name in names or PAGES:
        with TemporaryDirectory() as folder:
            text = page_of(executed(ROOT / "examples" / f"{name}.ipynb", folder), name)
        page = ROOT / "docs" / "how-to" / f"{PAGES[name]}.md"
        page.write_text(text, encoding="utf-8")
        print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
