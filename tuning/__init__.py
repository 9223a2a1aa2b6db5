"""The search over the jobs: sweeps and ablations by Ray Tune, on one machine or a cluster, into MLflow."""
