"""The service with eager torch instead of ONNX Runtime; the rest, HTTP and batching included, is unchanged.

BentoML imports it as `benchmarks._eager:Explainer`; `PCT_SERVE_LIST` names the folder of a saved classifier.
"""

from typing import Any

import serving.model_store
from benchmarks._peers import Eager

eager_predictor: Any = Eager
serving.model_store.OnnxPredictor = eager_predictor

from serving.service import Explainer  # noqa: E402

__all__ = ["Explainer"]
