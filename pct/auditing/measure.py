"""The measurements of an audit, block by block: every saliency once, every distinct reduced text once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from pct.auditing.plan import AUDIT_GAPS, CURVES, STABILITY_TEXTS, STABLE, AuditPlan
from pct.auditing.stability import overlap, replace_words
from pct.corpora.splits import Split
from pct.explaining.pairs import explained_pairs
from pct.explaining.predictor import Predictor, split_texts, word_rule
from pct.explaining.reduced_texts import ReducedTexts
from pct.explaining.reduction import words_to_remove
from pct.explaining.removal import remove_words
from pct.metrics.base import Column, TextBlock
from pct.metrics.column_files import join_blocks
from pct.metrics.evaluation import blocks_by_length
from pct.metrics.label_sets import names_of
from pct.metrics.rationale import marks_of_block
from pct.metrics.removal import aopc_steps
from pct.saliency import make_saliency
from pct.tasks import label_sets, task_of
from pct.text.tokens import Ints, Tokens

TEXTS_A_BLOCK = 64
SEPARATOR = "\x1f"  # between the parts of a name; names of saliencies do not contain it
# per text, of several labels per explained pair of a text and a label: n, the true label, the predicted one (of several
# labels the names of all, as JSON; of a number that number), the label explained, the confidence (or the number), the
# words beyond max_length, and the text's position in the split
FACTS = ("n", "label", "predicted", "target", "confidence", "cut", "place")


@dataclass(frozen=True)
class Measured:
    """The measurements of each text.

    Attributes:
        facts: by the names of `FACTS`, (texts,) each.
        columns: for each (saliency, removal), by metric, (texts,) each; NaN where a text has none.
        curves: for each (saliency, removal), (texts, sides, shares + 1) the confidence after 0 words and after each of
            `reduction.ERASER_SHARES`, most salient and least salient first; empty where it was not measured.
        seconds: for each saliency, (texts,) the time to compute it.
    """

    facts: dict[str, Column]
    columns: dict[tuple[str, str], dict[str, Column]]
    curves: dict[tuple[str, str], Column]
    seconds: dict[str, Column]


def measure(
    predictor: Predictor,
    split: Split,
    plan: AuditPlan,
    folder: Path | None = None,
    job: dict[str, Any] | None = None,
    after: Callable[[int], object] = lambda texts: None,
) -> Measured:
    """Measures the texts of a split.

    Args:
        predictor: the model.
        split: texts, labels, and rationales where there are some.
        plan: what is measured.
        folder: for finished blocks, so that an audit that was stopped continues from them; None stores none.
        job: what the numbers depend on. Its digest is in the names of the blocks, so that blocks of other jobs are not
            used.
        after: called with the number of texts of each finished block.

    Raises:
        FloatingPointError: a saliency or a probability is not finite.
    """
    parts = []
    blocks = blocks_by_length(split.texts, word_rule(predictor), TEXTS_A_BLOCK)
    # in random order, so that the first blocks are a fair sample
    blocks = [blocks[i] for i in np.random.default_rng(0).permutation(len(blocks))]
    before = np.cumsum([0, *map(len, blocks)])  # texts of the blocks before each
    digest = job_digest(job or {})
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for number, index in enumerate(blocks):
        part = folder / f"block-{digest}-{number:05}.npz" if folder else None
        numbers = _read(part)
        if numbers is None:
            numbers = _measure_block(predictor, split, index, plan, bool(before[number] < STABILITY_TEXTS))
            if part is not None:
                _write(part, numbers)
        parts.append(numbers)
        after(len(index))
    return _unflatten(join_blocks(f"fact{SEPARATOR}place", parts), plan)


def _measure_block(
    predictor: Predictor, split: Split, index: Ints, plan: AuditPlan, stability: bool
) -> dict[str, Column]:
    """A block's numbers by flat names: see `_unflatten`."""
    documents = split_texts(predictor, [split.texts[i] for i in index])
    text, targets, tokens = explained_pairs(predictor, predictor.tokens(documents))
    index, documents = index[text], [documents[i] for i in text]
    marks = marks_of_block(split, index, documents, tokens)
    texts = {removal: ReducedTexts(predictor, tokens, removal) for removal in plan.metrics}
    base = texts.get("delete") or ReducedTexts(predictor, tokens)
    probabilities = base.whole()
    if not np.isfinite(probabilities).all():
        raise FloatingPointError("the model's probabilities are not finite: its weights are broken; train it again")
    labels = probabilities.argmax(1).astype(np.int64) if targets is None else targets
    gold, predicted = split.labels[index], labels
    confidence = probabilities[np.arange(len(index)), labels]
    if (task := task_of(predictor)).several:
        sets = (label_sets(gold, probabilities.shape[1]), task.assigned(probabilities))
        gold, predicted = (names_of(x, predictor.classes).astype(str) for x in sets)
    elif task.number:
        predicted = confidence
    facts = (tokens.counts, gold, predicted, labels, confidence, tokens.truncated, index)
    numbers: dict[str, Column] = dict(zip((f"fact{SEPARATOR}{name}" for name in FACTS), facts, strict=True))
    scores: dict[str, Column] = {}
    for name, saliency in plan.saliencies.items():
        start = perf_counter()
        _, scores[name] = saliency.explain_texts(base, labels)
        numbers[f"seconds{SEPARATOR}{name}"] = np.full(len(index), (perf_counter() - start) / len(index))
        if not np.isfinite(scores[name]).all():
            raise FloatingPointError(
                f"the saliency {name} is not finite; name the other saliencies alone, or train the model again"
            )
    stable = _stability(predictor, tokens, labels, index, plan, scores) if plan.stability and stability else {}
    for removal, metrics in plan.metrics.items():
        wanted = metrics.plan(tokens.counts)
        curves = set(CURVES) <= set(metrics.names)
        for name in plan.saliencies:
            given = scores[name].astype(np.float64)
            seen = remove_words(predictor, tokens, wanted, labels, "static", removal, given=given, texts=texts[removal])
            columns = metrics.columns(TextBlock(seen, split.labels[index], index, **marks))
            for metric in metrics.names:
                numbers[SEPARATOR.join(("metric", name, removal, metric))] = columns[metric]
            if curves:
                steps = np.concatenate([np.zeros((len(index), 1), np.int64), aopc_steps(tokens.counts)], 1)
                sides = [np.take_along_axis(x.confidence, steps, 1) for x in (seen.important, seen.unimportant)]
                numbers[SEPARATOR.join(("curve", name, removal))] = np.stack(sides, 1)
    if plan.stability:
        first = next(iter(plan.metrics))
        for name in plan.saliencies:
            for kind in STABLE:
                numbers[SEPARATOR.join(("metric", name, first, kind))] = stable.get(
                    (name, kind), np.full(len(index), np.nan)
                )
    return numbers


def _stability(
    predictor: Predictor, tokens: Tokens, labels: Ints, index: Ints, plan: AuditPlan, scores: dict[str, Column]
) -> dict[tuple[str, str], Column]:
    """The share of the top words that stay under another seed, and when a word is replaced by a similar one."""
    share = next(iter(plan.metrics.values())).options.p_important
    top = words_to_remove(tokens.counts, share)
    stable: dict[tuple[str, str], Column] = {}
    changed = replace_words(predictor, tokens, index)
    for name, saliency in plan.saliencies.items():
        if saliency.seeded:
            again = make_saliency(name, getattr(predictor, "settings", None), seed=saliency.options.seed + 1)
            _, other = again.explain_tokens(predictor, tokens, labels)
        else:
            other = scores[name]  # without a seed the numbers would be the same again
        stable[name, "stable_seed"] = overlap(scores[name], other, tokens.counts, top)
        if changed is not None:
            _, other = saliency.explain_tokens(predictor, changed.tokens, labels)
            shared = overlap(scores[name], other, tokens.counts, top)
            stable[name, "stable_word"] = np.where(changed.replaced, shared, np.nan)
    return stable


def _unflatten(joined: dict[str, Column], plan: AuditPlan) -> Measured:
    columns: dict[tuple[str, str], dict[str, Column]] = {}
    curves: dict[tuple[str, str], Column] = {}
    for flat, values in joined.items():
        kind, *names = flat.split(SEPARATOR)
        if kind == "metric":
            columns.setdefault((names[0], names[1]), {})[names[2]] = values
        elif kind == "curve":
            curves[names[0], names[1]] = values
    for cell in columns.values():
        for name, (more, less) in AUDIT_GAPS.items():
            if more in cell:
                cell[name] = cell[more] - cell[less]
    return Measured(
        {name: joined[f"fact{SEPARATOR}{name}"] for name in FACTS},
        columns,
        curves,
        {name: joined[f"seconds{SEPARATOR}{name}"] for name in plan.saliencies},
    )


def job_digest(job: dict[str, Any]) -> str:
    """A digest of a job, in sixteen characters."""
    text = json.dumps(job, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def remove_parts(folder: Path, digest: str) -> None:
    """Removes the finished blocks of a job, and their folder where it is then empty."""
    for part in folder.glob(f"block-{digest}-*.npz"):
        part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another audit has blocks there, or has removed the folder
        folder.rmdir()


def _read(part: Path | None) -> dict[str, Column] | None:
    """A stored block; None where there is none, or another process has just removed it."""
    try:
        if part is None:
            return None
        with np.load(part, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None


def _write(part: Path, numbers: dict[str, Column]) -> None:
    """Writes a block atomically; two processes may write the same one."""
    unfinished = part.with_name(f".{part.name}.{os.getpid()}")
    with unfinished.open("wb") as out:
        np.savez(out, **numbers)  # type: ignore[arg-type]  # its keyword allow_pickle exists in numpy 2.2 and later
    os.replace(unfinished, part)
