"""Training runs: epochs, checkpoints, run folders, grids of runs."""
