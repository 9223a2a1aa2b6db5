"""Fonts for the texts in figures: those that have their characters, of the fonts that are installed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

logger = logging.getLogger("pct.output")
BOX = "□"  # for a character that no font has; every default font has it
LAST_RESORT = "Last Resort"  # matplotlib's own font of boxes, which has everything and shows nothing


@contextmanager
def fonts_for(texts: Iterable[str]) -> Iterator[Callable[[str], str]]:
    """What is drawn in this block is drawn in fonts that have the characters of some texts.

    Args:
        texts: all that will be shown.

    Yields:
        A function that puts a box for each character that no installed font has. That there are such is logged in one
        line.
    """
    from matplotlib import rc_context

    wanted = {c for text in texts for c in text if not c.isascii()}
    families, missing = choose_fonts(wanted)
    if missing:
        shown = " ".join(sorted(missing)[:5])
        logger.warning(
            "no installed font has %d characters of the texts (%s): boxes stand for them in the figure; install a font "
            "of their script, as Noto Sans CJK", len(missing), shown,
        )  # fmt: skip
    table = {ord(c): BOX for c in missing}
    with rc_context({"font.family": families}):
        yield lambda text: text.translate(table)


def choose_fonts(wanted: set[str]) -> tuple[list[str], set[str]]:
    """The families, the usual one first, that have some characters, and those that none has."""
    families, missing = [usual_font()], wanted - characters_of(usual_font())
    for family in installed_fonts() if missing else ():
        if found := missing & characters_of(family):
            families.append(family)
            missing = missing - found
        if not missing:
            break
    return families, {c for c in missing if c.isprintable() and not c.isspace()}


@cache
def usual_font() -> str:
    """The family that matplotlib takes."""
    from matplotlib import font_manager

    name: str = font_manager.get_font(font_manager.findfont(font_manager.FontProperties())).family_name
    return name


@cache
def installed_fonts() -> tuple[str, ...]:
    """The families that are installed, those for all scripts first: Noto and its like have whole scripts."""
    return tuple(sorted(_files(), key=lambda name: (not name.startswith(("Noto", "Source Han", "WenQuanYi")), name)))


@cache
def characters_of(family: str) -> frozenset[str]:
    """The characters that a family has; none for one that is not installed upright and of normal weight."""
    from matplotlib import font_manager

    path = _files().get(family)
    return frozenset() if path is None else frozenset(map(chr, font_manager.get_font(path).get_charmap()))


@cache
def _files() -> dict[str, str]:
    """Family -> file of its upright form of normal weight."""
    from matplotlib import font_manager

    return {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal"
        and font.weight in (400, "normal", "regular")
        and not font.name.startswith(LAST_RESORT)
    }
