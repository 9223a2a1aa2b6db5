"""Models as ONNX graphs that hold their own gradient."""

import os

# ONNX Runtime may write an identifier of the device into the user's home and ask for a host by name: not from here.
# It looks when it is imported, and whatever imports it in this project imports this package first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
