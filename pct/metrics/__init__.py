"""Accuracy and the metrics of pathology."""
