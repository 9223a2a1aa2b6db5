"""interpreto on a classifier of the transformers library, and its curves computed by this project."""

from typing import Any

import numpy as np
import torch

from pct.classifier import Classifier
from pct.explaining.removal import RemovalPlan, remove_words, width_of
from pct.text.words import split_all

Numbers = np.ndarray[Any, Any]
STEPS = 1000  # more than any text has words, so that each step of a curve is one word


class Interpreto:
    """interpreto's gradient saliency of words, and its deletion and insertion curves with the mask token for a word.

    Args:
        model: an `AutoModelForSequenceClassification`.
        tokenizer: the model's.
        batch_size: rows per call.

    Raises:
        ImportError: interpreto or a package that it imports is missing or incompatible.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        try:
            from interpreto import Granularity, Saliency
            from interpreto.attributions.metrics import Deletion, Insertion
            from interpreto.commons.granularity import GranularityAggregationStrategy
        except Exception as problem:  # any of its many dependencies may be missing or too new
            raise ImportError(f"interpreto cannot be imported ({type(problem).__name__}: {problem})") from problem
        self.explain = Saliency(
            model, tokenizer, batch_size=batch_size, granularity=Granularity.WORD, input_x_gradient=False,
            granularity_aggregation_strategy=GranularityAggregationStrategy.SUM,
        )  # fmt: skip
        self.metrics = [
            kind(model, tokenizer, batch_size=batch_size, n_perturbations=STEPS) for kind in (Deletion, Insertion)
        ]

    def saliency(self, texts: list[str], labels: list[int]) -> list[Numbers]:
        """A score for each word of each text: the logit's absolute gradient, a mean over the width, summed by word."""
        return [explanation.attributions[0].numpy() for explanation in self.explain(texts, torch.tensor(labels))]

    def curves(self, texts: list[str], labels: list[int]) -> list[Numbers]:
        """The confidence of each text as its words are deleted one by one, then of each as they are inserted.

        The step without any word is left out.
        """
        explained = self.explain(texts, torch.tensor(labels))
        deleted, inserted = ([scores[0].numpy() for scores in metric.evaluate(explained)[1]] for metric in self.metrics)
        return [*(curve[:-1] for curve in deleted), *(curve[1:] for curve in inserted)]


def curves_by_removal(model: Classifier, texts: list[str]) -> list[Numbers]:
    """The same curves by `remove_words`; an insertion curve is a removal of the least salient words, read backwards."""
    tokens = model.tokens(split_all(texts))
    n = tokens.counts
    steps = np.broadcast_to(np.arange(width_of(n)), (len(n), width_of(n)))
    curves = remove_words(model, tokens, RemovalPlan.at(n, steps, steps), removal="mask")
    deleted, inserted = (
        [row[:count] for row, count in zip(side.confidence, n, strict=True)]
        for side in (curves.important, curves.unimportant)
    )
    return [*deleted, *(curve[::-1] for curve in inserted)]
