"""The class that is explained: by name or index, one for all texts or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.explaining.predictor import check_classes
from pct.text.tokens import Ints

Target = int | str | Sequence[int | str] | None


def target_indices(target: Target, classes: Sequence[str], texts: int) -> Ints | None:
    """Targets as class indices.

    Args:
        target: the name or the index of a class, for all texts, or a list with one for each; None for the predicted
            class.
        classes: the names of the model's classes.
        texts: their number.

    Returns:
        (texts,) indices; None for None.

    Raises:
        ValueError: a target is not a class of the model, or the numbers of targets and texts differ.
    """
    if target is None:
        return None
    one = isinstance(target, (str, int, np.integer))
    targets: Sequence[Any] = [target] * texts if one else list(target)  # type: ignore[arg-type]
    return check_classes([_index(x, classes) for x in targets], texts, len(classes))


def _index(target: Any, classes: Sequence[str]) -> Any:
    if not isinstance(target, str):
        return target
    if target not in classes:
        raise ValueError(f"target {target!r} is not one of {', '.join(classes)}")
    return list(classes).index(target)
