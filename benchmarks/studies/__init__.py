"""Comparisons of trainings that take hours, one file a question: `python -m benchmarks.studies.<name>`."""
