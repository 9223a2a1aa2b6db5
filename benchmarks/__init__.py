"""What is measured, one file a claim: `python -m benchmarks [name ...]`.

A benchmark is a module here with `main() -> dict`; see `benchmarks.common` for what it returns and what helps it.
"""
