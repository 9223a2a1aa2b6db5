"""The models: one protocol, three families.

A model has `embed(ids)`, `features(embeddings, mask)` and `encode`, so that its output can be differentiated with
respect to the embeddings.
"""

from pct.models.base import Encoding, Features, TextModel
from pct.models.build import build_model

__all__ = ["Encoding", "Features", "TextModel", "build_model"]
