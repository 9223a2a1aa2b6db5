"""A run in one folder: training, evaluation on the test split, and the result files, without tracking.

Only `run` and `Run.classifier` import torch.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.corpora.loading import with_corpus
from pct.corpora.splits import Corpus
from pct.layout import (
    ABOUT,
    ADAPTER,
    CHECKPOINT,
    EXPORTED,
    FIGURES,
    HISTORY,
    MEASURED,
    MODEL,
    PER_TEXT,
    REPORT,
    SETTINGS,
    WEIGHTS,
    Record,
)
from pct.metrics.column_files import saved_columns
from pct.metrics.evaluation import evaluate, metric_names
from pct.metrics.report import Report
from pct.output.numbers import number
from pct.output.records import pyarrow
from pct.renamed import renamed
from pct.settings import Settings
from pct.tasks import task_of_settings
from pct.text.lines import split_lines
from pct.writing import folder_lock, write_text

if TYPE_CHECKING:
    from pct.classifier import Classifier

ERRORS = ("mae", "rmse")  # metrics that are better where they are smaller
Launch = Callable[[Settings, Path, Callable[[Record], None] | None, bool], None]


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder.

    test, validation: the reports of the final model on the whole splits. `test` has the values and the text of each
    text as columns, `validation` has only the means. history: one record per epoch. about: the contents of about.json.
    trained: whether the call that returned this object trained the model, or found a finished run.
    """

    folder: Path
    settings: Settings
    test: Report
    validation: Report
    history: list[Record]
    about: dict[str, Any]
    trained: bool = False

    def classifier(self, device: str = "auto") -> Classifier:
        """The trained model."""
        from pct.classifier import Classifier

        return Classifier.load(self.folder / MODEL, device)


def default_folder(settings: Settings, root: str | Path = "runs") -> Path:
    """runs/<corpus>-<model>-<method>-<hash of all settings>: equal settings have the same folder."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{settings.corpus}-{settings.model_name}-{settings.method}")
    return Path(root) / f"{name}-{settings_hash(settings)}"


def settings_hash(settings: Settings) -> str:
    """A hash (8 hexadecimal characters) of all settings."""
    return hashlib.sha256(json.dumps(settings.to_dict(), sort_keys=True).encode()).hexdigest()[:8]


def run(
    settings: Settings,
    run_dir: str | Path | None = None,
    on_epoch: Callable[[Record], None] | None = None,
    progress: bool = True,
    corpus: Any = None,
    launch: Launch | None = None,
) -> Run:
    """Trains, evaluates on validation and test, and writes report.json, per_text.parquet and about.json.

    run_dir: `default_folder` if None. An interrupted run in it resumes; a finished run is read, not trained again,
    unless it kept its checkpoint and the settings have more epochs.
    launch: does the work of `train_and_measure` in other processes, as `tuning.devices` does. Raises ValueError if the
    folder holds a run with other settings or another corpus, or if another process uses it; FileNotFoundError,
    ImportError and FloatingPointError as `load_splits` and `train`.
    """
    pyarrow("a run")  # checked before the training
    from pct.training.prepared import Prepared

    folder = Path(run_dir) if run_dir else default_folder(settings)
    metric_names(settings.extra_metrics, task_of_settings(settings))  # checked before the training
    source = corpus
    if not isinstance(source, Prepared):
        settings, source = with_corpus(settings, corpus)
    corpus = source.corpus if isinstance(source, Prepared) else source
    with folder_lock(folder):
        if is_finished(folder):
            if changed := changed_settings(folder / SETTINGS, settings, corpus):
                changes = "; ".join(changed)
                raise ValueError(f"{folder} holds a finished run of other settings ({changes}); give another folder")
            if settings.epochs == _saved(folder / SETTINGS)[0].epochs:
                return load_run(folder)
            _reopen(folder, settings)
        if launch is None:
            train_and_measure(settings, folder, on_epoch, progress, source)
        else:
            launch(settings, folder, on_epoch, progress)
        return replace(load_run(folder), trained=True)


def train_and_measure(
    settings: Settings, folder: Path, on_epoch: Callable[[Record], None] | None, progress: bool, source: Any
) -> None:
    """The work of `run`, in a folder that is locked. Of processes that train together, the first one measures.

    source: a corpus, or a prepared one.
    """
    from pct.training.about import describe_run
    from pct.training.devices import is_first
    from pct.training.prepared import Prepared, prepare
    from pct.training.trainer import train

    data = source if isinstance(source, Prepared) else prepare(settings, source)
    corpus = data.corpus
    started, clock = datetime.now(UTC), perf_counter()
    classifier = train(settings, data, folder, on_epoch, progress)
    if not is_first():
        return
    trained_in, clock = perf_counter() - clock, perf_counter()
    how = settings.evaluation_options | {"metrics": metric_names(settings.extra_metrics, task_of_settings(settings))}
    bar = progress and sys.stderr.isatty()
    validation = evaluate(classifier, corpus.splits["validation"], **how, progress=bar)
    test = evaluate(classifier, corpus.splits["test"], **how, progress=bar)
    seconds = {"training": trained_in, "evaluation": perf_counter() - clock}
    about = describe_run(settings, corpus, classifier, read_history(folder), folder, seconds, started)
    cut = {"train": data.cut_texts, "validation": validation.cut_texts, "test": test.cut_texts}
    if settings.glove:
        words = len(data.tokenizer) - 2  # type: ignore[arg-type]
        about["glove"] = {"words_with_vector": classifier.model.vectors_found, "words": words}
    about["data"] = {k: {**corpus.notes.get(k, {}), "cut_texts": count} for k, count in cut.items()}
    test.to_parquet(folder / PER_TEXT, corpus.splits["test"].texts)
    write_text(folder / ABOUT, json.dumps(about, indent=2))
    # the last file marks a finished run
    report = {**json.loads(test.to_json()), "validation": json.loads(validation.to_json())}
    write_text(folder / REPORT, json.dumps(report, indent=2))
    # the largest file of a run, needed only to resume
    if not settings.keep_checkpoint:
        (folder / CHECKPOINT).unlink(missing_ok=True)


def load_run(folder: str | Path) -> Run:
    """Reads a finished run. Raises FileNotFoundError if the folder has none, ValueError if it is damaged."""
    path = Path(folder)
    if not is_finished(path):
        state = "an unfinished run" if (path / SETTINGS).is_file() else "no run"
        raise FileNotFoundError(f"{path} holds {state} ({REPORT} is missing): train into this folder to finish it")
    return read_run(path)


def read_run(path: Path) -> Run:
    """Reads a finished run, whose model may be elsewhere. Raises ValueError if it is damaged."""
    pyarrow("reading a run")
    try:
        report, about = (json.loads((path / name).read_text(encoding="utf-8")) for name in (REPORT, ABOUT))
        settings = Settings.from_saved(json.loads((path / SETTINGS).read_text(encoding="utf-8"))["settings"])
        classes = about["corpus"]["classes"]
        test = report_of(report, classes, path / PER_TEXT)
        validation = report_of(report["validation"], classes)
        return Run(path, settings, test, validation, read_history(path), about)
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"{path} holds a damaged run ({problem}); remove {REPORT} there and run it again") from problem


def is_finished(folder: str | Path) -> bool:
    """Whether the folder holds a finished run."""
    return all((Path(folder) / name).is_file() for name in (REPORT, ABOUT, PER_TEXT, SETTINGS, f"{MODEL}/{WEIGHTS}"))


def read_history(folder: str | Path) -> list[Record]:
    """The records of the finished epochs; empty for a folder without a run."""
    path = Path(folder) / HISTORY
    if not path.is_file():
        return []
    return [json.loads(line) for line in split_lines(path.read_text(encoding="utf-8")) if line.strip()]


def epoch_line(record: Record, epochs: int) -> str:
    """An epoch as one line for the log.

    Args:
        record: of the epoch.
        epochs: the number of epochs of the run.
    """
    values = {"loss": record["train_loss"]}
    if "validation_acc" in record:
        values["validation accuracy"] = record["validation_acc"]
    else:
        values["validation error"] = record["validation_mae"]
    if "validation_comp" in record:
        values["comp - suff"] = record["validation_comp"] - record["validation_suff"]
    shown = ", ".join(f"{name} {number(value)}" for name, value in values.items())
    return f"epoch {record['epoch']} of {epochs}: {shown}"


def best_epoch(history: Sequence[Record], best_by: str) -> int:
    """The number, from 1, of the best epoch on validation; the first one on a tie.

    Args:
        history: one record per epoch, at least one.
        best_by: `Settings.best_by`: a metric, or a gap "a-b" of two. An error is best where it is least.

    Raises:
        ValueError: the metric of an epoch is not finite.
    """
    values = [_measure(record, best_by) for record in history]
    if not np.isfinite(values).all():
        raise ValueError(
            f"best_by {best_by} is {values} on validation: its texts have no values of this metric; choose best_by "
            + ("mae" if best_by in ("rmse", "pearson") else "acc")
        )
    return int(np.argmax(values)) + 1


def _measure(record: Record, best_by: str) -> float:
    parts = [float(record.get(f"validation_{name}", "nan")) for name in best_by.split("-")]
    measure = parts[0] - sum(parts[1:])
    return -measure if best_by in ERRORS else measure


def changed_settings(path: Path, settings: Settings, corpus: Corpus, start: str = "") -> list[str]:
    """The differences of settings, corpus and starting weights from those of a saved settings.json, as "name: old ->
    new".

    Checkpoints do not count, nor do more epochs, if the learning rate does not depend on their number. start: a digest
    of the starting weights; empty for a training that draws them.
    """
    saved, fingerprint, old_start = _saved(path)
    old = {**saved.to_dict(), "corpus fingerprint": fingerprint}
    new = {**settings.to_dict(), "corpus fingerprint": corpus.fingerprint}
    if old_start is not None:
        old, new = {**old, "starting weights": old_start}, {**new, "starting weights": start}
    free = {"checkpoint_minutes", "keep_checkpoint"}
    if settings.epochs > saved.epochs and settings.schedule == "constant" and not settings.warmup:
        free.add("epochs")
    changed = [f"{k}: {old.get(k)!r} -> {v!r}" for k, v in new.items() if old.get(k) != v and k not in free]
    if changed == [f"epochs: {saved.epochs} -> {settings.epochs}"] and settings.epochs > saved.epochs:
        return [f"{changed[0]}, and schedule and warmup set the learning rate by the number of epochs"]
    return changed


def _saved(path: Path) -> tuple[Settings, str, str | None]:
    """The settings of a saved settings.json, the fingerprint of its corpus, and the digest of the starting weights
    (None in a file of an earlier version)."""
    saved = json.loads(path.read_text(encoding="utf-8"))
    return Settings.from_saved(saved["settings"]), saved["fingerprint"], saved.get("start")


def _reopen(folder: Path, settings: Settings) -> None:
    """Makes a finished run one that resumes after its last epoch. Raises ValueError if it has no usable checkpoint."""
    from pct.training.checkpoint import check_checkpoint

    if not (folder / CHECKPOINT).is_file():
        raise ValueError(
            f"{folder} holds a finished run without its checkpoint, which cannot be trained up to {settings.epochs} "
            "epochs; give another folder (keep_checkpoint keeps the checkpoint of a finished run)"
        )
    check_checkpoint(folder / CHECKPOINT)
    for derived in (EXPORTED, MEASURED, FIGURES, ADAPTER):  # of the weights that are trained further
        shutil.rmtree(folder / derived, ignore_errors=True)
    (folder / REPORT).unlink()


def report_of(values: dict[str, Any], classes: list[str], per_text: Path | None = None) -> Report:
    """The report that `Report.to_json` wrote, with the columns that `Report.to_parquet` wrote, if given."""
    columns = {} if per_text is None else saved_columns(per_text)
    means, errors = ({name: _number(x) for name, x in values[part].items()} for part in ("metrics", "standard_errors"))
    intervals = {name: (_number(low), _number(high)) for name, (low, high) in values.get("intervals", {}).items()}
    what = {name: values[name] for name in ("data", "saliency", "windows") if name in values}
    return Report(means, errors, columns, classes, intervals, **what)


def _number(value: float | None) -> float:
    """A number of JSON, where null stands for NaN."""
    return np.nan if value is None else value


__getattr__ = renamed(__name__)
