"""Which saliency explains a model, where nobody named one. No torch here."""

from __future__ import annotations

from typing import Any, NamedTuple

from pct.saliency import GRADIENT_NORM, make_saliency

# What measured best among the saliencies of one pass: docs/results/audits.md. A family is `TextModel.family`.
EVIDENCE = {
    "textcnn": "grad_x_input",
    "lstm": "grad_x_input",
    "transformer": "frozen_grad_x_input",
    "wrapped": "frozen_grad_x_input",
}


class Choice(NamedTuple):
    """A saliency by name, and why it was chosen, in words."""

    name: str
    reason: str


def own_saliency(predictor: Any) -> str | None:
    """The saliency by which a run was trained and measured, which its report shows; None where none is named."""
    settings = getattr(predictor, "settings", None)
    return None if settings is None else str(settings.saliency)


def default_saliency(predictor: Any) -> Choice:
    """The saliency of a predictor's explanations.

    The first of these that applies: the one that the settings name by `explain_by`; the one that an audit of this model
    found best, where the model can give it (an exported one holds fewer); the one that measured best for models of its
    family, where the model can give it; the norm of the gradient. A predictor without settings has its own.

    Args:
        predictor: a `pct.Predictor`.
    """
    settings = getattr(predictor, "settings", None)
    if settings is None:
        return Choice(getattr(predictor, "explains_by", ""), "the predictor's own")
    asked = getattr(predictor, "saliency_kind", settings.saliency)
    if asked != settings.saliency:
        return Choice(asked, "asked for")
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
    """Why a predictor cannot give a saliency; None where it can."""
    try:
        make_saliency(name, predictor.settings).check(predictor)
    except ValueError as problem:
        return problem
    return None
