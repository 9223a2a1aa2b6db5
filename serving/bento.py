"""pct bento: models and the service as one Bento, BentoML's archive, which is served or made a container anywhere."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from serving.command import SERVICE, read_models
from serving.model_sources import default_cache
from serving.model_store import LIST_FILE, SERVED, write_entries

PACKAGES = ("pct", "serving")
# what the service imports; see the extra serve in pyproject.toml
REQUIREMENTS = ("bentoml", "httptools", "numpy", "onnxruntime", "tokenizers", "uvloop")


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds a Bento into BentoML's store and tells its tag."""
    options = _parser().parse_args(arguments)
    cache = Path(options.cache) if options.cache else default_cache()
    with tempfile.TemporaryDirectory(prefix="pct-bento-") as room:
        lay_out(Path(room), options.models, cache)
        bento = _build(Path(room), options)
    print(f"{bento.tag}: {bento.path}")
    print(f"serve it:             bentoml serve {bento.tag}")
    print(f"make it a container:  bentoml containerize {bento.tag}")
    return 0


def lay_out(room: Path, models: Sequence[str], cache: Path) -> None:
    """The folder that a Bento is made from: the packages as they are installed here, and the exported models."""
    root = Path(__file__).parents[1]
    for package in PACKAGES:
        shutil.copytree(root / package, room / package, ignore=shutil.ignore_patterns("__pycache__"))
    (room / SERVED).mkdir()
    entries = []
    for entry in read_models(models, cache):
        shutil.copytree(entry.folder, room / SERVED / entry.id)
        # where it came from is of this machine
        entries.append(replace(entry, folder=entry.id, source=entry.source if entry.name else entry.id))
    write_entries(room / SERVED / LIST_FILE, entries)


def _build(room: Path, options: argparse.Namespace) -> Any:
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml
    from bentoml.exceptions import BentoMLException

    try:
        return bentoml.build(
            SERVICE,
            name=options.name,
            version=options.version,
            build_ctx=str(room),
            include=[f"{part}/**" for part in (*PACKAGES, SERVED)],
            python={"packages": [_pinned(name) for name in REQUIREMENTS if _pinned(name)], "lock_packages": False},
        )
    except BentoMLException as problem:
        raise ValueError(f"BentoML could not build it: {problem}") from problem


def _pinned(name: str) -> str:
    """A package in the version that is installed here; empty for one that is not (uvloop, on Windows)."""
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pct bento",
        description="Builds a Bento of the service with models in it, for `bentoml serve` and `bentoml containerize`.",
        epilog="example: pct bento models:/pct-planted-textcnn@champion --name reviews",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="as for pct serve; ID=MODEL names it")
    parser.add_argument("--name", help="of the Bento (default: explainer)")
    parser.add_argument("--version", help="of the Bento (default: made by BentoML)")
    parser.add_argument(
        "--cache", default="", help="where exported models are kept (default: PCT_CACHE_DIR or ~/.cache/pct)"
    )
    return parser
