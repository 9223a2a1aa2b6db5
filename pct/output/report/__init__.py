"""A report over many runs: tables, claims and figures, as one page and as separate files."""
