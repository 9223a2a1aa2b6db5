"""Training methods: a mini-batch -> a loss. The registry lists them by name; no torch here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pct.registry import Registry

if TYPE_CHECKING:
    from pct.methods.base import Method
    from pct.settings import Settings

OWN_METHODS = ("normal", "entropy", "pct", "masked", "saliency_guided", "rationale", "removal_margin", "unirex")
methods: Registry[Callable[[Settings], Method]] = Registry(
    "method", "pct.methods", {name: f"pct.methods.{name}" for name in OWN_METHODS}
)
