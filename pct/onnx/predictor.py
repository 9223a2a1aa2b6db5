"""An exported model by ONNX Runtime: a `Predictor` that needs neither torch nor transformers."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from pct.audit.kept import take_audit
from pct.explaining.predictor import Floats, TextInterface
from pct.settings import SALIENCIES, Settings
from pct.text.saved_tokenizer import load_subwords
from pct.text.stand_in import stand_in
from pct.text.tokens import Ints, Tokenizer, Tokens
from pct.text.vocabulary import Vocabulary
from pct.text.words import check_saved_rule

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FORMAT = 1
GRADIENT, FORWARD, WEIGHTS, CONFIG = "model.onnx", "forward.onnx", "weights.bin", "classifier.json"
OUTPUTS = ("logits", "representation", "saliency_l2", "saliency_l1", "saliency_grad_x_input")


class OnnxPredictor(TextInterface):
    """An exported classifier. Threads may share it.

    classes: their names. settings: those of the training run. about: all of classifier.json, the measured agreement
    with torch included. saliency_kind: what `explain_rows` gives, at first the settings' own.
    """

    def __init__(
        self, tokenizer: Tokenizer, forward: InferenceSession, gradient: InferenceSession, about: dict[str, Any]
    ) -> None:
        self.tokenizer, self.about = tokenizer, about
        self.classes: list[str] = list(about["classes"])
        self.settings = Settings.from_saved(about["settings"])
        self.word_rule = self.settings.words
        self.audited = ""  # the saliency that an audit of this model found best
        self.audit_file: Path | None = None
        self.saliency_kind = self.settings.saliency
        self._forward, self._gradient = forward, gradient

    @classmethod
    def load(cls, folder: str | Path, threads: int = 0) -> Self:
        """Reads what `pct.onnx.export.export` wrote; nothing is unpickled.

        threads: CPU threads of one call; 0 takes all cores. Raises FileNotFoundError for a folder without an exported
        model, ValueError for one that is damaged, ImportError without ONNX Runtime.
        """
        try:
            import onnxruntime
        except ImportError:
            raise ImportError("an exported model needs ONNX Runtime: pip install 'pct-explain[serve]'") from None
        if threads < 0:
            raise ValueError(f"threads must be >= 0, got {threads}")
        path = Path(folder)
        for name in (CONFIG, GRADIENT, FORWARD, WEIGHTS):
            if not (path / name).is_file():
                raise FileNotFoundError(
                    f"{path} holds no exported model: {name} is missing; make it with `pct export MODEL {path}`"
                )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # threads that wait in a loop take the cores from whatever else the machine does: here, the web server
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            about = json.loads((path / CONFIG).read_text(encoding="utf-8"))
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']} is not the format {FORMAT} that this version reads")
            tokenizer: Tokenizer = Vocabulary.load(path) if about["words"] == "vocabulary" else load_subwords(path)
            forward, gradient = (
                onnxruntime.InferenceSession(path / name, options, providers=["CPUExecutionProvider"])
                for name in (FORWARD, GRADIENT)
            )
            predictor = cls(tokenizer, forward, gradient, about)
        except ImportError:
            raise
        except Exception as problem:  # ONNX Runtime's own errors have no common base but Exception
            raise ValueError(f"{path} is damaged and cannot be loaded ({problem}); export the model again") from problem
        check_saved_rule(predictor.word_rule)
        take_audit(predictor, path)
        return predictor

    def with_saliency(self, kind: str) -> Self:
        """The same model, its weights shared, with another saliency. Raises ValueError for one that there is not."""
        if kind not in SALIENCIES:
            raise ValueError(f"saliency must be one of {', '.join(SALIENCIES)}, got {kind!r}")
        other = copy.copy(self)
        other.saliency_kind = kind
        return other

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor.tokens`."""
        return self.tokenizer.encode(texts, self.settings.max_length)

    def forward(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> Floats:
        """See `Predictor.forward`."""
        if len(ids) == 0:
            return np.zeros((0, len(self.classes)), np.float32)
        return softmax(self.run_forward(ids, mask, ["logits"])["logits"])

    def represent(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """See `Represents.represent`."""
        found = self.run_forward(ids, mask)
        return softmax(found["logits"]), found["representation"]

    def stand_in(self, removal: str) -> int:
        """See `StandsIn.stand_in`."""
        return stand_in(self.tokenizer, removal)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """See `Predictor.explain_rows`."""
        if len(ids) == 0:
            return np.zeros((0, len(self.classes)), np.float32), np.zeros((0, 1), np.float32)
        path = self.saliency_kind == "integrated_gradients"
        name = "saliency_grad_x_input" if path else f"saliency_{self.saliency_kind}"
        found = self.run_gradient(ids, words, classes, ["logits", name])
        scores = found[name]
        if path:
            scores = self._integrate(ids, words, found["logits"].argmax(1) if classes is None else classes)
        return softmax(found["logits"]), scores[:, : max(int(words.max()) + 1, 1)]

    def run_forward(
        self, ids: Ints, mask: npt.NDArray[np.bool_], outputs: Sequence[str] = ("logits", "representation")
    ) -> dict[str, Floats]:
        """Outputs of the graph without a gradient by name; see `pct.onnx.graphs.build_graphs`."""
        return _run(self._forward, outputs, {"ids": ids, "mask": mask})

    def run_gradient(
        self, ids: Ints, words: Ints, classes: Ints | None, outputs: Sequence[str] = OUTPUTS, scale: float = 1.0
    ) -> dict[str, Floats]:
        """Outputs of the graph with the gradient by name; see `pct.onnx.graphs.build_graphs`."""
        chosen = np.full(len(ids), -1) if classes is None else classes
        feeds = {"ids": ids, "words": words, "classes": chosen, "scale": np.array(scale, np.float32)}
        return _run(self._gradient, outputs, feeds)

    def _integrate(self, ids: Ints, words: Ints, classes: Ints) -> Floats:
        # grad_x_input at points of the path from the zero embedding, the other factor always the embedding itself
        name, steps = "saliency_grad_x_input", self.settings.integrated_steps
        points = (self.run_gradient(ids, words, classes, [name], (t + 0.5) / steps)[name] for t in range(steps))
        return np.asarray(sum(points) / steps, np.float32)


def softmax(logits: Floats) -> Floats:
    """Along the last axis, in the numbers' own precision."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Floats = powers / powers.sum(-1, keepdims=True)
    return shares


def _run(session: InferenceSession, outputs: Sequence[str], feeds: dict[str, Any]) -> dict[str, Floats]:
    return dict(zip(outputs, session.run(list(outputs), feeds), strict=True))
