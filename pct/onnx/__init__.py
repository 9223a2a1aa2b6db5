"""Export of models as ONNX graphs with their gradient, and prediction with ONNX Runtime."""

import os

# ONNX Runtime's telemetry writes a device identifier into the user's home and contacts a host. The variable is read on
# import, and every import of ONNX Runtime in this project is preceded by that of this package.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
