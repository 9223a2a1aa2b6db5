"""One thread: small models gain nothing from more, and sums come out the same bit by bit. Models are narrow."""

from collections.abc import Iterator

import pytest
import torch

from tests.narrow import narrow


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def _narrow_models() -> Iterator[None]:
    with narrow():
        yield
