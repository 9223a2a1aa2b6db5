"""The models: one protocol, three families.

A model has `embed(ids)` and `encode(embeddings, mask)`, so that a saliency can be taken at the embeddings of any of them.
"""

from pct.models.base import Encoding, TextModel
from pct.models.build import build_model

__all__ = ["Encoding", "TextModel", "build_model"]
