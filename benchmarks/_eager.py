"""The service with eager torch in ONNX Runtime's place; all else, HTTP and batching included, is the service's own.

BentoML imports it as `benchmarks._eager:Explainer`; `PCT_SERVE_LIST` names the folder of a saved classifier.
"""

from typing import Any

import serving.model_store
from benchmarks._peers import Eager

stand_in: Any = Eager
serving.model_store.OnnxPredictor = stand_in

from serving.service import Explainer  # noqa: E402

__all__ = ["Explainer"]
