"""What the outputs of a sequence classifier mean, and a classifier of one score as one of two classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pct.settings import OUTPUT_KINDS, Settings
from pct.tasks import default_names, task_of_settings

SOFTMAX_KIND, SIGMOID_KIND, VALUE_KIND = OUTPUT_KINDS
UNNAMED = {SIGMOID_KIND: "positive", VALUE_KIND: "value"}  # the name of an output that is called LABEL_0
# the problem types of transformers by the kind of the task
PROBLEM_TYPES = {
    SOFTMAX_KIND: "single_label_classification", SIGMOID_KIND: "multi_label_classification", VALUE_KIND: "regression"
}  # fmt: skip
_OF_PROBLEM = {PROBLEM_TYPES[kind]: kind for kind in (SIGMOID_KIND, VALUE_KIND)}
# where the configurations of sentence-transformers' cross-encoders name the activation of the score
_ACTIVATIONS = ("sbert_ce_default_activation_function", "activation_fn")


def output_names(names: Sequence[str]) -> dict[str, dict[Any, Any]]:
    """The names of a classifier's outputs, as a configuration of transformers has them."""
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def kind_of_output(config: Any, name: str, asked: str = "") -> str:
    """The kind of a classifier's outputs: softmax, sigmoid or value.

    Args:
        config: of the classifier. Its `problem_type`, or the activation that a cross-encoder of sentence-transformers
            names, decides if `asked` is empty.
        name: of the model, for errors.
        asked: the kind that the user gave; empty for none.

    Raises:
        ValueError: an unknown kind, one that does not fit the number of outputs, or one output of an unknown kind.
    """
    if asked and asked not in OUTPUT_KINDS:
        raise ValueError(f"head must be one of {', '.join(OUTPUT_KINDS)}, got {asked!r}")
    stated = asked or _OF_PROBLEM.get(config.problem_type or "", "") or _of_activation(config)
    if config.num_labels > 1:
        if stated == VALUE_KIND:
            raise ValueError(f"{name} has {config.num_labels} outputs: head value explains a model with one number")
        return stated or SOFTMAX_KIND
    if stated == SOFTMAX_KIND:
        raise ValueError(f"{name} has one output: a softmax needs two or more; set head to sigmoid or value")
    if not stated:
        raise ValueError(
            f"{name} has one output and does not say what it is: set head to sigmoid if it is the log-odds of a class, "
            "or to value if it is a number"
        )
    return stated


def _of_activation(config: Any) -> str:
    own = getattr(config, "sentence_transformers", None) or {}
    named = next((x for key in _ACTIVATIONS if (x := own.get(key) or getattr(config, key, None))), "")
    # of several outputs sentence-transformers names the identity, and the classes are those of a softmax
    identity = VALUE_KIND if config.num_labels == 1 else SOFTMAX_KIND
    return {"Sigmoid": SIGMOID_KIND, "Identity": identity}.get(str(named).rpartition(".")[2], "")


def check_new_head(settings: Settings) -> None:
    """Raises ValueError if the settings ask for another kind of output than that of a new head for their labels."""
    task = task_of_settings(settings)
    if settings.head not in ("", task.kind):
        raise ValueError(
            f"head {settings.head} has no effect on a new head, which is for {task.labels_are} for each text: leave it "
            "out; for several labels set multi_label"
        )


def class_names(config: Any, kind: str) -> list[str]:
    """The names of a classifier's classes, in the order of its logits.

    A single output with the name NAME has the classes not NAME, NAME if it is the log-odds of a class, and the name
    alone if it is a number. An output called LABEL_0 is named by `UNNAMED`.
    """
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    if len(names) > 1:
        return names
    own = UNNAMED[kind] if default_names(names) else names[0]
    return [own] if kind == VALUE_KIND else [f"not {own}", own]


def two_logits(score: Tensor) -> Tensor:
    """A score z (.., 1) as the logits (0, z) of two classes, (.., 2): their softmax is 1 - sigmoid(z), sigmoid(z)."""
    return torch.cat([torch.zeros_like(score), score], -1)


class TwoClasses(nn.Module):
    """The last layer of a classifier of one score, with the logits of two classes.

    Args:
        score: the model's own layer, which is shared.
    """

    out_features = 2

    def __init__(self, score: nn.Linear) -> None:
        super().__init__()
        self.score, self.in_features = score, score.in_features

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) -> logits (batch, 2)."""
        return two_logits(self.score(pooled))

    def swap(self) -> None:
        """Exchanges the two classes."""
        with torch.no_grad():
            for weight in self.score.parameters():
                weight.neg_()
