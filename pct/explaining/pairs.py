"""The classes that are explained, by name or index, as (text, label) pairs: one per text, or of several labels one per
label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.explaining.predictor import Predictor, check_classes, predict_tokens
from pct.tasks import ONE_CLASS, Task, task_of
from pct.text.tokens import Ints, Tokens, repeat_texts

Target = int | str | Sequence[int | str | Sequence[int | str]] | None


class Pairs(NamedTuple):
    """The pairs of a block of texts.

    Attributes:
        text: (pairs,) the index of each pair's text, ascending.
        labels: (pairs,) the class or label explained; None for the predicted class.
        tokens: of the pairs' texts.
    """

    text: Ints
    labels: Ints | None
    tokens: Tokens


def explained_pairs(predictor: Predictor, tokens: Tokens, targets: Sequence[Ints] | None = None) -> Pairs:
    """The pairs of some texts.

    Args:
        predictor: the model.
        tokens: the texts.
        targets: the labels explained of each text; None for what the model predicts: see `pct.tasks.Task.explained`.
    """
    if targets is None:
        text, labels = task_of(predictor).explained(lambda: predict_tokens(predictor, tokens), len(tokens))
    else:
        text = np.repeat(np.arange(len(tokens)), [len(one) for one in targets])
        labels = np.concatenate(targets) if len(targets) else np.zeros(0, np.int64)
    if np.array_equal(text, np.arange(len(tokens))):
        return Pairs(text, labels, tokens)
    return Pairs(text, labels, repeat_texts(tokens, text))


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
    if not (one or hasattr(target, "__len__")):
        raise ValueError(f"a target must be the name or the index of a class, or a list of these, got {target!r}")
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
