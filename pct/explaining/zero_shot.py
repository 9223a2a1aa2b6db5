"""Zero-shot classification by an entailment model: each label is a hypothesis about the text."""

from __future__ import annotations

from collections.abc import Sequence

HYPOTHESIS = "This example is {}."  # that of transformers' zero-shot pipeline


def hypotheses(texts: Sequence[str], labels: Sequence[str]) -> list[tuple[str, str]]:
    """The pair of each text and each label's hypothesis, in the order of the texts."""
    return [(text, HYPOTHESIS.format(label)) for text in texts for label in labels]


def entailment_classes(classes: Sequence[str]) -> list[str]:
    """The classes whose name says that the first text entails the second."""
    return [name for name in classes if name.lower().startswith("entail")]


def entailment_class(classes: Sequence[str]) -> str:
    """The class of an entailment model that says that the first text entails the second.

    Raises:
        ValueError: no class, or more than one, is named so.
    """
    named = entailment_classes(classes)
    if len(named) != 1:
        raise ValueError(
            f"zero-shot needs a model with a class entailment, and this one has {', '.join(classes)}: give an "
            "entailment model, with its classes named in its configuration (id2label)"
        )
    return named[0]
