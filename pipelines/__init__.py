"""The jobs that a user runs, recorded in MLflow: train, measure, upload, choose the champion."""
