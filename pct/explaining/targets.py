"""The class that is explained: by name or index, one for all texts or one for each; of several labels any number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.explaining.predictor import check_classes
from pct.tasks import ONE_CLASS, Task
from pct.text.tokens import Ints

Target = int | str | Sequence[int | str | Sequence[int | str]] | None


def target_indices(target: Target, classes: Sequence[str], texts: int, task: Task = ONE_CLASS) -> list[Ints] | None:
    """Targets as class indices.

    Args:
        target: the name or the index of a class, for all texts, or a list with one for each; None for the predicted
            class. Of several labels, an element of the list may be a list of labels.
        classes: the names of the model's classes.
        texts: their number.
        task: the model's.

    Returns:
        For each text the indices, in ascending order; None for None.

    Raises:
        ValueError: a target is not a class of the model, or the numbers of targets and texts differ.
    """
    if target is None:
        return None
    one = isinstance(target, (str, int, np.integer))
    targets: Sequence[Any] = [target] * texts if one else list(target)  # type: ignore[arg-type]
    if len(targets) != texts:
        raise ValueError(f"{texts} texts need {texts} targets, got {len(targets)}")
    return [np.unique(_indices(x, classes, task)) for x in targets]


def _indices(target: Any, classes: Sequence[str], task: Task) -> Ints:
    if isinstance(target, (str, int, np.integer)):
        target = [target]
    elif not (task.several and isinstance(target, (list, tuple, np.ndarray)) and len(target)):
        raise ValueError(f"a target must be the name or the index of a class, got {target!r}")
    return check_classes([_index(x, classes) for x in target], len(target), len(classes))


def _index(target: Any, classes: Sequence[str]) -> Any:
    if not isinstance(target, str):
        return target
    if target not in classes:
        raise ValueError(f"target {target!r} is not one of {', '.join(classes)}")
    return list(classes).index(target)
