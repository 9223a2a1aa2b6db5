"""The registry of training methods. This module does not import torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pct.registry import Registry

if TYPE_CHECKING:
    from pct.methods.base import Method
    from pct.settings import Settings

_CLASSES = {
    "normal": "Normal", "entropy": "Entropy", "pct": "PCT", "masked": "Masked", "saliency_guided": "SaliencyGuided",
    "rationale": "Rationale", "removal_margin": "RemovalMargin", "unirex": "Unirex", "vmask": "VMask",
}  # fmt: skip
methods: Registry[Callable[[Settings], Method]] = Registry(
    "method", "pct.methods", {name: f"pct.methods.{name}:{class_name}" for name, class_name in _CLASSES.items()}
)
