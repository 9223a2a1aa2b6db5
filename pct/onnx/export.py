"""Exports a classifier as a folder for ONNX Runtime: graphs with the gradient, which are checked before."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct import __version__
from pct.auditing.kept import copy_audit
from pct.classifier import Classifier
from pct.corpora.loading import load_splits
from pct.corpora.splits import Split
from pct.onnx.predictor import (
    CONFIG,
    FORMAT,
    FORWARD,
    GRADIENT,
    MODIFIED,
    PAIRS,
    SCALED,
    SKIPS_PADDING,
    WEIGHTS,
    WORDS,
    OnnxPredictor,
)
from pct.saliency import make_saliency
from pct.saliency.base import GradientSaliency
from pct.writing import atomic_folder, check_folder, write_text

if TYPE_CHECKING:
    import onnx

    Models = dict[str, onnx.ModelProto]

INT8_TEXTS = 1000
DEFAULT_MODIFIED = ("frozen_grad_x_input",)  # of MODIFIED: tracing one takes about as long as tracing the model


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        folder: the exported folder.
        bytes: its size.
        agreement: the largest difference from torch and the largest value of each output.
        left_out: the saliencies without a graph, each with the reason.
        int8: the effect of rounding, see `pct.onnx.check.cost_of_int8`; None without int8.
    """

    folder: Path
    bytes: int
    agreement: dict[str, Any]
    left_out: dict[str, str]
    int8: dict[str, Any] | None = None

    def table(self) -> str:
        """The figures for a terminal."""
        outputs = {k: v for k, v in self.agreement.items() if isinstance(v, dict)}
        lines = [
            f"{self.folder}: {self.bytes / 2**20:.1f} MiB, checked on {self.agreement['texts']} texts",
            f"{'output':<30}{'difference':>12}{'largest':>10}",
        ]
        lines += [f"{name:<30}{v['difference']:>12.1e}{v['largest']:>10.3g}" for name, v in outputs.items()]
        lines += [f"not written: {reason}" for reason in self.left_out.values()]
        if self.int8 is not None:
            lines += [f"int8, on {self.int8['texts']} texts of the corpus (the numbers above are for float32)"]
            measured = {k: v for k, v in self.int8.items() if isinstance(v, float)}
            lines += [f"{k:<28}{v:>12.4f}" for k, v in measured.items()]
            ranks = self.int8["rank_agreement"].items()
            lines += [f"{'ranks of ' + k:<28}{'none' if v is None else format(v, '.4f'):>12}" for k, v in ranks]
        return "\n".join(lines)


def export(
    classifier: Classifier,
    folder: str | Path,
    quantize: bool = False,
    data: Split | None = None,
    modified: Sequence[str] | None = None,
) -> Exported:
    """Writes model.onnx, forward.onnx, their weights, the vocabulary or tokenizer, and classifier.json.

    The graphs are compared with torch on 256 texts first. The folder is written atomically. It replaces an exported
    model.

    Args:
        classifier: the model.
        folder: the exported folder.
        quantize: whether matrix products and embeddings are in int8 (dynamic). The effect is measured on `data` and
            written to classifier.json.
        data: labelled texts; if None, at most a thousand texts of the test split of the classifier's corpus.
        modified: the saliencies with a separate graph, of frozen_grad_x_input (frozen.onnx) and gim (gim.onnx). If
            None: frozen_grad_x_input, the saliency of the classifier's settings and the best one of its audit. Those
            that the model does not support are left out, with the reason.

    Raises:
        ValueError: a graph differs from torch by more than 1e-4, the model has no graph or reads windows, or it does
            not support a saliency of `modified`.
        FileExistsError: the folder holds something else.
        ImportError: onnx or ONNX Runtime is missing.
    """
    if classifier.settings.windows:
        raise ValueError(
            f"the classifier reads {classifier.settings.reading}, which a graph cannot: export it without windows"
        )
    target = Path(folder)
    if unknown := [name for name in modified or () if name not in MODIFIED]:
        raise ValueError(f"saliencies with a graph of their own are {', '.join(MODIFIED)}; got {unknown[0]!r}")
    check_folder(target, GRADIENT)
    try:
        import onnxruntime  # noqa: F401

        from pct.onnx.check import cost_of_int8, differences, sample_texts
        from pct.onnx.graphs import build_graphs
    except ImportError as problem:
        raise ImportError(f"exporting needs {problem.name}: pip install 'pct-explain[export]'") from problem
    if quantize and data is None:
        data = _test_split(classifier)
    settings = classifier.settings
    with atomic_folder(target, GRADIENT) as temporary, tempfile.TemporaryDirectory(prefix="pct-export-") as scratch:
        with _quiet_exporters():
            graphs = build_graphs(classifier.model, settings.saliency_of, settings.max_length)
            extra, left_out = _modified_graphs(classifier, modified)
        about: dict[str, Any] = {
            "format": FORMAT, "version": __version__, "classes": classifier.classes, "words": classifier.tokenizer.kind,
            "model": classifier.model.config()["family"], "probabilities": classifier.task.kind,
            "settings": settings.to_dict(), "weights": "float32",
            SCALED: WORDS, SKIPS_PADDING: classifier.skipped_padding(), PAIRS: classifier.reads_pairs(),
        }  # fmt: skip
        float32 = Path(scratch) if quantize else temporary
        exact = _write(float32, classifier, about, {GRADIENT: graphs.gradient, FORWARD: graphs.forward, **extra})
        texts = sample_texts(classifier)
        nudged, figures = differences(classifier, exact, texts)
        about["agreement"] = {"texts": len(texts), "nudged": nudged, **figures}
        for name in [name for name, file in MODIFIED.items() if file in extra]:
            try:
                about["agreement"] |= differences(classifier, exact, texts, name)[1]
            except ValueError as problem:
                if modified is not None:
                    raise
                left_out[name] = str(problem)
                (float32 / MODIFIED[name]).unlink()
        exported = exact = OnnxPredictor.load(float32)
        about["left_out"] = left_out
        if quantize:
            assert data is not None
            names = [name for name in (GRADIENT, FORWARD, *MODIFIED.values()) if (float32 / name).is_file()]
            exported = _write(temporary, classifier, about | {"weights": "int8"}, _rounded(float32, names))
            about |= {"weights": "int8", "int8": cost_of_int8(exact, exported, data)}
        write_text(temporary / CONFIG, json.dumps(about, indent=2))
        copy_audit(classifier, exported, temporary)
    size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    return Exported(target, size, about["agreement"], left_out, about.get("int8"))


def _modified_graphs(classifier: Classifier, asked: Sequence[str] | None) -> tuple[Models, dict[str, str]]:
    """The graphs of modified gradients by file name, and the reason for each saliency that the model does not support.

    Raises ValueError, with the reason, for a saliency of `asked`.
    """
    from pct.onnx.graphs import build_saliency_graph

    settings, graphs, left_out = classifier.settings, {}, {}
    wanted = (*DEFAULT_MODIFIED, settings.saliency, settings.explain_by, classifier.audited) if asked is None else asked
    for name, file in MODIFIED.items():
        saliency = make_saliency(name, settings)
        assert isinstance(saliency, GradientSaliency)
        try:
            saliency.check_model(classifier.model)
            if name in wanted:
                graphs[file] = build_saliency_graph(classifier.model, name, settings.saliency_of, settings.max_length)
        except ValueError as problem:
            if asked is not None and name in asked:
                raise
            left_out[name] = str(problem)
    return graphs, left_out


def _test_split(classifier: Classifier) -> Split:
    try:
        corpus = load_splits(classifier.settings.replace(limit=INT8_TEXTS))
    except (FileNotFoundError, ImportError) as problem:
        raise ValueError(
            f"int8 is measured on labelled texts, and the corpus of the classifier is not available ({problem}); give "
            "texts as data"
        ) from problem
    return corpus.splits["test"]


def _write(folder: Path, classifier: Classifier, about: dict[str, Any], models: Models) -> OnnxPredictor:
    from pct.onnx.graphs import write
    from pct.onnx.metadata import describe

    describe(models, about)
    write(models, folder, WEIGHTS)
    classifier.tokenizer.save(folder)
    (folder / CONFIG).write_text(json.dumps(about, indent=2), encoding="utf-8")
    return OnnxPredictor.load(folder)


def _rounded(folder: Path, names: Sequence[str]) -> Models:
    """The graphs of a folder by file name, with int8 weights."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    models = {}
    for name in names:
        part = folder / f"{name}.int8"
        with _quiet_exporters():
            quantize_dynamic(folder / name, part, weight_type=QuantType.QInt8)
        models[name] = onnx.load(part)
        part.unlink()
    return models


@contextmanager
def _quiet_exporters() -> Iterator[None]:
    """Suppresses irrelevant log messages of the exporters."""
    loggers = [logging.getLogger(x) for x in ("torch.onnx._internal.exporter._registration", "root")]
    before = [x.level for x in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
