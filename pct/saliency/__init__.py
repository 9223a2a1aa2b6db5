"""The registry of saliencies, which compute one number per word. A package adds one by an entry point of the group
`pct.saliencies`, a script by `@pct.saliencies.register("name")`. This module does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pct.registry import Registry

if TYPE_CHECKING:
    from pct.saliency.base import Saliency

GRADIENT_NORM = "l2"  # the paper's saliency
_CLASSES = {
    "l2": "L2", "l1": "L1", "grad_x_input": "GradientTimesInput", "integrated_gradients": "IntegratedGradients",
    "smooth_grad": "SmoothGrad", "frozen_grad_x_input": "FrozenGradientTimesInput", "gim": "Gim",
    "occlusion": "Occlusion", "lime": "Lime", "kernel_shap": "KernelShap", "attention": "Attention",
    "rollout": "Rollout", "random": "RandomSaliency",
}  # fmt: skip
saliencies: Registry[type[Saliency]] = Registry(
    "saliency", "pct.saliencies", {name: f"pct.saliency.{name}:{class_name}" for name, class_name in _CLASSES.items()}
)


def make_saliency(name: str, settings: Any = None, seed: int = 0) -> Saliency:
    """A saliency by its name.

    Args:
        name: of the registry.
        settings: a `pct.Settings` with the output explained, the steps and the baseline; None takes the defaults.
        seed: of the random numbers of a saliency.

    Raises:
        ValueError: an unknown name.
    """
    from pct.saliency.base import SaliencyOptions

    saliency = saliencies.get(name)(SaliencyOptions.of_settings(settings, seed))
    saliency.name = name
    return saliency


def definition_of(name: str) -> str:
    """The first paragraph of the docstring of a saliency's class; empty for an unknown name."""
    from inspect import getdoc

    if name not in saliencies.names():
        return ""
    return " ".join((getdoc(saliencies.get(name)) or "").partition("\n\n")[0].split())


def choose_saliency(predictor: Any, name: str | None = None, seed: int = 0) -> Saliency | None:
    """The saliency that explains a predictor's texts.

    Args:
        predictor: a `pct.Predictor`.
        name: of the registry; None takes that of the predictor's settings.
        seed: of the random numbers of the saliency.

    Returns:
        None where no saliency is named, or where the predictor's own `explain_rows` computes it (its `explains_by`).

    Raises:
        ValueError: an unknown name, or the predictor does not provide what the saliency needs.
    """
    settings = getattr(predictor, "settings", None)
    chosen = name or getattr(settings, "saliency", None)
    if chosen is None or chosen == getattr(predictor, "explains_by", None):
        return None
    saliency = make_saliency(chosen, settings, seed)
    saliency.check(predictor)
    return saliency
