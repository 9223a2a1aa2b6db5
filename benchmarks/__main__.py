"""Runs the named benchmarks, or all of them: prints their tables and writes benchmarks/results/<name>.json."""

import argparse
import sys
import time
from importlib import import_module
from pkgutil import iter_modules

import benchmarks
from benchmarks.common import print_tables, write_result


def names() -> list[str]:
    """The benchmark modules: not `common`, not those that start with an underscore, not the studies."""
    modules = (m.name for m in iter_modules(benchmarks.__path__) if not m.ispkg)
    return [n for n in modules if n != "common" and not n.startswith("_")]


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 1 if a benchmark failed; the others still run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"one or more of {', '.join(names())}; default: all")
    chosen = parser.parse_args(arguments).name or names()
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        parser.error(f"unknown benchmark: {', '.join(unknown)}; choose from {', '.join(names())}")
    failed = []
    for name in chosen:
        start = time.perf_counter()
        try:
            result = import_module(f"benchmarks.{name}").main()
        except Exception as problem:  # a benchmark that cannot run must not stop the others
            failed.append(name)
            print(f"{name} failed: {type(problem).__name__}: {problem}", file=sys.stderr)
            continue
        path = write_result(name, result, time.perf_counter() - start)
        print_tables(result)
        print(f"written to {path}\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
