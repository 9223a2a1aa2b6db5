"""A pretrained encoder, trained by each method: from the start, or for one more epoch after normal training.

PCT_DATA_DIR=... python -m benchmarks.studies.finetune FOLDER --seeds 0 1 2 3 4
PCT_DATA_DIR=... python -m benchmarks.studies.finetune FOLDER --after masked_10 --seeds 0 1 2
PCT_DATA_DIR=... python -m benchmarks.studies.finetune FOLDER --from-start mr --seeds 0 1 2 3 4
PCT_DATA_DIR=... python -m benchmarks.studies.finetune FOLDER --from-start ag_news --seeds 0 1 2

By default the encoder is trained normally on all of MR (3 epochs), then further on 3,000 of its rows (1 epoch) by each
method, for each seed. `--after` starts from a model that was trained by another method, and `--from-start` trains by
each method from the pretrained encoder, on all of MR or on 6,000 rows of AG News. Training runs in bf16, measurement
in float32, under three conditions; `--conditions normalised` measures the AOPC between its bounds and the agreement
with leave-one-out (2,500 passes of the model per text); `--conditions people people_frozen` the agreement with people's
rationales on sst_rationales.

FOLDER keeps the models, and `--values` (benchmarks/results/encoders) the values of each test text, from which `--table`
prints Markdown: each method's change from normal training with the same seeds. A cell whose values exist is not trained
again, so an interrupted study continues, on another machine too; several processes may share the seeds. A further
condition needs the cell's model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import encoder_folder
from benchmarks.studies.by_text import Columns, Condition, Runs, change, mean, measure, read, values
from benchmarks.studies.rationales import sentences
from pct.classifier import Classifier
from pct.corpora.loading import load_splits
from pct.corpora.splits import Split
from pct.settings import Settings
from pct.training.trainer import train

VALUES = Path(__file__).parents[1] / "results" / "encoders"
SHARED: dict[str, Any] = {
    "corpus": "mr", "words": "spaces", "batch_size": 32, "restore_best": False, "evaluate_epochs": False, "threads": 1,
    "precision": "bf16",
}  # fmt: skip
FURTHER = {"epochs": 1, "lr": 5e-5, "limit": 3000}
FROM_START = {  # by corpus
    "mr": {"epochs": 3, "lr": 1e-4},
    "ag_news": {"corpus": "ag_news", "epochs": 1, "lr": 1e-4, "limit": 6000},
}
MILD = {"alpha": 0.15, "temperature": 0.15}
LAST = {**MILD, "contrast_steps": "last", "contrast_every": 2}
VARIANTS: dict[str, dict[str, Any]] = {
    "normal": {"method": "normal"}, "removal_margin": {"method": "removal_margin", "margin_bound": 4.0},
    "pct": {"method": "pct", **LAST}, "pct_all": {"method": "pct", **MILD},
    "masked": {"method": "masked"},
    "masked_10": {"method": "masked", "epochs": 10, "best_by": "masked_acc", "restore_best": True},
    "saliency_guided": {"method": "saliency_guided"}, "entropy": {"method": "entropy"}, "unirex": {"method": "unirex"},
    "vmask": {"method": "vmask"},
    "rm_bound2": {"method": "removal_margin", "margin_bound": 2.0},
    "rm_frozen": {"method": "removal_margin", "saliency": "frozen_grad_x_input"},
    "rm_either": {"method": "removal_margin", "train_removal": "either"},
    "rm_w.1": {"method": "removal_margin", "margin_weight": 0.1},
}  # fmt: skip
PEOPLE = ("acc", "rationale_auprc", "rationale_f1")
CONDITIONS = {
    "l2": Condition("l2", "delete", texts=1066),
    "best": Condition("frozen_grad_x_input", "delete", texts=500),
    "mask": Condition("l2", "mask", texts=500),
    "normalised": Condition("l2", "delete", ("naopc_comp", "naopc_suff", "tau_loo"), 100),
    "people": Condition("l2", "delete", PEOPLE, 0, sentences),
    "people_frozen": Condition("frozen_grad_x_input", "delete", PEOPLE, 0, sentences),
}
USUAL = ("l2", "best", "mask")
MOST = {"mr": 1066, "ag_news": 500}  # the most test texts, by corpus
COLUMNS = {  # title -> condition and metric
    "accuracy": ("l2", "acc"), "comp − suff": ("l2", "comp-suff"), "margin": ("l2", "margin"), "win": ("l2", "win"),
    "margin, masked": ("mask", "margin"), "margin, frozen": ("best", "margin"),
    "comp − suff, frozen": ("best", "comp-suff"), "naopc": ("normalised", "naopc_comp-naopc_suff"),
    "tau_loo": ("normalised", "tau_loo"), "AUPRC": ("people", "rationale_auprc"),
    "AUPRC, frozen": ("people_frozen", "rationale_auprc"), "token F1": ("people", "rationale_f1"),
    "token F1, frozen": ("people_frozen", "rationale_f1"),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cells that are missing, or prints the table of those that exist."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.finetune", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--values", type=Path, default=VALUES, help="the values of each text (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=USUAL, help="default: l2 best mask")
    parser.add_argument("--from-start", choices=FROM_START, help="train from the pretrained encoder on this corpus")
    parser.add_argument(
        "--after", choices=VARIANTS, default="normal", help="how the initial model was trained (default: %(default)s)"
    )
    parser.add_argument("--table", action="store_true", help="print the table without training")
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS), help="of the table")
    options = parser.parse_args(arguments)
    if options.table:
        print("\n".join(table(options.values, options.variants, options.from_start, options.columns, options.after)))
        return 0
    for seed, name in product(options.seeds, options.variants):
        if options.from_start:
            chosen, start = {**FROM_START[options.from_start], **VARIANTS[name]}, None
        else:
            chosen = {**FURTHER, **VARIANTS[name]}
            start = settings(seed, **{**FROM_START["mr"], **VARIANTS[options.after]})
        cell(options.folder, options.values, settings(seed, **chosen), name, start, options.conditions, options.after)
    return 0


def settings(seed: int, **more: Any) -> Settings:
    """The settings of a cell."""
    return Settings.from_dict({"model": encoder_folder(), "seed": seed, **SHARED, **more})


def cell(
    folder: Path,
    values_folder: Path,
    chosen: Settings,
    name: str,
    start: Settings | None = None,
    conditions: Sequence[str] = USUAL,
    after: str = "normal",
) -> None:
    """Trains a model and measures it under the conditions whose values do not exist.

    Args:
        folder: of the models.
        values_folder: of the values.
        chosen: the settings of the training.
        name: of its variant.
        start: the settings of the training of the initial model; None: the pretrained encoder.
        conditions: names of `CONDITIONS`.
        after: the variant of `start`.
    """
    cell_name = f"{further(after) if start else chosen.corpus}-{name}-{chosen.seed}"

    def model() -> tuple[Classifier, Split, Columns]:
        if (values_folder / f"{cell_name}.npz").is_file() and not (folder / cell_name / "trained").is_file():
            raise FileNotFoundError(
                f"{cell_name} has values in {values_folder} but no model in {folder}: a new condition needs the model"
            )
        before = trained(folder / f"{start.corpus}-{after}-{start.seed}", start) if start else None
        run_folder = trained(folder / cell_name, chosen, before)
        classifier, test = Classifier.load(run_folder / "model"), load_splits(chosen.replace(limit=0)).splits["test"]
        facts = {"cpu_seconds": np.array((run_folder / "trained").read_text(encoding="utf-8"), np.float32)}
        return with_settings(classifier, classifier.settings.replace(precision="float32")), test, facts

    limit = MOST.get(chosen.corpus, MOST["mr"])
    limited = {name: CONDITIONS[name]._replace(texts=min(CONDITIONS[name].texts, limit)) for name in conditions}
    measure(values_folder / f"{cell_name}.npz", limited, model)


def further(after: str) -> str:
    """The prefix of the names of cells that were trained further after a variant."""
    return "ft" if after == "normal" else f"ft_{after}"


def trained(folder: Path, chosen: Settings, before: Path | None = None) -> Path:
    """The folder of a model, which is trained if it is missing, starting from the model in `before` if given."""
    if not (folder / "trained").is_file():
        start = with_settings(Classifier.load(before / "model"), chosen) if before else None
        seconds = time.process_time()
        train(chosen, load_splits(chosen), folder, progress=False, start=start).save(folder / "model")
        (folder / "trained").write_text(f"{time.process_time() - seconds:.0f}", encoding="utf-8")
    return folder


def with_settings(classifier: Classifier, chosen: Settings) -> Classifier:
    """The same classifier with other settings."""
    return Classifier(classifier.model, classifier.tokenizer, classifier.classes, chosen)


def table(
    folder: Path,
    variants: Sequence[str],
    corpus: str | None = None,
    columns: Sequence[str] = tuple(COLUMNS),
    after: str = "normal",
) -> Iterator[str]:
    """Rows of Markdown: the mean over seeds of normal training, then each variant's change from it.

    Args:
        folder: of the values.
        variants: the rows, if their values exist.
        corpus: of `FROM_START`; None: one more epoch.
        columns: of `COLUMNS`, if they are measured.
        after: the variant that was trained for one more epoch.
    """
    kind = corpus or further(after)
    normal = runs_of(folder, f"{kind}-normal")
    measured = {title: COLUMNS[title] for title in columns if values(normal, *COLUMNS[title])}
    yield f"| {'trained by' if corpus else 'one epoch more by'} | seeds | {' | '.join(measured)} | CPU seconds |"
    yield "| --- |" + " --- |" * (len(measured) + 2)
    if not corpus and (before := runs_of(folder, f"mr-{after}")):
        yield row("(before)", before, means(before, measured), "")
    yield row("normal", normal, means(normal, measured), seconds(normal))
    for name in variants:
        runs = runs_of(folder, f"{kind}-{name}")
        if name == "normal" or not runs:
            continue
        changes = [change(values(normal, *c), values(runs, *c)) for c in measured.values()]
        yield row(name, runs, changes, seconds(runs))


def row(name: str, runs: Runs, cells: Sequence[str], cost: str) -> str:
    """A row of the table."""
    return f"| {name} | {', '.join(map(str, runs))} | {' | '.join(cells)} | {cost} |"


def runs_of(folder: Path, name: str) -> Runs:
    """The measured cells of a variant."""
    paths = {int(path.stem.rsplit("-", 1)[1]): path for path in folder.glob(f"{name}-*.npz")}
    return {seed: read(paths[seed]) for seed in sorted(paths)}


def means(runs: Runs, columns: Mapping[str, tuple[str, str]]) -> list[str]:
    """The means over texts and seeds, a cell for each column."""
    return [mean(values(runs, *column)) for column in columns.values()]


def seconds(runs: Runs) -> str:
    """The mean CPU seconds of the training of a variant."""
    return f"{np.mean([run['cpu_seconds'] for run in runs.values()]):.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
