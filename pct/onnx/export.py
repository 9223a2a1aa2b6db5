"""A classifier as a folder that ONNX Runtime reads: graphs with the gradient inside, checked before they are kept."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.classifier import Classifier
from pct.corpora.loading import Split, load_splits
from pct.onnx.predictor import CONFIG, FORMAT, FORWARD, GRADIENT, WEIGHTS, OnnxPredictor
from pct.writing import check_folder, whole_folder, write_text

if TYPE_CHECKING:
    import onnx

    Models = dict[str, onnx.ModelProto]

INT8_TEXTS = 1000


@dataclass(frozen=True)
class Exported:
    """folder: what was written. bytes: its size. agreement: the largest difference from torch of each output, and the
    largest value of each. int8: what the rounding costs, see `pct.onnx.check.cost_of_int8`; None without it."""

    folder: Path
    bytes: int
    agreement: dict[str, Any]
    int8: dict[str, Any] | None = None

    def table(self) -> str:
        """The figures for a terminal."""
        outputs = {k: v for k, v in self.agreement.items() if isinstance(v, dict)}
        lines = [
            f"{self.folder}: {self.bytes / 2**20:.1f} MiB, checked on {self.agreement['texts']} texts",
            f"{'output':<28}{'difference':>12}{'largest':>10}",
        ]
        lines += [f"{name:<28}{v['difference']:>12.1e}{v['largest']:>10.3g}" for name, v in outputs.items()]
        if self.int8 is not None:
            lines += [f"int8, on {self.int8['texts']} texts of the corpus (the figures above are float32's)"]
            lines += [f"{k:<28}{self.int8[k]:>12.4f}" for k in ("accuracy_float32", "accuracy_int8", "same_class")]
            ranks = self.int8["rank_agreement"].items()
            lines += [f"{'ranks of ' + k:<28}{'none' if v is None else format(v, '.4f'):>12}" for k, v in ranks]
        return "\n".join(lines)


def export(classifier: Classifier, folder: str | Path, quantize: bool = False, data: Split | None = None) -> Exported:
    """Writes model.onnx, forward.onnx, their weights, the vocabulary or tokenizer, and classifier.json.

    quantize: matrix products and embeddings in int8 (dynamic), with its cost measured on `data` and kept in
    classifier.json; data is the test split of the classifier's own corpus where None, a thousand texts at most.

    The graphs are compared with torch on 256 texts first. The folder appears whole or not at all; one that holds an
    exported model is replaced. Raises ValueError for a graph that differs from torch by more than 1e-4 or a model that
    has none, FileExistsError for a folder that holds anything else, ImportError without onnx or ONNX Runtime.
    """
    target = Path(folder)
    check_folder(target, GRADIENT)
    try:
        import onnxruntime  # noqa: F401

        from pct.onnx.check import cost_of_int8, differences, sample_texts
        from pct.onnx.graphs import build_graphs
    except ImportError as problem:
        raise ImportError(f"exporting needs {problem.name}: pip install 'pct-explain[export]'") from problem
    if quantize and data is None:
        data = _labelled(classifier)
    settings = classifier.settings
    with whole_folder(target, GRADIENT) as made, tempfile.TemporaryDirectory(prefix="pct-export-") as scratch:
        with _quiet():
            graphs = build_graphs(classifier.model, settings.saliency_of, settings.max_length)
        about: dict[str, Any] = {
            "format": FORMAT, "classes": classifier.classes, "words": classifier.tokenizer.kind,
            "model": classifier.model.config()["family"], "settings": settings.to_dict(), "weights": "float32",
        }  # fmt: skip
        float32 = Path(scratch) if quantize else made
        exact = _write(float32, classifier, about, {GRADIENT: graphs.gradient, FORWARD: graphs.forward})
        about["agreement"] = differences(classifier, exact, sample_texts(classifier))
        if quantize:
            assert data is not None
            rounded = _write(made, classifier, about | {"weights": "int8"}, _rounded(float32))
            about |= {"weights": "int8", "int8": cost_of_int8(exact, rounded, data)}
        write_text(made / CONFIG, json.dumps(about, indent=2))
    size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    return Exported(target, size, about["agreement"], about.get("int8"))


def _labelled(classifier: Classifier) -> Split:
    try:
        corpus = load_splits(classifier.settings.replace(limit=INT8_TEXTS))
    except (FileNotFoundError, ImportError) as problem:
        raise ValueError(
            f"int8 is measured on texts with labels, and the corpus of the classifier cannot be had ({problem}); "
            "give some as data"
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


def _rounded(folder: Path) -> Models:
    """The graphs of a folder with int8 weights."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    models = {}
    for name in (GRADIENT, FORWARD):
        part = folder / f"{name}.int8"
        with _quiet():
            quantize_dynamic(folder / name, part, weight_type=QuantType.QInt8)
        models[name] = onnx.load(part)
        part.unlink()
    return models


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks about packages that are not used, and about preparations that change nothing."""
    loud = [logging.getLogger(x) for x in ("torch.onnx._internal.exporter._registration", "root")]
    before = [x.level for x in loud]
    for logger in loud:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loud, before, strict=True):
            logger.setLevel(level)
