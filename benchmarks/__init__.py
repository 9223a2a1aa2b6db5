"""Benchmarks, one module per claim: `python -m benchmarks [name ...]`.

A benchmark is a module with `main() -> dict`; `benchmarks.common` describes the result and has the shared helpers.
"""
