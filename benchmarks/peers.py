"""This project, captum, interpreto and ferret on the same classifier and texts: texts per second, and the same numbers
where the definitions agree."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pct
from benchmarks._ferret import Ferret, aopc_by_removal
from benchmarks._interpreto import Interpreto, curves_by_removal
from benchmarks._peers import captum_loop, captum_saliency
from benchmarks._wrapped import transformers_model, wrapped
from benchmarks.common import Row, alternate, corpus, cpu_ratio, sample
from pct.classifier import Classifier
from pct.text.words import split_all

TEXTS, COMPARED, ROUNDS = 32, 24, 3
BATCH_SIZE = 16  # texts per call, for the libraries that take several
KIND = "bert"
AOPC = ("comp_aopc", "suff_aopc")
Numbers = Sequence[np.ndarray[Any, Any]]
Call = Callable[[list[str], list[int]], Numbers]


def main() -> Row:
    """Two tables, saliency and removal, with a row per library; the result names libraries that cannot be imported."""
    model, tokenizer = transformers_model(KIND)
    ours = wrapped(KIND)
    with_logit_l1 = Classifier(
        ours.model, ours.tokenizer, ours.classes, ours.settings.replace(saliency="l1", saliency_of="logit")
    )
    result: Row = {"tables": {}}
    pairs: list[tuple[str, str, str, Call, Call]] = [
        ("saliency", "captum", "l2 of the log-odds' gradient",
         lambda texts, labels: captum_saliency(model, tokenizer, texts, labels, BATCH_SIZE),
         lambda texts, _: ours.saliency(texts)),
        ("removal", "captum, and a loop", "AOPC pair, shares 1, 5, 10, 20, 50 %",
         lambda texts, _: list(captum_loop(ours, split_all(texts)).values()),
         lambda texts, labels: [pct.evaluate(ours, (texts, labels), metrics=AOPC).columns[k] for k in AOPC]),
    ]  # fmt: skip
    try:
        ferret = Ferret(model, tokenizer)
        pairs += [
            ("saliency", "ferret", "l1 of the logit's gradient", ferret.saliency,
             lambda texts, _: with_logit_l1.saliency(texts)),
            ("removal", "ferret", "AOPC pair, its ten thresholds", ferret.aopc,
             lambda texts, _: aopc_by_removal(with_logit_l1, texts)),
        ]  # fmt: skip
    except ImportError as problem:
        result["ferret"] = f"not measured: {problem}"
    try:
        interpreto = Interpreto(model, tokenizer, BATCH_SIZE)
        width = model.config.hidden_size
        pairs += [
            ("saliency", "interpreto", "l1 of the logit's gradient, a mean over its width", interpreto.saliency,
             lambda texts, _: [values / width for values in with_logit_l1.saliency(texts)]),
            ("removal", "interpreto", "deletion and insertion, mask", interpreto.curves,
             lambda texts, _: curves_by_removal(with_logit_l1, texts)),
        ]  # fmt: skip
    except ImportError as problem:
        result["interpreto"] = f"not measured: {problem}"
    compared = plain_texts(ours, tokenizer, corpus().splits["test"].texts)[:COMPARED]
    for part, title in (
        ("saliency", "Saliency of a BERT-type classifier: texts a second"),
        ("removal", "What the removal of words does to its confidence: texts a second"),
    ):
        result["tables"][title] = [compare(ours, compared, *pair[1:]) for pair in pairs if pair[0] == part]
    return result


def compare(model: Classifier, compared: list[str], library: str, what: str, their_call: Call, our_call: Call) -> Row:
    """A library's call against this project's: times on a sample, values on texts in which every word is one token."""
    texts, _ = sample(TEXTS)
    labels = predicted(model, texts)
    times = alternate({"theirs": lambda: their_call(texts, labels), "pct": lambda: our_call(texts, labels)}, ROUNDS)
    labels = predicted(model, compared)
    return {
        "library": library, "what": what, "its texts/s": TEXTS / times["theirs"].median,
        "pct texts/s": TEXTS / times["pct"].median, "its CPU time / pct's": cpu_ratio(times["theirs"], times["pct"]),
        "texts compared": len(compared),
        "largest difference": largest_difference(their_call(compared, labels), our_call(compared, labels)),
    }  # fmt: skip


def predicted(model: Classifier, texts: list[str]) -> list[int]:
    """The predicted class of each text."""
    labels: list[int] = model.predict(texts).argmax(1).tolist()
    return labels


def largest_difference(theirs: Numbers, ours: Numbers) -> float:
    """The largest absolute difference, as a share of the largest absolute value."""
    their_values, our_values = np.concatenate(theirs), np.concatenate(ours)
    return float(np.abs(their_values - our_values).max() / np.abs(our_values).max())


def plain_texts(model: Classifier, tokenizer: Any, texts: list[str]) -> list[str]:
    """The texts in which every word is one token, also after `decode`: for these, counting tokens is counting words."""
    documents = split_all(texts)
    tokens = model.tokens(documents)
    plain = []
    for text, document, start, stop in zip(texts, documents, tokens.starts[:-1], tokens.starts[1:], strict=True):
        ids = tokens.ids[start:stop].tolist()
        if len(ids) == len(document) + 2 and tokenizer(tokenizer.decode(ids[1:-1]))["input_ids"] == ids:
            plain.append(text)
    return plain
