"""The effect of PCT against its time: fewer reduced texts, in fewer mini-batches. TextCNN on MR.

PCT_DATA_DIR=... python -m benchmarks.studies.frontier --seeds 0 1 2
"""

from __future__ import annotations

from typing import Any

from benchmarks.studies.study import Study, command

# with the loss in every n-th batch only, n times alpha gives the same sum over an epoch
VARIANTS: dict[str, dict[str, Any]] = {
    "normal": {"method": "normal"}, "pct": {}, "last": {"contrast_steps": "last"}, "every 2": {"contrast_every": 2},
    "every 2, alpha x 2": {"contrast_every": 2, "alpha": 0.2},
    "every 4, alpha x 4": {"contrast_every": 4, "alpha": 0.4},
    "last, every 2, alpha x 2": {"contrast_steps": "last", "contrast_every": 2, "alpha": 0.2},
    "last, alpha x 2": {"contrast_steps": "last", "alpha": 0.2}, "masked": {"method": "masked"},
    "saliency_guided": {"method": "saliency_guided"},
}  # fmt: skip

if __name__ == "__main__":
    study = Study(
        "frontier", {"corpus": "mr", "model": "textcnn", "method": "pct"}, VARIANTS, rows=0, texts=0, epochs=4
    )
    raise SystemExit(command(study, __doc__ or ""))
