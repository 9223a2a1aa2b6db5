"""The default saliency of a model. This module does not import torch."""

from __future__ import annotations

from typing import Any, NamedTuple

from pct.saliency import GRADIENT_NORM, make_saliency

# The best of the saliencies that need one pass: docs/results/audits.md. The keys are `TextModel.family`.
EVIDENCE = {
    "textcnn": "grad_x_input",
    "lstm": "grad_x_input",
    "transformer": "frozen_grad_x_input",
    "wrapped": "frozen_grad_x_input",
}


class Choice(NamedTuple):
    """The name of a saliency, and the reason for the choice."""

    name: str
    reason: str


def own_saliency(predictor: Any) -> str | None:
    """The saliency by which a run was trained and measured; None where its settings name none."""
    settings = getattr(predictor, "settings", None)
    return None if settings is None else str(settings.saliency)


def default_saliency(predictor: Any) -> Choice:
    """The saliency of a predictor's explanations.

    The first of these that applies: the setting `explain_by`; the best one of an audit of this model, where it can be
    computed (an exported model has fewer saliencies); the best one for models of its family, where it can be computed;
    the norm of the gradient. A predictor without settings has its own.

    Args:
        predictor: a `pct.Predictor`.
    """
    settings = getattr(predictor, "settings", None)
    if settings is None:
        return Choice(getattr(predictor, "explains_by", ""), "the predictor's own")
    if settings.explain_by:
        return Choice(settings.explain_by, "named by the setting explain_by")
    if (audited := getattr(predictor, "audited", None)) and _problem(audited, predictor) is None:
        return Choice(audited, "found best by an audit of this model")
    name = EVIDENCE.get(getattr(predictor, "family", ""))
    if name is None:
        return Choice(settings.saliency, "the saliency of the settings")
    if problem := _problem(name, predictor):
        return Choice(GRADIENT_NORM, f"the norm of the gradient, since {problem}")
    return Choice(name, "the best of one pass on models of this family; not audited on this model")


def _problem(name: str, predictor: Any) -> ValueError | None:
    """Why a saliency cannot be computed for a predictor; None where it can."""
    try:
        make_saliency(name, predictor.settings).check(predictor)
    except ValueError as problem:
        return problem
    return None
