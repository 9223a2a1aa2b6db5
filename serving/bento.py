"""pct bento: models and the service as one Bento, BentoML's archive, for a service or a container on any machine."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from pct.commands.options import add_own_settings
from pct.commands.parser import CommandParser
from pct.layout import cache_folder
from serving.command import SERVICE, read_models
from serving.limits import EVERY_HOST, HOSTS
from serving.model_store import LIST_FILE, SERVED, ModelEntry, write_entries

PACKAGES = ("pct", "serving")
# A container is reached from outside by an address and a name that are not known when it is built; bentofile.yaml has
# the same variables.
IN_CONTAINER = {"BENTOML_HOST": "0.0.0.0", HOSTS: EVERY_HOST}
DISTRIBUTION = "pct-explain-core"
# a requirement in a package's metadata: `bentoml<1.5,>=1.4; extra == "serve"`
NAME, SERVE = re.compile(r"[\w.-]+"), re.compile(r"""extra == ["']serve["']""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds a Bento into BentoML's store and prints its tag."""
    options = _parser().parse_args(arguments)
    cache = Path(options.cache) if options.cache else cache_folder()
    with tempfile.TemporaryDirectory(prefix="pct-bento-") as tmp_dir:
        copy_parts(Path(tmp_dir), read_models(options.models, cache, options.head, options.threshold))
        bento = _build(Path(tmp_dir), options)
    print(f"{bento.tag}: {bento.path}")
    print(f"serve it:             bentoml serve {bento.tag}")
    print(f"make it a container:  bentoml containerize {bento.tag}")
    return 0


def copy_parts(build_folder: Path, models: Sequence[ModelEntry]) -> None:
    """Copies the parts of a Bento into a folder: the packages as they are installed here, and the exported models."""
    root = Path(__file__).parents[1]
    for package in PACKAGES:
        shutil.copytree(root / package, build_folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (build_folder / SERVED).mkdir()
    entries = []
    for entry in models:
        shutil.copytree(entry.folder, build_folder / SERVED / entry.id)
        # the source is a path of this machine
        entries.append(replace(entry, folder=entry.id, source=entry.source if entry.name else entry.id))
    write_entries(build_folder / SERVED / LIST_FILE, entries)


def _build(build_folder: Path, options: argparse.Namespace) -> Any:
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml
    from bentoml._internal.bento.build_config import BentoEnvSchema
    from bentoml.exceptions import BentoMLException

    try:
        return bentoml.build(
            SERVICE,
            name=options.name,
            version=options.version,
            build_ctx=str(build_folder),
            include=[f"{part}/**" for part in (*PACKAGES, SERVED)],
            python={"packages": service_requirements(), "lock_packages": False},
            envs=[BentoEnvSchema(name, value=value) for name, value in IN_CONTAINER.items()],
        )
    except BentoMLException as problem:
        raise ValueError(f"BentoML could not build the Bento: {problem}") from problem


def service_requirements() -> list[str]:
    """The packages of the extra `serve`, and numpy, in the versions that are installed here.

    Raises:
        ValueError: this project is not installed, so that its extras are not known.
    """
    try:
        declared = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        raise ValueError(f"{DISTRIBUTION} is not installed: pip install '{DISTRIBUTION}[serve]'") from None
    extra = [NAME.match(line)[0] for line in declared if SERVE.search(line)]  # type: ignore[index]
    pinned = []
    for name in sorted({"numpy", *extra}):
        with suppress(PackageNotFoundError):  # uvloop, on Windows
            pinned.append(f"{name}=={version(name)}")
    return pinned


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="pct bento",
        description="Builds a Bento of the service with models in it, for `bentoml serve` and `bentoml containerize`.",
        epilog="example: pct bento models:/pct-planted-textcnn@champion --name reviews",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="as for pct serve; ID=MODEL names it")
    add_own_settings(parser, "outputs")
    parser.add_argument("--name", help="the name of the Bento (default: explainer)")
    parser.add_argument("--version", help="the version of the Bento (default: chosen by BentoML)")
    parser.add_argument(
        "--cache", default="", help="the folder for exported models (default: PCT_CACHE_DIR or ~/.cache/pct)"
    )
    return parser
