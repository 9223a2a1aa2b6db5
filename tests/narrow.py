"""Word models narrower than the paper's: they train in a third of the time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from pct.models import build
from pct.models.lstm import LSTM
from pct.models.textcnn import TextCNN


@contextmanager
def narrow() -> Iterator[None]:
    """What this process trains is narrow; a saved model keeps its width."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "EMBEDDING_WIDTH", 32)
        patch.setattr(build, "TextCNN", partial(TextCNN, filters=16))
        patch.setattr(build, "LSTM", partial(LSTM, units=16))
        yield


def narrowly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process of its own as `narrow` would here."""
    with narrow():
        return function(*arguments)
