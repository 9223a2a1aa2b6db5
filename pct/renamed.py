"""Names of version 0.1, which work for one more release and warn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

COMMANDS = {"mend": "finetune"}  # of the command line
NAMES = {  # by module: the new place of each old name
    "pct": {"mend": "pct:finetune", "Mended": "pct:Finetuned"},
    "pct.explaining.explanation": {"explain": "pct.explaining.explain:explain"},
    "pct.explaining.predictor": {"StandsIn": "pct.explaining.predictor:HasReplacementToken"},
    "pct.registry": {"methods": "pct.methods:methods", "metrics": "pct.metrics:metrics"},
    "pct.text.typed": {"as_typed": "pct.text.detokenize:detokenize"},
    "pct.training.runs": {"alone_in": "pct.writing:folder_lock"},
    "pct.writing": {"whole_file": "pct.writing:atomic_write", "whole_folder": "pct.writing:atomic_folder"},
}


def renamed(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module some of whose names have changed.

    Args:
        module: its `__name__`.
    """
    names = NAMES[module]

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new_module, _, new_name = names[name].partition(":")
        warnings.warn(f"{module}.{name} is now {new_module}.{new_name}", DeprecationWarning, stacklevel=2)
        return getattr(import_module(new_module), new_name)

    return get
