"""Saliencies by name: each computes one number per word. A package adds one by an entry point of the group
`pct.saliencies`, a script by `@pct.saliencies.register("name")`. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pct.registry import Registry

if TYPE_CHECKING:
    from pct.saliency.base import Saliency

GRADIENT_NORM = "l2"  # the paper's
_CLASSES = {
    "l2": "L2", "l1": "L1", "grad_x_input": "GradientTimesInput", "integrated_gradients": "IntegratedGradients",
    "smooth_grad": "SmoothGrad", "frozen_grad_x_input": "FrozenGradientTimesInput", "gim": "Gim",
    "occlusion": "Occlusion", "lime": "Lime", "kernel_shap": "KernelShap", "attention": "Attention",
    "rollout": "Rollout", "random": "RandomSaliency",
}  # fmt: skip
OWN_SALIENCIES = tuple(_CLASSES)
saliencies: Registry[type[Saliency]] = Registry(
    "saliency", "pct.saliencies", {name: f"pct.saliency.{name}:{class_name}" for name, class_name in _CLASSES.items()}
)


def make_saliency(name: str, settings: Any = None, seed: int = 0) -> Saliency:
    """A saliency by its name.

    Args:
        name: of the registry.
        settings: a `pct.Settings`, for what is differentiated, the steps and the baseline; the defaults where None.
        seed: of what a saliency draws.

    Raises:
        ValueError: nothing has that name.
    """
    from pct.saliency.base import SaliencyOptions

    saliency = saliencies.get(name)(SaliencyOptions.of_settings(settings, seed))
    saliency.name = name
    return saliency


def definition_of(name: str) -> str:
    """What a saliency is, in the first paragraph of its class; empty for a name that nothing has here."""
    from inspect import getdoc

    if name not in saliencies.names():
        return ""
    return " ".join((getdoc(saliencies.get(name)) or "").partition("\n\n")[0].split())


def choose_saliency(predictor: Any, name: str | None = None, seed: int = 0) -> Saliency | None:
    """The saliency that explains a predictor's texts.

    Args:
        predictor: a `pct.Predictor`.
        name: of the registry; that of the predictor's settings where None.
        seed: of what the saliency draws.

    Returns:
        None where neither names one, or one that the predictor's own `explain_rows` is (its `explains_by`).

    Raises:
        ValueError: nothing has that name, or the predictor does not give what the saliency needs.
    """
    settings = getattr(predictor, "settings", None)
    chosen = name or getattr(settings, "saliency", None)
    if chosen is None or chosen == getattr(predictor, "explains_by", None):
        return None
    saliency = make_saliency(chosen, settings, seed)
    saliency.check(predictor)
    return saliency
