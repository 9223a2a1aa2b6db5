"""ferret on a classifier of the transformers library, and its metrics computed by this project."""

from typing import Any

import numpy as np

from pct.classifier import Classifier
from pct.explaining.removal import RemovalPlan, remove_words
from pct.text.words import split_all

Numbers = np.ndarray[Any, Any]


class Ferret:
    """ferret's gradient explainer (l1 of the logit's gradient) and AOPC pair, one text per call as ferret requires.

    Args:
        model: an `AutoModelForSequenceClassification`.
        tokenizer: the model's.

    Raises:
        ImportError: ferret or a package that it imports is missing or incompatible.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        try:
            from ferret import AOPC_Comprehensiveness_Evaluation, AOPC_Sufficiency_Evaluation, GradientExplainer
        except Exception as problem:  # any of its many dependencies may be missing or too new
            raise ImportError(f"ferret cannot be imported ({type(problem).__name__}: {problem})") from problem
        self.explain = GradientExplainer(model, tokenizer, multiply_by_inputs=False)
        kinds = (AOPC_Comprehensiveness_Evaluation, AOPC_Sufficiency_Evaluation)
        self.evaluators = [kind(model, tokenizer) for kind in kinds]

    def saliency(self, texts: list[str], labels: list[int]) -> list[Numbers]:
        """A score for each token of each text, without the special tokens."""
        pairs = zip(texts, labels, strict=True)
        return [np.asarray(self.explain(text, label).scores)[1:-1] for text, label in pairs]

    def aopc(self, texts: list[str], labels: list[int]) -> Numbers:
        """AOPC comprehensiveness and sufficiency of each text: (2, texts)."""
        out = []
        for text, label in zip(texts, labels, strict=True):
            explanation = self.explain(text, label)
            out.append([float(e.compute_evaluation(explanation, label).score) for e in self.evaluators])
        return np.array(out).T


def aopc_by_removal(model: Classifier, texts: list[str]) -> Numbers:
    """ferret's AOPC pair by `remove_words`, with its ten thresholds: (2, texts), comprehensiveness and sufficiency."""
    tokens = model.tokens(split_all(texts))
    n = tokens.counts
    steps, counted = _steps(n)
    plan = RemovalPlan.at(n, np.where(counted, steps, 0), np.where(counted, n[:, None] - steps, 0))
    curves = remove_words(model, tokens, plan)
    single_word = model.tokens([["a"]])
    specials = single_word.ids[single_word.word_ids < 0][None]  # at ferret's last threshold only these are left
    without_words = model.forward(specials, specials >= 0)[0][curves.labels]
    rows, out = np.arange(len(n)), []
    for side, at in ((curves.important, steps), (curves.unimportant, n[:, None] - steps)):
        reached = side.confidence[rows[:, None], np.minimum(at, n[:, None] - 1)]
        reached = np.where(at == n[:, None], without_words[:, None], reached)
        drop = side.confidence[:, :1] - reached
        out.append(np.where(counted, drop, 0).sum(1) / np.maximum(counted.sum(1), 1))
    return np.stack(out)


def _steps(counts: Numbers) -> tuple[Numbers, Numbers]:
    """The words removed at each of ferret's thresholds, and whether the threshold counts: both (texts, 10).

    ferret rounds down, and skips a threshold that removes no word, or no more than the one before.
    """
    steps = (np.arange(0.1, 1.1, 0.1) * counts[:, None]).astype(np.int64)
    before = np.concatenate([np.zeros((len(steps), 1), np.int64), steps[:, :-1]], 1)
    return steps, (steps > before) & (steps > 0) & (steps <= counts[:, None])
