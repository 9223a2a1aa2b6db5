"""The models: one protocol, three families.

A model has `embed(ids)`, `features(embeddings, mask)` and `encode`, so that a saliency can be taken at the embeddings
of any of them.
"""

from pct.models.base import Encoding, Features, TextModel
from pct.models.build import build_model

__all__ = ["Encoding", "Features", "TextModel", "build_model"]
