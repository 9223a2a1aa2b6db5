"""How strongly a word is shaded, and for which side: the same for terminal, page, notebook, figure and service."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pct.saliency import saliencies

Doubles = npt.NDArray[np.float64]


def is_signed(name: str, saliency: npt.ArrayLike = ()) -> bool:
    """Whether a saliency tells words for the class from words against it.

    Args:
        name: of the registry. It decides alone, so that all texts of a page are shaded by one rule.
        saliency: (words,), asked only where the registry does not know the name: a number below zero is then a sign.
    """
    try:
        return bool(getattr(saliencies.get(name), "signed", False))
    except (ValueError, ImportError):
        return bool((np.asarray(saliency) < 0).any())


def word_shades(saliency: npt.NDArray[np.floating], signed: bool) -> Doubles:
    """How a text's words are shaded, from -1 (against the class) over 0 (not at all) to 1 (for it).

    A saliency without a sign lies between the text's smallest and largest. A signed one is a share of the largest size,
    so that zero stays without a shade.

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
    """`word_shades` in steps, -levels..levels, each as wide as the others."""
    shades = word_shades(saliency, signed)
    size = np.minimum(np.floor(np.abs(shades) * (levels + 1)), levels)
    return [int(x) for x in np.sign(shades) * size]
