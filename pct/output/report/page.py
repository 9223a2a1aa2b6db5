"""The report as files: one self-contained HTML page, and a file for each table and figure."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.output.html import ASSETS, asset, fill
from pct.output.report.ablations import ablation_claims, ablation_figure, ablation_table
from pct.output.report.best import best_table
from pct.output.report.claims import Effect, claims_table, conditions_table, find_effects, methods_table
from pct.output.report.figures import cost_figure, effects_figure, frontier_figure, gaps_figure
from pct.output.report.groups import Group, group_runs
from pct.output.report.tables import ReportTable, controls_table, main_table, verdict_of
from pct.text.plurals import plural
from pct.training.paper import TABLES
from pct.training.runs import Run
from pct.writing import atomic_folder

TITLE = "What the runs found"
TEXT, PAGE = "report.md", "report.html"
OPTIONAL = ("html", "svg", "csv", "tex")  # kinds of files that can be left out


def make_tables(groups: Sequence[Group], effects: Sequence[Effect]) -> list[ReportTable]:
    """The report's tables that have rows."""
    tables = [claims_table(groups), methods_table(effects), conditions_table(effects)]
    tables += [best_table(groups), main_table(groups), controls_table(groups)]
    tables += [ablation_claims(groups), *(ablation_table(groups, effects, name) for name in TABLES)]
    return [table for table in tables if table is not None and table.rows]


def make_figures(groups: Sequence[Group], effects: Sequence[Effect]) -> dict[str, Any]:
    """The report's figures by name, where there are runs for them."""
    figures = {
        "effects": effects_figure(effects),
        "gaps": gaps_figure(groups),
        "frontier-comp-suff": frontier_figure(groups, "comp-suff", "Accuracy against comp − suff"),
        "frontier-margin": frontier_figure(groups, "margin", "Accuracy against comp over a random order"),
        "frontier-naopc": frontier_figure(groups, "naopc-gap", "Accuracy against normalised comp − suff"),
        "frontier-time": cost_figure(effects),
    }
    figures |= {name.replace("_", "-"): ablation_figure(groups, name) for name in TABLES}
    return {name: figure for name, figure in figures.items() if figure is not None}


def write_report(
    runs: Sequence[Run],
    folder: str | Path,
    about: str = "",
    more: Mapping[str, Any] | None = None,
    section: str = "",
    leave_out: Collection[str] = (),
    figures: bool = True,
) -> Path:
    """Writes report.html, report.md with its pictures, each table as CSV and LaTeX, and each figure as PNG and SVG.

    Args:
        runs: finished runs.
        folder: of the report; an existing report is replaced.
        about: how the runs were made, in words, for the page.
        more: further matplotlib figures by name, written as PNG only.
        section: further HTML for the end of the page.
        leave_out: of `OPTIONAL`, the kinds of files not to write.
        figures: whether to draw the figures, which needs matplotlib.

    Returns:
        The path of report.html, or of report.md where that is left out.

    Raises:
        FileExistsError: the folder is not that of a report.
    """
    groups, origin = group_runs(runs), _origin(runs)
    effects = find_effects(groups)
    tables = make_tables(groups, effects)
    drawn = make_figures(groups, effects) if figures else {}
    pictures = {name: _png(figure) for name, figure in {**drawn, **(more or {})}.items()}
    makers: dict[str, Callable[[], dict[str, str | bytes]]] = {
        "md": lambda: {TEXT: _markdown(origin, about, tables, pictures, section)},
        "png": lambda: {f"{name}.png": picture for name, picture in pictures.items()},
        "html": lambda: {PAGE: report_page(origin, about, tables, pictures, section)},
        "svg": lambda: {f"{name}.svg": _drawn(figure, "svg") for name, figure in drawn.items()},
        "csv": lambda: {f"{table.name}.csv": table.csv() for table in tables},
        "tex": lambda: {f"{table.name}.tex": table.latex() for table in tables},
    }
    with atomic_folder(folder, TEXT) as unfinished:
        for kind in (k for k in makers if k not in leave_out):
            for name, content in makers[kind]().items():
                (unfinished / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(folder) / (TEXT if "html" in leave_out else PAGE)


def _markdown(origin: str, about: str, tables: Sequence[ReportTable], pictures: Iterable[str], section: str) -> str:
    """The report as Markdown; its pictures are separate files."""
    description = f"```\n{about.strip()}\n```\n\n" if about else ""
    links = "".join(f"\n![{name}]({name}.png)\n" for name in pictures)
    return f"# {TITLE}\n\n{origin}\n\n{description}" + "\n".join(t.markdown() for t in tables) + f"{links}\n{section}\n"


def report_page(
    origin: str, about: str, tables: Sequence[ReportTable], pictures: Mapping[str, bytes], section: str
) -> str:
    """The report as one HTML page without other files."""
    images = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
    return fill(
        ASSETS / "report.html", style=asset("report.css"), title=TITLE, origin=origin, about=about, tables=tables,
        pictures=images, section=section, verdict_of=verdict_of,
    )  # fmt: skip


def _origin(runs: Sequence[Run]) -> str:
    """The number of runs, their texts and their machines, in sentences."""
    corpora = [r.about["corpus"] for r in runs]
    texts = [
        f"{c['name']}: {', '.join(f'{k} {v}' for k, v in c['sizes'].items())} texts ({c['source']})." for c in corpora
    ]
    lines = [f"{plural(len(runs), 'run')}.", *dict.fromkeys(texts)]
    machines = {
        f"{r.about['device']}, {r.about['platform'].split('-')[0]}, torch {r.about['versions']['torch']}." for r in runs
    }
    return " ".join([*lines, *sorted(machines)])


def _drawn(figure: Any, kind: str) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=kind, facecolor="white")
    return out.getvalue()


def _png(figure: Any) -> bytes:
    """A PNG of at most 256 colours, which is a third of the size."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(_drawn(figure, "png"))).convert("RGB").quantize(256).save(out, format="png", optimize=True)
    return out.getvalue()
