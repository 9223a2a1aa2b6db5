"""Saliency, reduced texts, curves: over any `Predictor`."""
