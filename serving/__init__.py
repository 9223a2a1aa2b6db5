"""The model behind HTTP: predictions, saliency and reduction curves from ONNX Runtime, without torch."""
