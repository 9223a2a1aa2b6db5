"""An exported model in ONNX Runtime: a `Predictor` that needs neither torch nor transformers."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pct.auditing.kept import AuditSummary, read_audit, take_audit
from pct.explaining.predictor import TextInterface, rows_as_tokens
from pct.onnx.integrated import integrate, mean_gradient
from pct.onnx.sessions import Sessions
from pct.saliency import make_saliency
from pct.saliency.base import GradientSaliency
from pct.settings import Settings
from pct.tasks import Task, task_of_settings
from pct.text.replacement_token import padding_skipped, replacement_token_id, texts_with_padding
from pct.text.saved_tokenizer import load_subwords
from pct.text.tokens import TOKEN_TYPE, Floats, Ints, Tokenizer, Tokens
from pct.text.vocabulary import Vocabulary
from pct.text.words import check_saved_rule, has_pairs

FORMAT = 1
GRADIENT, FORWARD, WEIGHTS, CONFIG = "model.onnx", "forward.onnx", "weights.bin", "classifier.json"
WITHOUT_WINDOWS = "give the classifier itself, or leave windows out"
PLAIN = ("l2", "l1", "grad_x_input")  # outputs of GRADIENT
INTEGRATED = "integrated_gradients"
# saliencies with a separate graph, for transformers only
MODIFIED = {"frozen_grad_x_input": "frozen.onnx", "gim": "gim.onnx"}
OUTPUTS = ("logits", "representation", *(f"saliency_{name}" for name in PLAIN))
SKIPS_PADDING = "skips_padding"  # in CONFIG: the ids of padding tokens; texts with one are rejected
PAIRS = "pairs"  # in CONFIG: whether the model reads pairs of texts
SCALED, WORDS = "scaled", "words"  # in CONFIG: the embeddings that `scale` multiplies; all if it is missing


class OnnxPredictor(TextInterface):
    """An exported classifier. Threads may share it.

    Attributes:
        classes: their names.
        settings: those of the training run, with the saliency of `explain_rows`.
        about: the contents of classifier.json, with the measured agreement with torch.
        folder: the folder that it was loaded from.
        audited: the best saliency of an audit of this model; empty without one.
        audit: the summary of that audit, or None.
    """

    folder: Path | None = None

    def __init__(self, tokenizer: Tokenizer, sessions: Sessions, about: dict[str, Any]) -> None:
        self.tokenizer, self.about = tokenizer, about
        self.classes: list[str] = list(about["classes"])
        self.settings = Settings.from_saved(about["settings"])
        self.word_rule = self.settings.words
        self.audited = ""
        self.audit: AuditSummary | None = None
        self._sessions = sessions

    @classmethod
    def load(cls, folder: str | Path, threads: int = 0) -> Self:
        """Reads what `pct.onnx.export.export` wrote; nothing is unpickled.

        Args:
            folder: the exported folder. It must not change: some graphs are opened when they are first used.
            threads: CPU threads of one call; 0 uses all cores.

        Raises:
            FileNotFoundError: the folder holds no exported model.
            ValueError: it is damaged.
            ImportError: ONNX Runtime is missing.
        """
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            raise ImportError("an exported model needs ONNX Runtime: pip install 'pct-explain[serve]'") from None
        if threads < 0:
            raise ValueError(f"threads must be >= 0, got {threads}")
        path = Path(folder)
        for name in (CONFIG, GRADIENT, FORWARD, WEIGHTS):
            if not (path / name).is_file():
                raise FileNotFoundError(
                    f"{path} holds no exported model: {name} is missing; create it with `pct export MODEL {path}`"
                )
        sessions = Sessions(path, threads)
        for name in (FORWARD, GRADIENT):
            sessions.open(name)
        try:
            about = json.loads((path / CONFIG).read_text(encoding="utf-8"))
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']} is not the format {FORMAT} that this version reads")
            tokenizer: Tokenizer = Vocabulary.load(path) if about["words"] == "vocabulary" else load_subwords(path)
            predictor = cls(tokenizer, sessions, about)
        except ImportError:
            raise
        except Exception as problem:  # the tokenizer's errors have no common base but Exception
            raise ValueError(f"{path} is damaged and cannot be loaded ({problem}); export the model again") from problem
        check_saved_rule(predictor.word_rule)
        predictor.folder = path
        take_audit(predictor, read_audit(predictor, path), path)
        return predictor

    @property
    def task(self) -> Task:
        """What the outputs mean: see `Classifier.task`."""
        return task_of_settings(self.settings)

    @property
    def family(self) -> str:
        """The kind of architecture, see `Classifier.family`."""
        return str(self.about["model"])

    def reads_pairs(self) -> bool:
        """Whether it reads pairs of texts."""
        return bool(self.about.get(PAIRS))

    @property
    def saliency_kind(self) -> str:
        """The saliency of `explain_rows`, by default that of the training run."""
        return self.settings.saliency

    @property
    def gradient_saliencies(self) -> list[str]:
        """The names of the gradient saliencies with a graph in the folder."""
        return [*PLAIN, INTEGRATED, *(name for name, file in MODIFIED.items() if file in self._sessions)]

    def with_saliency(self, name: str) -> Self:
        """The same model with another saliency; the weights are shared.

        Args:
            name: of the registry.

        Raises:
            ValueError: there is no such saliency, or the folder lacks its graph.
        """
        make_saliency(name, self.settings).check(self)
        other = copy.copy(self)
        other.settings = self.settings.replace(saliency=name, explain_by=name)
        return other

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor.tokens`."""
        tokens = self.tokenizer.encode(texts, self.settings.max_length)
        if has_pairs(texts) and not self.reads_pairs():
            raise ValueError("this exported model does not read pairs of texts; export a model that does, if it is old")
        if PAIRS not in self.about:  # an older format, without token types in the ids
            tokens = replace(tokens, ids=tokens.ids % TOKEN_TYPE)
        if len(indices := texts_with_padding(tokens, self.about.get(SKIPS_PADDING, []))):
            raise padding_skipped(indices[0])
        return tokens

    def forward(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> Floats:
        """See `Predictor.forward`."""
        if len(ids) == 0:
            return np.zeros((0, len(self.classes)), np.float32)
        return self.task.probabilities(self.run_forward(ids, mask, ["logits"])["logits"])

    def represent(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """See `Represents.represent`."""
        outputs = self.run_forward(ids, mask)
        return self.task.probabilities(outputs["logits"]), outputs["representation"]

    def replacement_token_id(self, removal: str) -> int:
        """See `HasReplacementToken.replacement_token_id`."""
        return replacement_token_id(self.tokenizer, removal)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """See `Predictor.explain_rows`: by `saliency_kind`. Raises ValueError if the folder lacks its graph."""
        saliency = make_saliency(self.saliency_kind, self.settings)
        saliency.check(self)
        if len(ids) == 0:
            return np.zeros((0, len(self.classes)), np.float32), np.zeros((0, 1), np.float32)
        if isinstance(saliency, GradientSaliency):
            return self.attribute_rows(saliency, ids, words, classes)
        return saliency.explain_tokens(self, rows_as_tokens(ids, words, 0), classes)

    def check_saliency(self, saliency: GradientSaliency) -> None:
        """See `Attributes.check_saliency`."""
        name, options = saliency.name, saliency.options
        if name not in self.gradient_saliencies:
            held = f"this exported folder holds {', '.join(self.gradient_saliencies)}"
            if reason := self.about.get("left_out", {}).get(name):
                raise ValueError(f"{reason} ({held})")
            if name in MODIFIED:
                wanted = ",".join(x for x in MODIFIED if x == name or x in self.gradient_saliencies)
                raise ValueError(f"{held}, not {name}; run `pct export MODEL FOLDER --saliencies {wanted}`")
            raise ValueError(
                f"{held}, not {name}: `pct export` has no graph of it; explain the torch model that was exported"
            )
        if options.of != self.settings.saliency_of:
            raise ValueError(
                f"saliency_of {options.of}: the exported graphs explain {self.settings.saliency_of}; "
                "run `pct export` on a model with that setting"
            )
        if name == INTEGRATED and options.baseline != "zero":
            raise ValueError(
                f"integrated_baseline {options.baseline}: the exported graph scales the embeddings, so its path starts "
                "at zero; use baseline zero, or explain the torch model that was exported"
            )

    def attribute_rows(
        self, saliency: GradientSaliency, ids: Ints, words: Ints, classes: Ints | None
    ) -> tuple[Floats, Floats]:
        """See `Attributes.attribute_rows`."""
        name = saliency.name
        if name in MODIFIED:
            outputs = self.run_modified(name, ids, words, classes)
            scores = outputs[f"saliency_{name}"]
        elif name == INTEGRATED:
            outputs = self.run_gradient(ids, words, classes, ["logits"])
            chosen = outputs["logits"].argmax(1) if classes is None else classes
            scores = self._integrate(ids, words, chosen, outputs["logits"], saliency)
        else:
            outputs = self.run_gradient(ids, words, classes, ["logits", f"saliency_{name}"])
            scores = outputs[f"saliency_{name}"]
        return self.task.probabilities(outputs["logits"]), scores[:, : max(int(words.max()) + 1, 1)]

    def run_forward(
        self, ids: Ints, mask: npt.NDArray[np.bool_], outputs: Sequence[str] = ("logits", "representation")
    ) -> dict[str, Floats]:
        """Outputs of the graph without gradient, by name; see `pct.onnx.graphs.build_graphs`."""
        return self._sessions.run(FORWARD, outputs, {"ids": ids, "mask": mask})

    def run_gradient(
        self, ids: Ints, words: Ints, classes: Ints | None, outputs: Sequence[str] = OUTPUTS, scale: float = 1.0
    ) -> dict[str, Floats]:
        """Outputs of the graph with gradient, by name; see `pct.onnx.graphs.build_graphs`."""
        feeds = _feeds(ids, words, classes) | {"scale": np.array(scale, np.float32)}
        return self._sessions.run(GRADIENT, outputs, feeds)

    def run_modified(self, name: str, ids: Ints, words: Ints, classes: Ints | None) -> dict[str, Floats]:
        """Outputs of the graph of one of MODIFIED, by name; see `pct.onnx.graphs.build_saliency_graph`."""
        return self._sessions.run(MODIFIED[name], ["logits", f"saliency_{name}"], _feeds(ids, words, classes))

    def _integrate(self, ids: Ints, words: Ints, classes: Ints, logits: Floats, saliency: GradientSaliency) -> Floats:
        options, product = saliency.options, "saliency_grad_x_input"

        def run_at(rows: Ints, scale: float) -> tuple[Floats, Floats]:
            outputs = self.run_gradient(ids[rows], words[rows], classes[rows], ["logits", product], scale)
            return outputs["logits"], outputs[product]

        if self.about.get(SCALED) != WORDS:  # an older format, which scales special tokens too and has fixed steps
            return mean_gradient(run_at, np.arange(len(ids)), options.steps)
        return integrate(run_at, classes, logits, options.of, options.steps, self.task)


def _feeds(ids: Ints, words: Ints, classes: Ints | None) -> dict[str, Any]:
    return {"ids": ids, "words": words, "classes": np.full(len(ids), -1) if classes is None else classes}
