"""The time of an audit against that of the calls of the model that it needs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import FAMILIES, Row, alternate, classifier, corpus, cpu_ratio, ratio, sample
from pct.auditing.measure import measure
from pct.auditing.plan import make_plan
from pct.classifier import Classifier
from pct.corpora.splits import Split
from pct.explaining.predictor import Floats, Forward
from pct.saliency.base import GradientSaliency
from pct.text.tokens import Ints

TEXTS = {"textcnn": 256, "lstm": 128, "minilm": 32}
ROUNDS = {"textcnn": 5, "lstm": 3, "minilm": 3}
SALIENCIES = ("l2", "grad_x_input", "smooth_grad", "occlusion")

Call = Callable[[], object]


def main() -> Row:
    """One table: the usual audit, and its calls of the model alone."""
    title = f"An audit of {corpus().name} test texts: {', '.join(SALIENCIES)}, and the bare calls of the model"
    return {"tables": {title: [against_calls(family) for family in FAMILIES]}}


def against_calls(family: str) -> Row:
    """An audit's time against that of its calls of the model, replayed in turn, and the number of rows run twice."""
    model = classifier(family)
    texts, labels = sample(TEXTS[family])
    split = Split(texts, np.array(labels, np.int64))
    plan = make_plan(model, SALIENCIES)
    recorder = CallRecorder(model)
    measure(recorder, split, plan)
    timings = alternate({"audit": lambda: measure(model, split, plan), "calls": recorder.replay}, ROUNDS[family])
    return {
        "model": family, "texts": len(texts), "rows": recorder.rows,
        "rows run twice": recorder.repeated, "audit s": round(timings["audit"].median, 2),
        "calls s": round(timings["calls"].median, 2), "ratio": ratio(timings["audit"], timings["calls"]),
        "cpu ratio": cpu_ratio(timings["audit"], timings["calls"]),
    }  # fmt: skip


class CallRecorder(Classifier):
    """A classifier that records its calls, to replay them without the code around them."""

    def __init__(self, model: Classifier) -> None:
        super().__init__(model.model, model.tokenizer, model.classes, model.settings)
        self.calls: list[Call] = []
        self.rows = self.repeated = 0
        self._seen: set[bytes] = set()

    def forward_over(self, vocabulary: Ints) -> Forward:
        """See `Classifier.forward_over`; its preparation is recorded too."""
        prepare = super().forward_over
        forward = prepare(vocabulary)
        self.calls.append(lambda: prepare(vocabulary))

        def recorded(ids: Ints, mask: Any) -> Floats:
            self.calls.append(lambda: forward(ids, mask))
            self.rows += len(ids)
            for row, inside in zip(ids, mask, strict=True):
                key = row[inside].tobytes()
                self.repeated += key in self._seen
                self._seen.add(key)
            return forward(ids, mask)

        return recorded

    def attribute_rows(
        self, saliency: GradientSaliency, ids: Ints, words: Ints, classes: Ints | None
    ) -> tuple[Floats, Floats]:
        """See `Classifier.attribute_rows`."""
        attribute = super().attribute_rows
        self.calls.append(lambda: attribute(saliency, ids, words, classes))
        return attribute(saliency, ids, words, classes)

    def replay(self) -> None:
        """Repeats the recorded calls."""
        for call in self.calls:
            call()
