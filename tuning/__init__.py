"""Sweeps and grids over the jobs, by Ray on one machine or a cluster, into MLflow."""

import os

# Ray and MLflow read these when they are imported, which every module here does later than this.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # a corpus' files may be named by relative paths
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the ledger is the log
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # a failed trial reports no metric
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # an interrupt ends the sweep as it ends a training
os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # they are in the ledger, the table and MLflow
os.environ.setdefault("TUNE_WARN_THRESHOLD_S", "5")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a line a trial would garble the live table
