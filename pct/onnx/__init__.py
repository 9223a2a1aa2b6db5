"""Models as ONNX graphs that hold their own gradient."""
