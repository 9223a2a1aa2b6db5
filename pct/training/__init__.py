"""Runs: epochs, checkpoints, folders, comparisons."""
