"""What helps on a pretrained encoder: one change at a time to normal training, PCT and other methods, on a part of MR.

PCT_DATA_DIR=... python -m benchmarks.studies.encoders --rows 1000 --epochs 2 --texts 300 --seeds 0
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.common import encoder_folder
from benchmarks.studies.study import Study, command
from pct.models.base import Features
from pct.models.encoder import Transformer
from pct.models.token_types import inputs_of


@contextmanager
def mean_of_tokens() -> Iterator[None]:
    """r(X) is the mean of the last hidden states; the classifier still reads the first token's."""

    def features(self: Any, embeddings: Tensor, mask: Tensor) -> Features:
        inputs = inputs_of(embeddings, self.reads_types)
        states = self.encoder(**inputs, attention_mask=mask.long()).last_hidden_state
        inside = mask[..., None].to(states.dtype)
        return Features(states[:, 0], (states * inside).sum(1) / inside.sum(1))

    with mock.patch.object(Transformer, "features", features):
        yield


@contextmanager
def no_dropout() -> Iterator[None]:
    """Training uses no dropout, in the encoder or before the last layer."""
    step, attend = torch.nn.Module.train, functional.scaled_dot_product_attention

    def without_dropout(*args: Any, dropout_p: float = 0.0, **options: Any) -> Tensor:
        return attend(*args, **options)

    with (
        mock.patch.object(torch.nn.Dropout, "train", lambda self, mode=True: step(self, False)),
        mock.patch.object(functional, "scaled_dot_product_attention", without_dropout),
    ):
        yield


# the paper's optimizer for BERT: plain Adam with a constant learning rate
PLAIN = {"optimizer": "adam", "weight_decay": 0.0, "warmup": 0.0, "schedule": "constant"}
MILD = {"alpha": 0.3, "temperature": 0.7, "contrast_steps": "last"}
WIDE = {"p_important": 0.3, "p_unimportant": 0.3, "measure_important": 0.1, "measure_unimportant": 0.1}
VARIANTS: dict[str, dict[str, Any]] = {
    "normal": {"method": "normal"},
    "masked": {"method": "masked"},
    "pct, alpha .3, last": MILD,
    "saliency_guided, half of the words": {
        "method": "saliency_guided", "p_unimportant": 0.5, "measure_unimportant": 0.1,
    },
    "pct, alpha .15, tau .15, last": {**MILD, "alpha": 0.15, "temperature": 0.15},
    "pct, alpha .3, last, mean of tokens": MILD,
    "pct, alpha 1.2": {"alpha": 1.2, "temperature": 0.7},
    "pct, alpha .05, last": {**MILD, "alpha": 0.05},
    "normal, plain Adam": {"method": "normal", **PLAIN},
    "normal, no dropout": {"method": "normal"},
    "pct, alpha .3, last, no dropout": MILD,
    "pct, alpha .3, last, three tenths removed": {**MILD, **WIDE},
    "normal, grad_x_input": {"method": "normal", "saliency": "grad_x_input"},
    "pct, alpha .3, last, grad_x_input": {**MILD, "saliency": "grad_x_input"},
    "normal, twice as long": {"method": "normal", "longer": 2},
    "pct, alpha .3, last, twice as long": {**MILD, "longer": 2},
    "pct, alpha 1.2, plain Adam": {"alpha": 1.2, "temperature": 0.7, **PLAIN},
    "entropy": {"method": "entropy"},
}  # fmt: skip
AROUND = {
    **{name: no_dropout for name in VARIANTS if name.endswith("no dropout")},
    **{name: mean_of_tokens for name in VARIANTS if name.endswith("mean of tokens")},
}

if __name__ == "__main__":
    study = Study("encoders", {"corpus": "mr", "model": encoder_folder(), "method": "pct"}, VARIANTS, AROUND)
    raise SystemExit(command(study, __doc__ or ""))
