"""The shades of words by saliency, for terminals, pages, notebooks, figures and the service."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pct.saliency import saliencies
from pct.text.tokens import Doubles


def is_signed(name: str, saliency: npt.ArrayLike = ()) -> bool:
    """Whether a saliency is signed: words for the class have positive numbers, words against it negative ones.

    Args:
        name: of the saliency; a registered name decides, so that all texts of a page are shaded by one rule.
        saliency: (words,), used only for an unknown name: a negative number then means that it is signed.
    """
    try:
        return bool(getattr(saliencies.get(name), "signed", False))
    except (ValueError, ImportError):
        return bool((np.asarray(saliency) < 0).any())


def word_shades(saliency: npt.NDArray[np.floating], signed: bool) -> Doubles:
    """The shades of a text's words, from -1 (against the class) over 0 (none) to 1 (for it).

    An unsigned saliency is scaled between the text's smallest and largest value. A signed one is divided by the largest
    absolute value, so that zero has no shade.

    Args:
        saliency: (words,), at least one.
        signed: see `is_signed`.

    Returns:
        (words,) float.
    """
    values = np.asarray(saliency, np.float64)
    if signed:
        largest = float(np.abs(values).max())
        return values / largest if largest > 0 else np.zeros(len(values))
    least, most = float(values.min()), float(values.max())
    return (values - least) / (most - least) if most > least else np.zeros(len(values))


def shade_levels(saliency: npt.NDArray[np.floating], signed: bool, levels: int = 4) -> list[int]:
    """`word_shades` in steps of equal width, from -levels to levels."""
    shades = word_shades(saliency, signed)
    size = np.minimum(np.floor(np.abs(shades) * (levels + 1)), levels)
    return [int(x) for x in np.sign(shades) * size]
