"""The tables of docs/results/rationales.md: how far each saliency of each model agrees with people's rationales.

python -m benchmarks.studies.rationales FOLDER "TextCNN, normal=runs/a/model" "TextCNN, pct=runs/b/model" ..

A repeated name adds another seed; seeds are paired in their order. Measures the models on the corpus sst_rationales,
each saliency once, and keeps the values in FOLDER. The models were trained on mr, whose punctuation is separated by
spaces, so the sentences are separated in the same way. Prints Markdown: AUPRC and token F1 of all sentences and of
those that are not in the training split of mr, then the differences of each model from the first one of its family (the
part of the name before the comma).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import pct
from benchmarks.studies.by_text import without_zeros
from pct.corpora.loading import load_splits, read_splits
from pct.corpora.splits import Split
from pct.metrics import RATIONALE
from pct.metrics.bootstrap import crossed_bootstrap
from pct.metrics.rationale import marks_of_document
from pct.output.numbers import number, spell
from pct.saliency import make_saliency
from pct.settings import Settings
from pct.text.words import split_all
from pct.writing import atomic_write

SALIENCIES = (
    "l2", "grad_x_input", "frozen_grad_x_input", "smooth_grad", "integrated_gradients", "occlusion", "attention",
    "rollout", "random",
)  # fmt: skip
METRICS = {"rationale_auprc": "AUPRC", "rationale_f1": "Token F1"}
Cells = dict[tuple[str, str], dict[str, np.ndarray]]  # of each model and saliency, by metric, (seeds, texts)


def main(arguments: list[str]) -> None:
    """Measures what is missing, and prints the tables."""
    folder, models = Path(arguments[0]), dict[str, list[str]]()
    for name, path in (argument.split("=", 1) for argument in arguments[1:]):
        models.setdefault(name, []).append(path)
    folder.mkdir(parents=True, exist_ok=True)
    split = sentences()
    cells: Cells = {}
    for name, paths in models.items():
        for saliency in SALIENCIES:
            files = [folder / f"{name}.{seed}.{saliency}.npz" for seed in range(len(paths))]
            seeds = [measured(file, path, saliency, split) for file, path in zip(files, paths, strict=True)]
            if columns := [x for x in seeds if x is not None]:
                cells[name, saliency] = {k: np.stack([x[k] for x in columns]) for k in columns[0]}
    unseen = not_in_training(split.texts)
    parts = {f"all {len(split)} sentences": np.ones(len(split), bool),
             f"the {unseen.sum()} sentences that are not in the training split of `mr`": unseen}  # fmt: skip
    for metric, title in METRICS.items():
        for what, selected in parts.items():
            print(f"\n## {title}, {what}\n")
            print_values(cells, metric, selected)
    for metric, title in METRICS.items():
        print(f"\n## {title}, change from normal training, all sentences\n")
        print_changes(cells, metric)


def sentences() -> Split:
    """The texts of sst_rationales, with punctuation separated by spaces as in mr."""
    return in_natural_words(read_splits(Settings(corpus="sst_rationales")).splits["test"])


def in_natural_words(split: Split) -> Split:
    """The texts with spaces between all natural words, each with the mark of the word that it was part of."""
    documents = split_all(split.texts, "natural")
    marks = {
        name: [
            marks_of_document(*args) for args in zip(getattr(split, name), documents, range(len(split)), strict=True)
        ]
        for name in ("rationale", "rationale_share")
    }
    return Split([" ".join(words) for words in documents], split.labels, **marks)


def measured(path: Path, model: str, saliency: str, split: Split) -> dict[str, np.ndarray] | None:
    """The metrics of each text, read from the file if it exists; None if the model does not support the saliency."""
    if not path.is_file():
        predictor = pct.load(model, "cpu")
        try:
            make_saliency(saliency, predictor.settings).check(predictor)
        except ValueError:
            return None
        report = pct.evaluate(predictor, split, metrics=["acc", *RATIONALE], saliency=saliency)
        with atomic_write(path) as unfinished, open(unfinished, "wb") as out:
            np.savez(out, **report.columns)
    with np.load(path, allow_pickle=False) as kept:
        return dict(kept)


def not_in_training(texts: list[str]) -> np.ndarray:
    """(texts,) whether a text is not in the training split of mr, compared by letters and digits only."""
    training_texts = {letters(text) for text in load_splits(Settings(corpus="mr")).splits["train"].texts}
    return np.array([letters(text) not in training_texts for text in texts])


def letters(text: str) -> str:
    """The letters and digits of a text, in lower case."""
    return "".join(c for c in text.lower() if c.isalnum())


def print_values(cells: Cells, metric: str, selected: np.ndarray) -> None:
    """Prints a row per model and a column per saliency, and one for random orders."""
    models, names = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    names.sort(key=SALIENCIES.index)
    print(f"| model | seeds | accuracy | {' | '.join(f'`{name}`' for name in names)} | random orders |")
    print(f"| --- |{' --- |' * (len(names) + 3)}")
    for model in models:
        first = cells[model, names[0]]
        values = [cells[model, name][metric] if (model, name) in cells else None for name in names]
        values.append(first[f"{metric}_random"])
        row = ["–" if x is None else without_zeros(spell(crossed_bootstrap(x[:, selected]))) for x in values]
        accuracy = without_zeros(number(first["acc"][:, selected].mean()))
        print(f"| {model} | {len(first['acc'])} | {accuracy} | {' | '.join(row)} |")


def print_changes(cells: Cells, metric: str) -> None:
    """Prints paired differences from the first model of the family, over texts and, if there are several, seeds.

    A star marks a difference whose interval excludes 0 at 5 % for the whole table (Bonferroni).
    """
    models, names = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    names = sorted((name for name in names if name != "random"), key=SALIENCIES.index)
    base = {model: next(m for m in models if family(m) == family(model)) for model in models}
    changes = {}
    for model, name in cells:
        if name in names and model != base[model]:
            pair = cells[model, name][metric], cells[base[model], name][metric]
            seeds = min(map(len, pair))
            changes[model, name] = pair[0][:seeds] - pair[1][:seeds]
    level = 1 - 0.05 / max(len(changes), 1)
    print(f"| model | {' | '.join(f'`{name}`' for name in names)} |\n| --- |{' --- |' * len(names)}")
    for model in (m for m in models if m != base[m]):
        row = []
        for name in names:
            values = changes.get((model, name))
            significant = values is not None and crossed_bootstrap(values, level=level).excludes_zero
            row.append("–" if values is None else without_zeros(spell(crossed_bootstrap(values))) + "\\*" * significant)
        print(f"| {model} | {' | '.join(row)} |")
    print(f"\n{len(changes)} differences.")


def family(model: str) -> str:
    """The family of a model: the part of its name before the comma."""
    return model.partition(",")[0]


if __name__ == "__main__":
    main(sys.argv[1:])
