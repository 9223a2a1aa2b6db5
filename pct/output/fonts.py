"""Chooses installed fonts that have the characters of the texts in a figure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

logger = logging.getLogger("pct.output")
BOX = "□"  # replaces a character that no font has
LAST_RESORT = "Last Resort"  # matplotlib's fallback font, which shows a box for every character


@contextmanager
def fonts_for(texts: Iterable[str]) -> Iterator[Callable[[str], str]]:
    """Within this context, figures use fonts that have the characters of the texts.

    Args:
        texts: all texts that will be shown.

    Yields:
        A function that replaces each character that no installed font has by a box. A warning names such characters.
    """
    from matplotlib import rc_context

    families, missing = choose_fonts({c for text in texts for c in text if not c.isascii()})
    if missing:
        logger.warning(
            "no installed font has %d %s of the texts (%s): the figure shows boxes instead; install a font of their "
            "script, such as Noto Sans CJK", len(missing), "character" if len(missing) == 1 else "characters",
            " ".join(sorted(missing)[:5]),
        )  # fmt: skip
    table = {ord(c): BOX for c in missing}
    with rc_context({"font.family": families}):
        yield lambda text: text.translate(table)


def choose_fonts(wanted: set[str]) -> tuple[list[str], set[str]]:
    """The font families that together have the characters, the default one first, and the characters that none has."""
    families, missing = [usual_font()], wanted - characters_of(usual_font())
    for family in installed_fonts() if missing else ():
        if covered := missing & characters_of(family):
            families.append(family)
            missing = missing - covered
        if not missing:
            break
    return families, {c for c in missing if c.isprintable() and not c.isspace()}


@cache
def usual_font() -> str:
    """Matplotlib's default font family."""
    from matplotlib import font_manager

    return font_manager.get_font(font_manager.findfont(font_manager.FontProperties())).family_name


@cache
def installed_fonts() -> tuple[str, ...]:
    """The installed families, those that cover whole scripts first."""
    return tuple(sorted(_files(), key=lambda name: (not name.startswith(("Noto", "Source Han", "WenQuanYi")), name)))


@cache
def characters_of(family: str) -> frozenset[str]:
    """The characters of a family; empty where it is not installed upright in normal weight."""
    from matplotlib import font_manager

    path = _files().get(family)
    return frozenset() if path is None else frozenset(map(chr, font_manager.get_font(path).get_charmap()))


@cache
def _files() -> dict[str, str]:
    """Family -> file of its upright form in normal weight."""
    from matplotlib import font_manager

    return {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal"
        and font.weight in (400, "normal", "regular")
        and not font.name.startswith(LAST_RESORT)
    }
