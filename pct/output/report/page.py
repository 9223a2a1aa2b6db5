"""The report as files: one self-contained HTML page, and every table and figure on its own."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pct.output.report.ablations import ablation_claims, ablation_figure, ablation_table
from pct.output.report.best import best_table
from pct.output.report.claims import Effect, claims_table, conditions_table, find_effects, methods_table
from pct.output.report.figures import cost_figure, effects_figure, frontier_figure, gaps_figure
from pct.output.report.groups import Group, group_runs
from pct.output.report.tables import Table, controls_table, main_table
from pct.training.paper_tables import TABLES
from pct.training.runs import Run
from pct.writing import atomic_folder

TITLE = "What the runs found"
TEXT, PAGE = "report.md", "report.html"
OPTIONAL = ("html", "svg", "csv", "tex")  # kinds of files that a report can do without
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22262b; max-width: 78rem; margin: 2rem auto; padding: 0 1.2rem }
table { border-collapse: collapse; font-size: .86rem }
th, td { padding: .2rem .55rem; border-bottom: 1px solid #e6e9ec }
th { text-align: left; position: sticky; top: 0; background: #fff } td { white-space: nowrap }
td:nth-child(n+4) { font-variant-numeric: tabular-nums } .wide { overflow-x: auto } .paper { color: #76808a }
.held { background: #dff0e2 } .not-held { background: #fbe3d6 } .undecided, .not-run { color: #76808a }
img { max-width: 100% } figure { margin: 1.5rem 0 } pre { background: #f4f6f7; padding: .8rem; overflow-x: auto }
"""


def make_tables(groups: Sequence[Group], effects: Sequence[Effect]) -> list[Table]:
    """The report's tables, those that have rows."""
    made = [claims_table(groups), methods_table(groups, effects), conditions_table(groups, effects)]
    made += [best_table(groups), main_table(groups), controls_table(groups)]
    made += [ablation_claims(groups), *(ablation_table(groups, effects, name) for name in TABLES)]
    return [table for table in made if table is not None and table.rows]


def make_figures(groups: Sequence[Group], effects: Sequence[Effect]) -> dict[str, Any]:
    """The report's figures by name, those for which there are runs."""
    made = {
        "effects": effects_figure(groups, effects),
        "gaps": gaps_figure(groups),
        "frontier-comp-suff": frontier_figure(groups, "comp-suff", "What a point of accuracy buys: comp − suff"),
        "frontier-margin": frontier_figure(groups, "margin", "What a point of accuracy buys: comp over a random order"),
        "frontier-naopc": frontier_figure(groups, "naopc-gap", "What a point of accuracy buys: normalised comp − suff"),
        "frontier-time": cost_figure(groups, effects),
    }
    made |= {name.replace("_", "-"): ablation_figure(groups, name) for name in TABLES}
    return {name: figure for name, figure in made.items() if figure is not None}


def write_report(
    runs: Sequence[Run],
    folder: str | Path,
    about: str = "",
    more: Mapping[str, Any] | None = None,
    section: str = "",
    leave_out: Collection[str] = (),
    figures: bool = True,
) -> Path:
    """Writes report.html, report.md with its pictures beside it, each table as CSV and LaTeX, each of their figures as
    PNG and SVG.

    Args:
        runs: finished ones.
        folder: where to; a report that is there is replaced whole.
        about: how the runs were made, in words: it stands on the page.
        more: further matplotlib figures by name, as PNG alone.
        section: further HTML, at the page's end.
        leave_out: of `OPTIONAL`, the kinds of files not to write.
        figures: whether to draw them, which needs matplotlib.

    Returns:
        The path of report.html, or of report.md where that is left out.

    Raises:
        FileExistsError: the folder holds something else than a report.
    """
    groups = group_runs(runs)
    effects = find_effects(groups)
    tables = make_tables(groups, effects)
    drawn = make_figures(groups, effects) if figures else {}
    pictures = {name: _png(figure) for name, figure in {**drawn, **(more or {})}.items()}
    makers: dict[str, Callable[[], dict[str, str | bytes]]] = {
        "md": lambda: {TEXT: markdown(runs, tables, pictures, about, section)},
        "png": lambda: {f"{name}.png": picture for name, picture in pictures.items()},
        "html": lambda: {PAGE: page(runs, tables, pictures, about, section)},
        "svg": lambda: {f"{name}.svg": _svg(figure) for name, figure in drawn.items()},
        "csv": lambda: {f"{table.name}.csv": table.csv() for table in tables},
        "tex": lambda: {f"{table.name}.tex": table.latex() for table in tables},
    }
    with atomic_folder(folder, TEXT) as made:
        for kind in (k for k in makers if k not in leave_out):
            for name, content in makers[kind]().items():
                (made / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(folder) / (TEXT if "html" in leave_out else PAGE)


def markdown(
    runs: Sequence[Run], tables: Sequence[Table], pictures: Mapping[str, bytes], about: str = "", section: str = ""
) -> str:
    """The page for a site made of Markdown; its pictures are files beside it."""
    said = f"```\n{about.strip()}\n```\n\n" if about else ""
    return (
        f"# {TITLE}\n\n{' '.join(_origin(runs))}\n\n{said}"
        + "\n".join(t.markdown() for t in tables)
        + "".join(f"\n![{name}]({name}.png)\n" for name in pictures) + f"\n{section}\n"
    )  # fmt: skip


def page(
    runs: Sequence[Run], tables: Sequence[Table], pictures: Mapping[str, bytes], about: str = "", section: str = ""
) -> str:
    """The page as text; it needs no other file."""
    images = "".join(
        f'<figure id="{escape(name)}"><img alt="{escape(name)}" src="data:image/png;base64,'
        f'{base64.b64encode(data).decode()}"></figure>'
        for name, data in pictures.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Faithful explanations: report</title>'
        f"<style>{STYLE}</style><h1>{TITLE}</h1>{_about(runs, about)}"
        + "".join(t.html() for t in tables) + images + section + "</html>\n"
    )  # fmt: skip


def _about(runs: Sequence[Run], about: str) -> str:
    said = f"<pre>{escape(about)}</pre>" if about else ""
    return f"<p>{escape(' '.join(_origin(runs)))}</p>{said}"


def _origin(runs: Sequence[Run]) -> list[str]:
    """How many runs, on what texts, made where."""
    corpora = [r.about["corpus"] for r in runs]
    texts = [
        f"{c['name']}: {', '.join(f'{k} {v}' for k, v in c['sizes'].items())} texts ({c['source']})." for c in corpora
    ]
    lines = [f"{len(runs)} runs.", *dict.fromkeys(texts)]
    machines = {
        f"{r.about['device']}, {r.about['platform'].split('-')[0]}, torch {r.about['versions']['torch']}." for r in runs
    }
    return [*lines, *sorted(machines)]


def _svg(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg", facecolor="white")
    return out.getvalue()


def _png(figure: Any) -> bytes:
    """Of 256 colours at most, which is a third of the size."""
    from PIL import Image

    drawn, out = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white")
    Image.open(drawn).convert("RGB").quantize(256).save(out, format="png", optimize=True)
    return out.getvalue()
