"""Names of an earlier version, which work for one more release and warn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module some of whose names have changed.

    Args:
        module: its `__name__`.
        names: the new place of each old name, as "module:name".

    Example:
        __getattr__ = renamed(__name__, {"atomic_write": "pct.writing:atomic_write"})
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new_module, _, new_name = names[name].partition(":")
        warnings.warn(f"{module}.{name} is now {new_module}.{new_name}", DeprecationWarning, stacklevel=2)
        return getattr(import_module(new_module), new_name)

    return get
