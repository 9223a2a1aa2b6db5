"""interpreto on a classifier of the transformers library, and its curves by this project's means."""

from typing import Any

import numpy as np
import torch

from pct.classifier import Classifier
from pct.explaining.removal import RemovalPlan, remove_words, width_of
from pct.text.words import split_all

Numbers = np.ndarray[Any, Any]
STEPS = 1000  # more than a text has words: each step of its curves is then one word


class Interpreto:
    """Its gradient saliency of words and its curves of deletion and insertion, with the mask token for a word.

    Args:
        model: an `AutoModelForSequenceClassification`.
        tokenizer: the model's.
        together: rows a call.

    Raises:
        ImportError: interpreto is not installed, or something that it imports.
    """

    def __init__(self, model: Any, tokenizer: Any, together: int) -> None:
        try:
            from interpreto import Granularity, Saliency
            from interpreto.attributions.metrics import Deletion, Insertion
            from interpreto.commons.granularity import GranularityAggregationStrategy
        except Exception as problem:  # it imports much, and much may be missing or too new
            raise ImportError(f"interpreto cannot be imported ({type(problem).__name__}: {problem})") from problem
        self.explain = Saliency(
            model, tokenizer, batch_size=together, granularity=Granularity.WORD, input_x_gradient=False,
            granularity_aggregation_strategy=GranularityAggregationStrategy.SUM,
        )  # fmt: skip
        self.metrics = [
            kind(model, tokenizer, batch_size=together, n_perturbations=STEPS) for kind in (Deletion, Insertion)
        ]

    def saliency(self, texts: list[str], labels: list[int]) -> list[Numbers]:
        """A number a word of each text: the logit's absolute gradient, a mean over its width, summed over tokens."""
        return [one.attributions[0].numpy() for one in self.explain(texts, torch.tensor(labels))]

    def curves(self, texts: list[str], labels: list[int]) -> list[Numbers]:
        """The confidence of each text as its words are deleted, then of each as they are inserted, word by word.

        The step at which no word is left is not among them.
        """
        explained = self.explain(texts, torch.tensor(labels))
        deleted, inserted = ([scores[0].numpy() for scores in metric.evaluate(explained)[1]] for metric in self.metrics)
        return [*(curve[:-1] for curve in deleted), *(curve[1:] for curve in inserted)]


def curves_by_removal(model: Classifier, texts: list[str]) -> list[Numbers]:
    """The same by `remove_words`: to insert the most salient words first is to remove the least salient last."""
    tokens = model.tokens(split_all(texts))
    n = tokens.counts
    every = np.broadcast_to(np.arange(width_of(n)), (len(n), width_of(n)))
    seen = remove_words(model, tokens, RemovalPlan.at(n, every, every), removal="mask")
    deleted, inserted = (
        [row[:many] for row, many in zip(side.confidence, n, strict=True)]
        for side in (seen.important, seen.unimportant)
    )
    return [*deleted, *(curve[::-1] for curve in inserted)]
