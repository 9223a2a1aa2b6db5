"""Where exported models are shared."""

from __future__ import annotations

import pytest

from tests.pct import exported


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    exported.factory.append(tmp_path_factory)
