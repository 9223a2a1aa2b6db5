"""The jobs that a user runs: main, evaluate and track, recorded in MLflow."""
