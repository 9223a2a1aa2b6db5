"""Normal training, the baseline of the other methods."""

from __future__ import annotations

from pct.methods.base import Batch, SettingsMethod, Step, normal_step
from pct.models.base import TextModel


class Normal(SettingsMethod):
    """Cross-entropy."""

    def __call__(self, model: TextModel, batch: Batch) -> Step:
        """See `Method`."""
        return normal_step(model, batch)
