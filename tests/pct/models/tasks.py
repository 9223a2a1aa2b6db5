"""The tasks of classifiers of the transformers library, and what can be done with a model of each.

`python -m tests.pct.models.tasks` prints the table of docs/reference/families.md.
"""

import itertools
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pct
from pct.onnx.export import export
from pct.onnx.predictor import OnnxPredictor
from tests.pct.models.families import TEXTS, classifier, tokenizer

CELLS = ("load", "train", "explain", "evaluate", "export", "serve")
SEVERAL = {"problem_type": "multi_label_classification"}
PAIRS = ((TEXTS[0], "fine"), ("fine", TEXTS[2]), ("the film wins", "nobody wins"), ("joy", "tired stale material"))
ONE = {"classes": 1, "id2label": {0: "toxic"}, "label2id": {"toxic": 0}}


@dataclass(frozen=True)
class KindOfTask:
    """A task.

    Attributes:
        name: in the table.
        stated: what says that a classifier has this task.
        own: what its configuration says.
        outputs: from transformers' logits to the outputs that `predict` gives.
        labels: of the rows for training and measuring, repeated.
        texts: what it reads.
    """

    name: str
    stated: str
    own: dict[str, Any]
    outputs: Callable[[Tensor], Tensor]
    labels: list[Any]
    texts: Sequence[Any] = tuple(TEXTS)

    def rows(self, repeats: int = 8) -> list[dict[str, Any]]:
        """Labelled texts, each different."""
        numbered = [(f"{first} {i}", *second) for i in range(repeats) for first, *second in map(parts, self.texts)]
        labels = itertools.cycle(self.labels)
        return [{**dict(zip(("text", "text_pair"), x, strict=False)), "label": next(labels)} for x in numbered]


def parts(text: Any) -> tuple[str, ...]:
    """A text, or both texts of a pair."""
    return text if isinstance(text, tuple) else (text,)


def _two(score: Tensor) -> Tensor:
    return torch.cat([1 - score.sigmoid(), score.sigmoid()], -1)


TASKS = [
    KindOfTask(
        "one class of several", "two or more outputs", {}, lambda z: z.softmax(-1), ["negative", "positive", "neither"]
    ),
    KindOfTask(
        "[several labels](../how-to/several-labels.md)",
        "`problem_type: multi_label_classification`, or `head` sigmoid", SEVERAL, torch.sigmoid,
        [["negative"], ["positive", "neither"], []],
    ),
    KindOfTask(
        "[one score](../how-to/classifier.md#one-output), the log-odds of a class",
        "one output and that `problem_type`, a sigmoid of sentence-transformers, or `head` sigmoid", ONE | SEVERAL,
        _two, ["toxic", "not toxic"],
    ),
    KindOfTask(
        "[one number](../how-to/numbers.md) (regression)",
        "one output and `problem_type: regression`, an identity of sentence-transformers, or `head` value",
        ONE | {"problem_type": "regression"}, lambda z: z, [0.5, 2.0, -1.0],
    ),
    KindOfTask(
        "[one class of a pair of texts](../how-to/pairs.md)", "two texts are given", {}, lambda z: z.softmax(-1),
        ["negative", "positive", "neither"], PAIRS,
    ),
]  # fmt: skip


def own_outputs(model: Any, words: Any, task: KindOfTask) -> np.ndarray:
    """What transformers gives each text alone."""
    with torch.no_grad():
        rows = [task.outputs(model(**words(*parts(text), return_tensors="pt")).logits) for text in task.texts]
    return torch.cat(rows).numpy()


class Trial:
    """A small BERT of a task, in a folder of transformers. Each cell of its row is a method that asserts its effect."""

    def __init__(self, task: KindOfTask, folder: Path) -> None:
        self.task, self.folder = task, folder
        self.model = classifier("BERT", num_hidden_layers=1, **task.own)
        self.model.save_pretrained(folder / "own")
        tokenizer("BERT").save_pretrained(folder / "own")
        self.classifier = pct.load(folder / "own", "cpu")
        self.expected = own_outputs(self.model, tokenizer("BERT"), task)

    def load(self) -> None:
        """Outputs equal transformers', also after saving."""
        np.testing.assert_allclose(self.classifier.predict(self.task.texts), self.expected, atol=1e-5)
        again = pct.load(self.classifier.save(self.folder / "saved"), "cpu")
        np.testing.assert_allclose(again.predict(self.task.texts), self.expected, atol=1e-5)

    def train(self) -> None:
        """A training with reduced texts changes the outputs."""
        done = pct.finetune(
            self.classifier, self.task.rows(), progress=False, method="pct", epochs=1, lr=1e-2, evaluate_epochs=False
        )
        assert np.abs(done.classifier.predict(self.task.texts) - self.expected).max() > 1e-3

    def explain(self) -> None:
        """Every text has an explanation with saliency, curves and a verdict."""
        explained = pct.explain(self.classifier, self.task.texts)
        assert {one.text for one in explained} == {parts(text)[0] for text in self.task.texts}
        assert all(np.isfinite(one.saliency).all() and one.verdict.kind for one in explained)

    def evaluate(self) -> None:
        """The eight metrics are numbers."""
        report = pct.evaluate(self.classifier, self.task.rows(1))
        assert report.texts == len(self.task.texts)
        assert all(math.isfinite(report.metrics[name]) for name in ("comp", "suff", "i_var", "u_var"))

    def export(self) -> None:
        """The graph has the outputs of torch."""
        export(self.classifier, self.folder / "graphs", modified=[])
        exported = OnnxPredictor.load(self.folder / "graphs", threads=1)
        np.testing.assert_allclose(exported.predict(self.task.texts), self.expected, atol=1e-4)

    def serve(self) -> None:
        """The service answers with the outputs, and explains."""
        from serving.answers import ExplainJob, PredictJob, given_texts, read_texts
        from serving.limits import Limits
        from serving.model_sources import resolve
        from serving.model_store import ServedModel
        from serving.schema import ExplainRequest

        entry = resolve(str(self.folder / "graphs"), self.folder / "cache")
        served = ServedModel(entry, OnnxPredictor.load(entry.folder, 1), (0, 0))
        sent = [
            dict(zip(("text", "text_pair"), x, strict=True)) if len(x := parts(y)) > 1 else y for y in self.task.texts
        ]
        request = ExplainRequest.model_validate({"texts": sent})
        texts = read_texts(given_texts(request.texts), Limits(), served.predictor.word_rule)
        answers = PredictJob(served).run(texts, math.inf)
        outputs = [[a["value"]] if "value" in a else list(a["probabilities"].values()) for a in answers]
        np.testing.assert_allclose(outputs, self.expected, atol=1e-4)
        explained = ExplainJob.of(request, served, Limits()).run(texts, math.inf)
        assert len(explained) == len(texts)


def row(task: KindOfTask, folder: Path) -> str:
    """The task's row of the table: `yes` where the cell's assertions hold, `no` where the model is refused."""
    cells = []
    trial = Trial(task, folder)
    for cell in CELLS:
        try:
            getattr(trial, cell)()
            cells.append("yes")
        except ValueError as refused:
            cells.append(f"no: {str(refused).splitlines()[0]}")
    return f"| {task.name} | {task.stated} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(f"| task | stated by | {' | '.join(CELLS)} |", "| --- " * (2 + len(CELLS)) + "|", sep="\n")
    with tempfile.TemporaryDirectory() as place:
        for number, one in enumerate(TASKS):
            print(row(one, Path(place) / str(number)))
