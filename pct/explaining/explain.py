"""Explanations of many texts at once, over any `Predictor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pct.explaining.explanation import Curve, Explanation
from pct.explaining.explanations import Explanations
from pct.explaining.pairs import Target, explained_pairs, target_indices
from pct.explaining.predictor import Predictor, Texts, check_classes, reading_of, removing, split_texts
from pct.explaining.reduction import check_share, words_to_remove
from pct.explaining.removal import TEXTS_A_BLOCK, RemovalPlan, RemovalResult, Removals, remove_words
from pct.explaining.verdict import tolerances
from pct.saliency import choose_saliency
from pct.saliency.defaults import Choice, default_saliency
from pct.tasks import Task, task_of
from pct.text.tokens import Doubles, Ints, Tokens
from pct.text.words import Document

Columns = Mapping[str, Doubles]
NO_COLUMNS: Columns = {}


class CurveOptions(NamedTuple):
    """What explanations are built with, beside the removals.

    Attributes:
        max_steps: the removals that a curve shows at most.
        p_important: the share of words removed for comp.
        p_unimportant: the share of words removed for suff.
        saliency: its name, and why it was taken.
        windows: how the model reads texts beyond its length; see `Explanation`.
    """

    max_steps: int
    p_important: float
    p_unimportant: float
    saliency: Choice
    windows: str = ""


def explain(
    predictor: Predictor,
    texts: Texts,
    max_steps: int = 15,
    classes: Sequence[int] | None = None,
    order: str = "static",
    p_important: float = 0.1,
    p_unimportant: float = 0.1,
    removal: str = "delete",
    saliency: str | None = None,
    target: Target = None,
    seed: int = 0,
    remove: str | None = None,
) -> Explanations:
    """Saliency, reduction curves and verdicts of texts, all in one call.

    Args:
        predictor: the model.
        texts: strings, pairs of texts as tuples of two strings, or lists of words.
        max_steps: the most words removed on each side of a curve; one word always remains. The search for a change of
            the prediction goes further. 0 gives the saliency alone, without comp, suff and a verdict.
        classes: the index of the class explained for each text; see target, which takes names too.
        order: `static` ranks the words once, `recomputed` again after each removal, `beam` follows five removals at
            once and takes the best (Feng et al. 2018).
        p_important: the share of words removed for comp, in (0, 1].
        p_unimportant: the share of words removed for suff, in (0, 1].
        removal: `delete` closes the gap of a removed word; `mask` and `unknown` put that token in its place.
        saliency: by its name in `pct.saliencies`; where None, see `pct.saliency.defaults.default_saliency`.
        target: the class explained, by its name or index, one for all texts or a list with one for each; the predicted
            one where None. A model of several labels explains every label that it assigns, or the most probable one
            where it assigns none; an element of the list may then be a list of labels.
        seed: of the saliency's random draws, if it has any.
        remove: of pairs: whose words are ranked and removed, first, second or both; None takes that of the model's
            settings, by default both, ranked together.

    Returns:
        An explanation for each text, of several labels for each text and label, in a list that has `to_pandas` and
        `to_html`.

    Raises:
        ValueError: a text without words, max_steps < 0, a class that the model does not have, a share outside (0, 1],
            or a saliency that the model cannot give.
    """
    of_texts = explain_each(
        predictor, texts, max_steps, classes, order, p_important, p_unimportant, removal, saliency, target, seed, remove
    )
    return Explanations(explanation for of_text in of_texts for explanation in of_text)


def explain_each(
    predictor: Predictor,
    texts: Texts,
    max_steps: int = 15,
    classes: Sequence[int] | None = None,
    order: str = "static",
    p_important: float = 0.1,
    p_unimportant: float = 0.1,
    removal: str = "delete",
    saliency: str | None = None,
    target: Target = None,
    seed: int = 0,
    remove: str | None = None,
) -> list[list[Explanation]]:
    """`explain`, with the explanations of each text in a list of their own."""
    for name, value in (("max_steps", max_steps), ("seed", seed)):
        if not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name} must be a whole number >= 0, got {value!r}")
    for share in (p_important, p_unimportant):
        check_share(share)
    predictor, documents = removing(predictor, remove), split_texts(predictor, texts)
    if classes is not None and target is not None:
        raise ValueError("classes and target both name the class that is explained: give one of them")
    number, names, task = len(documents), predictor.classes, task_of(predictor)
    if classes is None:
        targets = target_indices(target, names, number, task)
    else:
        targets = list(check_classes(classes, number, len(names))[:, None])
    choice = Choice(saliency, "asked for") if saliency else default_saliency(predictor)
    options = CurveOptions(max_steps, p_important, p_unimportant, choice, reading_of(predictor))
    ranking = choose_saliency(predictor, choice.name or None, seed)
    explanations: list[list[Explanation]] = [[] for _ in documents]
    by_length = np.argsort([len(words) for words in documents], kind="stable")
    for start in range(0, number, TEXTS_A_BLOCK):
        block = by_length[start : start + TEXTS_A_BLOCK]
        some = [documents[i] for i in block]
        text, labels, tokens = explained_pairs(
            predictor, predictor.tokens(some), None if targets is None else [targets[i] for i in block]
        )
        plan = _plan(tokens.counts, options, task)
        seen = remove_words(predictor, tokens, plan, labels, order, removal, saliency=ranking)
        seen.check_finite(block[text])
        built = build_explanations([some[i] for i in text], tokens, seen, predictor.classes, options)
        for i, explanation in zip(block[text].tolist(), built, strict=True):
            explanations[i].append(explanation)
    return explanations


def _plan(counts: Ints, options: CurveOptions, task: Task) -> RemovalPlan:
    """The steps that the curves show, and those of comp and suff; none for the saliency alone."""
    if not options.max_steps:
        return RemovalPlan()
    shares = (options.p_important, options.p_unimportant)
    steps = (np.maximum(words_to_remove(counts, share), np.minimum(counts - 1, options.max_steps)) for share in shares)
    return RemovalPlan.first(counts, *steps) | RemovalPlan(until_flip=not task.number)


def build_explanations(
    documents: Sequence[Document],
    tokens: Tokens,
    seen: Removals,
    classes: Sequence[str],
    options: CurveOptions,
    columns: Columns = NO_COLUMNS,
    controls: Sequence[str] = (),
) -> list[Explanation]:
    """The explanations of a block of texts, from removals that were run.

    Args:
        documents: the texts.
        tokens: the same, as the predictor gives them.
        seen: their removals: the first max_steps of each side, or none.
        classes: the names of the model's classes.
        options: see `CurveOptions`.
        columns: further metrics, by name (texts,): comp_aopc and suff_aopc, and each of the controls.
        controls: the names of those that an explanation lists as its controls.

    Returns:
        One for each text.
    """
    shown = np.minimum(np.maximum(seen.counts - 1, 0), options.max_steps)
    sides = (seen.important, seen.unimportant)
    task = seen.task
    important, unimportant = (_curves(side, shown, seen.labels, task, classes) for side in sides)
    # where the steps were not run, the confidence is NaN, and so is the mean
    comp, suff = (
        np.where(seen.counts > 1, side.mean_drop(words_to_remove(seen.counts, share)), np.nan)
        for side, share in zip(sides, (options.p_important, options.p_unimportant), strict=True)
    )
    limits = tolerances(*task.certainty(seen.probabilities, seen.labels))
    missing = np.full(len(documents), np.nan)
    comp_aopc, suff_aopc = (columns.get(name, missing) for name in ("comp_aopc", "suff_aopc"))
    explanations = []
    for i, (document, n) in enumerate(zip(documents, seen.counts, strict=True)):
        positions = tokens.places(i).tolist()
        label, probabilities = int(seen.labels[i]), seen.probabilities[i].tolist()
        explanations.append(
            Explanation(
                words=[document[position] for position in positions],
                saliency=seen.saliency[i, :n].astype(np.float32),
                label=label,
                label_name=classes[label],
                confidence=probabilities[label],
                important=important[i],
                unimportant=unimportant[i],
                truncated=int(tokens.truncated[i]),
                comp=float(comp[i]),
                suff=float(suff[i]),
                text=document.text,
                text_pair=None if document.second is None else document.second.text,
                first_words=sum(position < document.first_words for position in positions),
                spans=[document.spans[position] for position in positions],
                known=tokens.known(i).tolist(),
                saliency_name=options.saliency.name,
                saliency_reason=options.saliency.reason,
                tolerance=float(limits[i]),
                probabilities={} if task.number else dict(zip(classes, probabilities, strict=True)),
                threshold=getattr(task, "threshold", None),
                windows=options.windows,
                number=task.number,
                comp_aopc=float(comp_aopc[i]),
                suff_aopc=float(suff_aopc[i]),
                controls={name: None if np.isnan(value := columns[name][i]) else float(value) for name in controls},
            )
        )
    return explanations


def _curves(side: RemovalResult, steps: Ints, labels: Ints, task: Task, classes: Sequence[str]) -> list[Curve]:
    """The first steps of each text, and where its prediction changes, also where that is beyond them."""
    order = np.argsort(side.ranks, axis=1, kind="stable")
    flips = side.flips().tolist()

    def name(outcome: int, i: int) -> str:
        return task.outcome_name(outcome, labels[i], classes)

    return [
        Curve(
            order[i, :n].tolist(),
            side.confidence[i, : n + 1].tolist(),
            flips[i] or None,
            name(side.predicted[i, flips[i]], i) if flips[i] else None,
            [] if task.number else [name(outcome, i) for outcome in side.predicted[i, 1 : n + 1].tolist()],
        )
        for i, n in enumerate(steps)
    ]
