"""What logits mean, in torch: `pct.tasks` for batches that are differentiated, and the losses of training."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32, or unchanged in float64."""
    return values if values.dtype == torch.float64 else values.float()


class Head:
    """The functions of a model's logits; these are those of one class of several: softmax and cross-entropy.

    Scores, divergences and losses are computed in float32 or wider, whatever the precision of the logits.

    Attributes:
        kind: that of the task, see `pct.tasks.Task`.
    """

    kind: ClassVar[str] = "softmax"

    def probabilities(self, logits: Tensor) -> Tensor:
        """(rows, classes) logits -> probabilities; `pct.tasks.Task.probabilities` in torch."""
        return logits.softmax(-1)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """The logarithms of the predicted distributions, (rows, .., outcomes): those of the last axis sum to one."""
        return at_least_float32(logits).log_softmax(-1)

    def chosen(self, logits: Tensor, classes: Tensor | None) -> Tensor:
        """What is explained: the given classes, where there are any, else the most probable class of a text.

        Args:
            logits: (rows, classes) of the whole texts.
            classes: (rows,) indices, or of several labels (rows, classes), 1 at each; None for none.
        """
        return logits.argmax(-1) if classes is None else classes

    def score(self, logits: Tensor, classes: Tensor, of: str = "log_odds") -> Tensor:
        """The scalar that is differentiated, (rows,). The log-odds of one class are z_c - logsumexp of the others.

        Their gradient has the direction of the probability's, since d f_c = f_c (1 - f_c) d log-odds, and does not
        vanish in float32 where f_c rounds to 1.

        Args:
            logits: (rows, classes).
            classes: the result of `chosen`.
            of: log_odds, probability or logit.

        Raises:
            ValueError: another `of`.
        """
        logits = at_least_float32(logits)
        chosen = logits.gather(1, classes[:, None]).squeeze(1)
        if of == "logit":
            return chosen
        if of == "probability":
            return logits.softmax(-1).gather(1, classes[:, None]).squeeze(1)
        if of == "log_odds":
            others = logits.scatter(1, classes[:, None], float("-inf"))
            return chosen - others.logsumexp(-1)
        raise _unknown_output(of)

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """KL(f || g) of the distributions f and g of logits (rows, classes), the mean over rows, in nats; of several
        labels over labels too; of a number the mean squared difference. Zero without rows."""
        first, second = (self.log_probabilities(x) for x in (logits, others))
        each = F.kl_div(second, first, reduction="none", log_target=True)
        return each.sum() / max(math.prod(each.shape[:-1]), 1)

    def drop(self, whole: Tensor, reduced: Tensor) -> Tensor:
        """The fall of the explained output, (rows,), from that of the whole texts to that of reduced ones; of a number,
        which important words may raise or lower, its change in either direction."""
        return whole - reduced

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, reduction: str = "mean") -> Tensor:
        """The supervised loss.

        Args:
            logits: (rows, classes).
            labels: the true labels, in the form of `chosen`.
            weights: (classes,); None for equal ones.
            reduction: mean, a scalar, or none, (rows,).
        """
        return F.cross_entropy(at_least_float32(logits), labels, weights, reduction=reduction)


class SigmoidHead(Head):
    """Several labels: a sigmoid and a binary cross-entropy for each."""

    kind = "sigmoid"

    def probabilities(self, logits: Tensor) -> Tensor:
        """See `Head.probabilities`."""
        return logits.sigmoid()

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """See `Head.log_probabilities`: (rows, labels, 2), of each label and of its absence."""
        logits = at_least_float32(logits)
        return F.logsigmoid(torch.stack([logits, -logits], -1))

    def chosen(self, logits: Tensor, classes: Tensor | None) -> Tensor:
        """See `Head.chosen`."""
        if classes is None:
            return logits.argmax(-1)
        if classes.ndim == 1:
            return classes
        highest = F.one_hot(logits.argmax(-1), logits.shape[-1]).to(classes.dtype)
        return classes.where(classes.any(-1, keepdim=True), highest)

    def score(self, logits: Tensor, classes: Tensor, of: str = "log_odds") -> Tensor:
        """See `Head.score`: of several labels the mean. The log-odds of a label are its logit."""
        if of not in ("log_odds", "probability", "logit"):
            raise _unknown_output(of)
        logits = at_least_float32(logits)
        outputs = logits.sigmoid() if of == "probability" else logits
        if classes.ndim == 1:
            return outputs.gather(1, classes[:, None]).squeeze(1)
        weights = classes.to(outputs.dtype)
        return (outputs * weights).sum(-1) / weights.sum(-1)

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, reduction: str = "mean") -> Tensor:
        """See `Head.loss`: binary cross-entropy, the mean over labels. weights: of the texts that have the label."""
        logits = at_least_float32(logits)
        each = F.binary_cross_entropy_with_logits(
            logits, labels.to(logits.dtype), pos_weight=weights, reduction="none"
        ).mean(-1)
        return each.mean() if reduction == "mean" else each


class ValueHead(Head):
    """A number: the logit itself, and the squared error."""

    kind = "value"

    def probabilities(self, logits: Tensor) -> Tensor:
        """See `Head.probabilities`: the number itself."""
        return logits

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """See `Head.log_probabilities`."""
        raise ValueError("a number has no distribution over classes")

    def chosen(self, logits: Tensor, classes: Tensor | None) -> Tensor:
        """See `Head.chosen`: the only output."""
        return logits.argmax(-1)

    def score(self, logits: Tensor, classes: Tensor, of: str = "log_odds") -> Tensor:
        """See `Head.score`: the number itself, whatever `of` is."""
        return at_least_float32(logits).squeeze(-1)

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """See `Head.divergence`."""
        return (at_least_float32(logits) - at_least_float32(others)).square().sum() / max(len(logits), 1)

    def drop(self, whole: Tensor, reduced: Tensor) -> Tensor:
        """See `Head.drop`."""
        return (whole - reduced).abs()

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, reduction: str = "mean") -> Tensor:
        """See `Head.loss`: the squared error."""
        logits = at_least_float32(logits)
        return F.mse_loss(logits.squeeze(-1), labels.to(logits.dtype), reduction=reduction)


def _unknown_output(of: str) -> ValueError:
    return ValueError(f"saliency_of must be log_odds, probability or logit, got {of!r}")


SOFTMAX, SIGMOID, VALUE = Head(), SigmoidHead(), ValueHead()
HEAD_OF_KIND: dict[str, Head] = {head.kind: head for head in (SOFTMAX, SIGMOID, VALUE)}


def head_of_labels(labels: Tensor) -> Head:
    """The head that labels are for: (rows,) indices of classes, (rows, labels) 0 and 1, or (rows,) floats."""
    if labels.ndim == 1:
        return VALUE if labels.is_floating_point() else SOFTMAX
    return SIGMOID
