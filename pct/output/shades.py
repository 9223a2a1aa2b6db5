"""How strongly a word is shaded, and for which side: the same for terminal, page and figure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

FOR, AGAINST = "for", "against"


def is_signed(saliency: npt.NDArray[np.floating]) -> bool:
    """Whether a text's saliency has words against the class, as grad_x_input and integrated gradients give them."""
    return bool((np.asarray(saliency) < 0).any())


def word_shades(saliency: npt.NDArray[np.floating]) -> Doubles:
    """How a text's words are shaded, from -1 (against the class) over 0 (not at all) to 1 (for it).

    A norm has no side: it lies between the text's smallest and largest. A signed saliency is a share of the largest
    size, so that nought stays without a shade.

    Args:
        saliency: (words,), at least one.

    Returns:
        (words,) float.
    """
    values = np.asarray(saliency, np.float64)
    if is_signed(values):
        return values / float(np.abs(values).max())
    least, most = float(values.min()), float(values.max())
    return (values - least) / (most - least) if most > least else np.zeros(len(values))


def shade_levels(saliency: npt.NDArray[np.floating], levels: int = 4) -> list[int]:
    """`word_shades` in steps, -levels..levels, each as wide as the others."""
    shades = word_shades(saliency)
    size = np.minimum(np.floor(np.abs(shades) * (levels + 1)), levels)
    return [int(x) for x in np.sign(shades) * size]
