"""The peak memory of `pct.evaluate` on a number of texts and on ten times as many, each in its own process."""

import json
import sys

import pct
from benchmarks.common import Row, classifier, corpus, in_own_process
from pct.corpora.splits import SPLITS
from pct.training.memory import peak_mb, reset_peak, resident_mb

# (texts, ten times as many); MR and the embedded corpus hold 10,662 in all. The encoder is slow, so it gets fewer.
SIZES = {"textcnn": (1066, 10660), "lstm": (1066, 10660), "minilm": (256, 2560)}


def main() -> Row:
    """A row per model: the memory that evaluation adds, at its peak, to a process with the model and the texts."""
    rows = []
    for family, (few, many) in SIZES.items():
        low, high = (in_own_process("benchmarks.memory", family, n) for n in (few, many))
        rows.append({
            "model": family, "texts": few, "peak MB": low["peak"], "added MB": low["peak"] - low["before"],
            "texts x 10": many, "peak x 10 MB": high["peak"], "added x 10 MB": high["peak"] - high["before"],
            "growth of the peak": high["peak"] / low["peak"],
        })  # fmt: skip
    return {"tables": {f"Peak memory (RSS) of evaluating {corpus().name} texts, and ten times as many": rows}}


def measure(family: str, texts: int) -> dict[str, float]:
    """before, peak: resident memory in MB with the model and texts loaded, and at the peak of the evaluation."""
    model = classifier(family)
    pool = [corpus().splits[name] for name in ("test", *(s for s in SPLITS if s != "test"))]
    rows = [row for split in pool for row in zip(split.texts, split.labels.tolist(), strict=True)][:texts]
    data = [text for text, _ in rows], [label for _, label in rows]
    pct.evaluate(model, (data[0][:8], data[1][:8]))  # what torch loads at first use must not count
    reset_peak()
    before = resident_mb()
    pct.evaluate(model, data)
    return {"before": before, "peak": peak_mb()}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
